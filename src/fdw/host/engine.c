/*
 * engine.c
 *	  The engine's handle in every process, and what shared memory says of it.
 *
 * The postmaster opens the engine (start.c) before it has any child; children
 * inherit handle and mapping.  If opening fails the server starts all the
 * same, because everything else in it is sound: the reason is kept in shared
 * memory and told to whoever uses a foreign table.  Recovery keeps the WAL of
 * foreign tables then (kept.h), and so it does when the engine fails in the
 * midst of it.
 *
 * Writers are let in by the checkpoint barrier and kept out without it, since
 * a checkpoint that nobody holds back would cut off WAL whose entries are in
 * no file yet.  While the barrier is away - at the start, at the end, or because
 * somebody has terminated it - sessions wait (ready.c).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "engine/port/port_pg.h"
#include "fdw/host/engine.h"

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
	pg_atomic_uint32 state_changes;
	char refusal[NVMKV_ERROR_TEXT_MAX]; /* why the barrier lets nobody in, complete when it says so */
	pg_atomic_uint32 refuses;
	ConditionVariable changes;
} EngineShared;

static EngineShared *shared;
static NvmkvDb *engine;

/* ---------------------------------------------------------------- shared memory */

void
nvmkv_engine_shmem_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(EngineShared)));
}

bool
nvmkv_engine_shmem_init(void)
{
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("nvmkv engine state", sizeof(EngineShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(*shared));
		shared->tranche = LWLockNewTrancheId();
		pg_atomic_init_u32(&shared->state, ENGINE_CLOSED);
		pg_atomic_init_u32(&shared->state_changes, 0);
		pg_atomic_init_u32(&shared->refuses, 0);
		ConditionVariableInit(&shared->changes);
	}
	port_pg_tranche = shared->tranche;
	LWLockRegisterTranche(port_pg_tranche, PORT_PG_TRANCHE_NAME);
	LWLockRelease(AddinShmemInitLock);
	return !found;
}

ConditionVariable *
nvmkv_engine_changes(void)
{
	return &shared->changes;
}

/* ---------------------------------------------------------------- opening */

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

void
nvmkv_engine_begin_open(bool is_copy)
{
	if (engine != NULL)
		nvmkv_close(engine);
	engine = NULL;
	shared->is_copy = is_copy;
}

void
nvmkv_engine_end_open(NvmkvDb *db)
{
	engine = db;
	shared->opened = db != NULL;
	if (db == NULL)
		note_absence();
}

void
nvmkv_engine_check_copy(void)
{
	if (shared->opened || !shared->is_copy || shared->open_status == NVMKV_CORRUPTION ||
		shared->open_status == NVMKV_NOT_FOUND)
		return;
	ereport(FATAL,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the foreign tables of this copy of a server cannot be opened"),
			 errdetail("%s", shared->open_error),
			 errhint("%s", open_hint())));
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

void
nvmkv_engine_report_absence(void)
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

/* Who sees the new state sees that it has changed, too. */
static void
set_state(EngineState state)
{
	(void) pg_atomic_fetch_add_u32(&shared->state_changes, 1);
	pg_atomic_write_u32(&shared->state, state);
	ConditionVariableBroadcast(&shared->changes);
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
	ConditionVariableBroadcast(&shared->changes);
	ereport(LOG,
			(errmsg("nvmkv_fdw: foreign tables are not available: %s", reason)));
}

void
nvmkv_engine_report_refusal(void)
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

uint32
nvmkv_engine_writes_changes(void)
{
	uint32 changes;

	/* After what the caller has looked at, and before what it looks at next. */
	pg_read_barrier();
	changes = pg_atomic_read_u32(&shared->state_changes);
	pg_read_barrier();
	return changes;
}

/* ---------------------------------------------------------------- the handle */

bool
nvmkv_engine_is_preloaded(void)
{
	return shared != NULL;
}

void
nvmkv_engine_require_preload(void)
{
	if (!nvmkv_engine_is_preloaded() && !IsBinaryUpgrade)
		nvmkv_engine_report_absence();
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
	ConditionVariableBroadcast(&shared->changes);
}

