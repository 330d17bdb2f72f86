/*
 * engine.c
 *	  The engine's shared memory, and its handle in every process.
 *
 * The postmaster opens the engine in shmem_startup_hook, with plain system
 * calls, before it has any child; children inherit handle and mapping.  The
 * hook runs again in the same postmaster after a crash: the old handle is
 * closed then, and everything is read anew from files.
 *
 * If opening fails the server starts all the same, because everything else in
 * it is sound: the reason is kept in shared memory and told to whoever uses a
 * foreign table.  Recovery keeps the WAL of foreign tables then (kept.h), and
 * so it does when the engine fails in the midst of it.
 *
 * Writers are let in by the checkpoint barrier and kept out without it, since
 * a checkpoint that nobody holds back would cut off WAL whose entries are in
 * no file yet.  While the barrier is away - at the start, at the end, or because
 * somebody has terminated it - sessions wait.  A server in single-user mode has
 * no workers; there the one process lets itself in, and flushes before each
 * commit and before it ends, since any command may be a CHECKPOINT.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "engine/port/port_guard.h"
#include "engine/port/port_pg.h"
#include "fdw/host/agreement.h"
#include "fdw/host/engine.h"
#include "fdw/host/guc.h"
#include "fdw/host/kept.h"
#include "fdw/host/latch.h"
#include "fdw/host/restore.h"
#include "fdw/host/rowid.h"
#include "fdw/host/settle.h"
#include "fdw/host/wal.h"
#include "fdw/table/option.h"
#include "fdw/table/table.h"
#include "fdw/txn/visibility.h"

/* How long a session waits for the workers after a start before it complains. */
#define ENGINE_START_TIMEOUT_MS 30000

/*
 * Room for a version: 100 000 tables with short keys, a few thousand with the longest.  Pages that are not used take
 * no memory.
 */
#define ENGINE_VERSION_BYTES (UINT64_C(16) << 20)

typedef enum EngineState
{
	ENGINE_CLOSED, /* no barrier: sessions wait */
	ENGINE_READY
} EngineState;

typedef struct EngineShared
{
	int tranche;
	bool opened;
	bool is_copy; /* it was to be opened as a copy made while the server ran */
	NvmkvStatus open_status; /* when not opened */
	char open_error[NVMKV_ERROR_TEXT_MAX];
	pg_atomic_uint32 state; /* EngineState */
	char refusal[NVMKV_ERROR_TEXT_MAX]; /* why the barrier lets nobody in, complete when it says so */
	pg_atomic_uint32 refuses;
	ConditionVariable state_changed;
} EngineShared;

static EngineShared *shared;
static NvmkvDb *engine;
static int workers_needed; /* not 0: the server had no room for the barrier; set before there is any child */
static shmem_request_hook_type previous_shmem_request;
static shmem_startup_hook_type previous_shmem_startup;

/* ---------------------------------------------------------------- shared memory */

/* What nvmkv_options_cover has found when the server was started: shared memory was sized by it. */
static bool covered;
static unsigned family_slots;
static uint64 family_memtables_bytes;

/* A container holds three write buffers at least. */
#define ENGINE_CONTAINER_BUFFERS 3

/* Write buffers that are too large for the container are made smaller: that costs speed only. */
static void
fit_write_buffers(NvmkvOptions *options, bool complain)
{
	uint64 fits = options->nvm_bytes / ENGINE_CONTAINER_BUFFERS;

	if (options->nvm_bytes == 0 || options->write_buffer_bytes <= fits)
		return;
	options->write_buffer_bytes = fits;
	if (complain)
		ereport(WARNING,
				(errmsg("nvmkv.write_buffer_size is %d kB, and nvmkv.nvm_size is %d MB: write buffers have " UINT64_FORMAT " kB, so that the container can hold %d of them",
						nvmkv_write_buffer_size_kb, nvmkv_nvm_size_mb, fits / 1024, ENGINE_CONTAINER_BUFFERS),
				 errhint("Increase nvmkv.nvm_size, decrease nvmkv.write_buffer_size, or set nvmkv.nvm_size to 0.")));
}

static void
fill_options(NvmkvOptions *options, bool complain)
{
	const char *detail;

	nvmkv_options_default(options);
	options->write_buffer_bytes = (uint64) nvmkv_write_buffer_size_kb * 1024;
	options->max_write_buffers = (unsigned) nvmkv_max_write_buffers;
	options->nvm_bytes = (uint64) nvmkv_nvm_size_mb * 1024 * 1024;
	fit_write_buffers(options, complain);
	options->nvm_path = nvmkv_nvm_path != NULL && nvmkv_nvm_path[0] != '\0' ? nvmkv_nvm_path : NULL;
	options->target_file_bytes = (uint64) nvmkv_target_file_size_kb * 1024;
	options->block_cache_bytes = (uint64) nvmkv_block_cache_size_mb * 1024 * 1024;
	options->bloom_bits_per_key = (unsigned) nvmkv_bloom_bits_per_key;
	options->value_threshold_bytes = (uint32) nvmkv_value_threshold;
	options->prefix_bytes = NVMKV_STORAGE_ID_BYTES;
	options->prefix_is_sequence = true; /* nvmkv_family_new_storage_id */
	options->l0_write_amplification = nvmkv_l0_write_amplification;
	/* It was checked when it was set. */
	(void) nvmkv_parse_compression(nvmkv_compression, options->compression, &detail);
	options->compaction_bytes_per_second = (uint64) nvmkv_compaction_rate_limit_kb * 1024;
	options->process_slots = (unsigned) (MaxBackends + NUM_AUXILIARY_PROCS);
	options->version_slot_bytes = ENGINE_VERSION_BYTES;
	options->max_families = (unsigned) nvmkv_max_column_families;
	options->standalone_log = false;
	/* What the families that there are need, whatever the settings are now: memory is reserved once, at start. */
	if (!covered)
	{
		char dir[MAXPGPATH];

		snprintf(dir, sizeof(dir), "%s/nvmkv", DataDir);
		nvmkv_options_cover(options, dir);
		family_slots = options->family_slots;
		family_memtables_bytes = options->family_memtables_bytes;
		covered = true;
	}
	options->family_slots = family_slots;
	options->family_memtables_bytes = family_memtables_bytes;
}

static Size
engine_bytes(bool complain)
{
	NvmkvOptions options;
	size_t bytes;

	fill_options(&options, complain);
	bytes = nvmkv_shm_bytes(&options);
	if (bytes == 0)
		ereport(FATAL,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("settings of nvmkv_fdw do not fit together"),
				 errdetail("%s", nvmkv_error()->text),
				 errhint("Increase nvmkv.nvm_size, decrease nvmkv.write_buffer_size, or set nvmkv.nvm_size to 0.")));
	return add_size(bytes, PG_CACHE_LINE_SIZE);
}

static void
request_shared_memory(void)
{
	if (previous_shmem_request)
		previous_shmem_request();
	RequestAddinShmemSpace(engine_bytes(true));
	RequestAddinShmemSpace(MAXALIGN(sizeof(EngineShared)));
	nvmkv_latch_shmem_request();
	nvmkv_kept_shmem_request();
	nvmkv_rowid_shmem_request();
	RequestAddinShmemSpace(nvmkv_settle_shmem_bytes());
}

/* What to do when there is no engine. */
static const char *
open_hint(void)
{
	if (shared->is_copy && (shared->open_status == NVMKV_NOT_FOUND || shared->open_status == NVMKV_CORRUPTION))
		return "Make another copy. If the tool is none that the server knows, run SELECT nvmkv.copy_start() on the source, "
			"in a session that stays until the copy is complete, before the tool begins.";
	return "Put right what the message says and restart the server.";
}

/* Remembers, and logs, the engine's last failure as the reason why there is none. */
static void
note_absence(void)
{
	shared->open_status = nvmkv_error()->status;
	strlcpy(shared->open_error, nvmkv_error()->text, sizeof(shared->open_error));
	ereport(LOG,
			(errmsg("nvmkv_fdw: foreign tables are not available: %s", shared->open_error),
			 errhint("%s", open_hint())));
}

static void
open_engine(void *memory)
{
	NvmkvOptions options;
	char dir[MAXPGPATH];
	XLogRecPtr kept_from;
	NvmkvStatus status;

	/* Readable for the group where the cluster is (initdb --allow-group-access). */
	port_file_mode = (mode_t) pg_file_create_mode;
	port_dir_mode = (mode_t) pg_dir_create_mode;
	/* Before there are children: a page of the pool that is gone is an error to who reads it, not the end of all. */
	if (port_guard_install() != NVMKV_OK)
		ereport(LOG,
				(errmsg("nvmkv_fdw: %s", nvmkv_error()->text)));
	fill_options(&options, false);
	options.system_identifier = GetSystemIdentifier();
	options.restore_from = nvmkv_restore_from();
	nvmkv_agreement_options(&options);
	options.first_fxid = nvmkv_settle_first_fxid();
	snprintf(dir, sizeof(dir), "%s/nvmkv", DataDir);
	if (engine != NULL)
		nvmkv_close(engine);
	engine = NULL;
	shared->is_copy = options.restore_from != 0;
	status = nvmkv_kept_find(&kept_from);
	if (kept_from != InvalidXLogRecPtr)
		options.log_begin = kept_from; /* it comes before the log, and with it the log goes on */
	if (nvmkv_ignore_lost_wal)
	{
		options.log_begin = 0;
		ereport(WARNING,
				(errmsg("nvmkv_fdw: WAL of foreign tables may be lost without a further word"),
				 errdetail("\"nvmkv.ignore_lost_wal\" is on.")));
	}
	if (status == NVMKV_OK)
		status = nvmkv_open(memory, dir, &options, nvmkv_wal_ops(), &engine);
	shared->opened = status == NVMKV_OK;
	if (status != NVMKV_OK)
		note_absence();
	nvmkv_restore_note(options.restore_from, shared->opened);
	if (status == NVMKV_OK)
		nvmkv_set_txn_ops(engine, nvmkv_txn_ops());
	/* What may be different next time must be so before the label is used up, and recovery goes on without us. */
	else if (shared->is_copy && shared->open_status != NVMKV_CORRUPTION && shared->open_status != NVMKV_NOT_FOUND)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the foreign tables of this copy of a server cannot be opened"),
				 errdetail("%s", shared->open_error),
				 errhint("%s", open_hint())));
}

static void
start_shared_memory(void)
{
	bool found;
	void *memory;

	if (previous_shmem_startup)
		previous_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("nvmkv engine state", sizeof(EngineShared), &found);
	memory = (void *) CACHELINEALIGN(ShmemInitStruct("nvmkv engine", engine_bytes(false), &found));
	if (!found)
	{
		memset(shared, 0, sizeof(*shared));
		shared->tranche = LWLockNewTrancheId();
		pg_atomic_init_u32(&shared->state, ENGINE_CLOSED);
		pg_atomic_init_u32(&shared->refuses, 0);
		ConditionVariableInit(&shared->state_changed);
	}
	port_pg_tranche = shared->tranche;
	LWLockRegisterTranche(port_pg_tranche, PORT_PG_TRANCHE_NAME);
	LWLockRelease(AddinShmemInitLock);
	nvmkv_latch_shmem_init();
	nvmkv_kept_shmem_init();
	nvmkv_rowid_shmem_init();
	if (!found)
	{
		open_engine(memory);
		nvmkv_settle_guard_init(nvmkv_engine_or_null());
	}
}

void
nvmkv_engine_init(void)
{
	previous_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	previous_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shared_memory;
}

/* ---------------------------------------------------------------- is there one? */

NvmkvDb *
nvmkv_engine_or_null(void)
{
	return shared != NULL && shared->opened ? engine : NULL;
}

NvmkvDb *
nvmkv_engine_held(void)
{
	return engine;
}

static void report_absence(void) pg_attribute_noreturn();

static void
report_absence(void)
{
	if (shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nvmkv_fdw is not loaded at server start"),
				 errhint("Add nvmkv_fdw to shared_preload_libraries and restart the server.")));
	ereport(ERROR,
			(errcode(shared->open_status == NVMKV_CORRUPTION ? ERRCODE_DATA_CORRUPTED
					 : shared->open_status == NVMKV_NO_SPACE ? ERRCODE_DISK_FULL
															 : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("foreign tables of nvmkv_fdw are not available"),
			 errdetail("%s", shared->open_error),
			 errhint("%s", open_hint())));
}

/* ---------------------------------------------------------------- writers */

void
nvmkv_engine_without_barrier(int needed)
{
	workers_needed = needed;
}

static void
set_state(EngineState state)
{
	pg_atomic_write_u32(&shared->state, state);
	ConditionVariableBroadcast(&shared->state_changed);
}

void
nvmkv_engine_open_writes(void)
{
	nvmkv_open_gate(engine);
	set_state(ENGINE_READY);
}

void
nvmkv_engine_refuse(const char *reason)
{
	strlcpy(shared->refusal, reason, sizeof(shared->refusal));
	pg_write_barrier();
	pg_atomic_write_u32(&shared->refuses, 1);
	ConditionVariableBroadcast(&shared->state_changed);
	ereport(LOG,
			(errmsg("nvmkv_fdw: foreign tables are not available: %s", reason)));
}

static void
report_refusal(void)
{
	if (pg_atomic_read_u32(&shared->refuses) == 0)
		return;
	pg_read_barrier();
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("foreign tables of nvmkv_fdw are not available"),
			 errdetail("%s", shared->refusal),
			 errhint("Directory \"nvmkv\" and the rest of the data directory are of different times: restore both from one backup, or raise the next transaction id with pg_resetwal.")));
}

NvmkvStatus
nvmkv_engine_close_writes(void)
{
	set_state(ENGINE_CLOSED);
	return nvmkv_close_gate(engine);
}

bool
nvmkv_engine_writes_are_closed(void)
{
	return pg_atomic_read_u32(&shared->state) == ENGINE_CLOSED;
}

/*
 * Single-user mode: this process has asked for being flushed at its end; it has let itself in; it has flushed before it
 * ends.
 */
static bool will_flush = false;
static bool let_in = false;
static bool flushed_at_exit = false;

void
nvmkv_engine_before_commit(void)
{
	if (!let_in)
		return;
	nvmkv_settle_now(engine);
	nvmkv_check_status(nvmkv_engine_close_writes(), "flushing foreign tables", NULL);
	nvmkv_check_status(nvmkv_flush_all(engine), "flushing foreign tables", NULL);
	nvmkv_check_status(nvmkv_log_closes(engine), "flushing foreign tables", NULL);
	let_in = false;
}

/* Before the shutdown checkpoint of a server without workers. */
static void
flush_at_exit(int code, Datum arg)
{
	if (nvmkv_engine_close_writes() != NVMKV_OK || nvmkv_flush_all(engine) != NVMKV_OK ||
		nvmkv_log_closes(engine) != NVMKV_OK)
		ereport(PANIC,
				(errcode(ERRCODE_IO_ERROR),
				 errmsg("could not flush foreign tables before the shutdown checkpoint"),
				 errdetail("%s", nvmkv_error()->text)));
	flushed_at_exit = true;
}

/*
 * Runs after flush_at_exit, also when that was left by an error: at exit an ERROR skips the rest of one callback
 * only.
 */
static void
check_at_exit(int code, Datum arg)
{
	if (!flushed_at_exit)
		ereport(PANIC,
				(errmsg("foreign tables were not flushed before the shutdown checkpoint")));
}

/* An ERROR if what was kept cannot be replayed for the time being, which may last. */
static void
report_obstacle(void)
{
	const char *why;
	NvmkvStatus status = nvmkv_kept_obstacle(&why);

	if (status != NVMKV_OK && nvmkv_kept_is_pending())
		ereport(ERROR,
				(errcode(status == NVMKV_NO_SPACE ? ERRCODE_DISK_FULL : ERRCODE_CANNOT_CONNECT_NOW),
				 errmsg("foreign tables of nvmkv_fdw are not available yet"),
				 errdetail("WAL that was kept for them has to be replayed first: %s", why),
				 errhint("Put that right: the replay is tried again by itself.")));
}

/* In recovery there is no barrier, and nobody to write. */
static bool
must_wait(void)
{
	return nvmkv_kept_is_pending() || (nvmkv_engine_writes_are_closed() && !RecoveryInProgress());
}

/* Returns when the barrier is up, or when it is of no concern (recovery), and what was kept has been replayed. */
static void
wait_until_ready(void)
{
	TimestampTz give_up;

	if (!IsUnderPostmaster)
	{
		if (!will_flush)
		{
			const char *objection;

			if (nvmkv_kept_is_pending() && nvmkv_kept_replay(engine, InvalidXLogRecPtr) != NVMKV_OK)
			{
				nvmkv_engine_give_up();
				report_absence();
			}
			objection = nvmkv_settle_objection(engine);
			if (objection != NULL)
				nvmkv_engine_refuse(objection);
			report_refusal();
			before_shmem_exit(check_at_exit, (Datum) 0);
			before_shmem_exit(flush_at_exit, (Datum) 0);
			will_flush = true;
		}
		if (!let_in)
		{
			nvmkv_check_status(nvmkv_agreement_open(engine), "opening foreign tables for writing", NULL);
			nvmkv_engine_open_writes();
		}
		let_in = true;
		return;
	}
	if (!must_wait())
		return;
	if (workers_needed != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("nvmkv_fdw cannot run its background workers"),
				 errdetail("It needs %d, and max_worker_processes leaves no room for them.", workers_needed),
				 errhint("Increase max_worker_processes and restart the server.")));
	give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ENGINE_START_TIMEOUT_MS);
	ConditionVariablePrepareToSleep(&shared->state_changed);
	while (must_wait())
	{
		if (nvmkv_engine_or_null() == NULL)
		{
			ConditionVariableCancelSleep();
			report_absence();
		}
		report_refusal();
		report_obstacle();
		if (!ConditionVariableTimedSleep(&shared->state_changed, 1000, PG_WAIT_EXTENSION) ||
			GetCurrentTimestamp() <= give_up)
			continue;
		if (nvmkv_kept_is_pending())
			ereport(ERROR,
					(errcode(ERRCODE_CANNOT_CONNECT_NOW),
					 errmsg("foreign tables of nvmkv_fdw are not available yet"),
					 errdetail("WAL that was kept for them has to be replayed first."),
					 errhint("Try again later; the server's log tells when it begins and ends.")));
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the background workers of nvmkv_fdw are not running"),
				 errhint("Look for their messages in the server's log, and leave room for them in max_worker_processes.")));
	}
	ConditionVariableCancelSleep();
}

/* ---------------------------------------------------------------- the handle */

NvmkvDb *
nvmkv_engine(void)
{
	if (unlikely(nvmkv_engine_or_null() == NULL))
		report_absence();
	wait_until_ready();
	if (unlikely(nvmkv_engine_or_null() == NULL))
		report_absence();
	return engine;
}

bool
nvmkv_engine_is_preloaded(void)
{
	return shared != NULL;
}

void
nvmkv_engine_require_preload(void)
{
	if (!nvmkv_engine_is_preloaded() && !IsBinaryUpgrade)
		report_absence();
}

const char *
nvmkv_engine_absence(void)
{
	if (nvmkv_engine_or_null() != NULL)
		return NULL;
	return !nvmkv_engine_is_preloaded() ? "the library is not loaded at server start" : shared->open_error;
}

void
nvmkv_engine_give_up(void)
{
	note_absence();
	pg_write_barrier();
	shared->opened = false;
	ConditionVariableBroadcast(&shared->state_changed);
}

/* ---------------------------------------------------------------- errors */

static int
sqlstate_of(NvmkvStatus status, int sys_errno)
{
	switch (status)
	{
		case NVMKV_CORRUPTION:
			return ERRCODE_DATA_CORRUPTED;
		case NVMKV_NO_SPACE:
			return ERRCODE_DISK_FULL;
		case NVMKV_NO_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case NVMKV_LIMIT:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case NVMKV_READ_ONLY:
			return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		case NVMKV_NOT_SUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case NVMKV_IO:
			return ERRCODE_IO_ERROR;
		case NVMKV_CANCELLED:
			return ERRCODE_QUERY_CANCELED;
		case NVMKV_BUSY:
			return ERRCODE_OBJECT_IN_USE;
		case NVMKV_OK:
		case NVMKV_NOT_FOUND:
		case NVMKV_INVALID:
		case NVMKV_VERSION:
			break;
	}
	return ERRCODE_INTERNAL_ERROR;
}

static const char *
hint_of(NvmkvStatus status)
{
	switch (status)
	{
		case NVMKV_CORRUPTION:
			return "Run nvmkv.check() to see what else is damaged, and restore from a backup.";
		case NVMKV_NO_SPACE:
			return "Make space on the file system of the data directory or the container; writes go on by themselves then.";
		default:
			return NULL;
	}
}

void
nvmkv_check_status(NvmkvStatus status, const char *doing, const char *object)
{
	const NvmkvError *error = nvmkv_error();
	const char *hint = hint_of(status);

	if (likely(status == NVMKV_OK))
		return;
	if (status == NVMKV_CANCELLED)
		CHECK_FOR_INTERRUPTS();
	ereport(ERROR,
			(errcode(sqlstate_of(status, error->sys_errno)),
			 object != NULL ? errmsg("%s \"%s\" failed", doing, object) : errmsg("%s failed", doing),
			 errdetail("%s", error->text),
			 hint != NULL ? errhint("%s", hint) : 0));
}
