/*
 * copy.c
 *	  Copies of the running server's files: see copy.h.
 *
 * The list has an element for each process, by its number.  It is changed by
 * that process, by the barrier, and by the flush worker, under one lock, with
 * the engine's stamps (engine/db/backup.c).
 */
#include "postgres.h"

/* Its headers need not be there: what they are included for has the same layout without them (libpq-be.h). */
#undef ENABLE_GSS

#include <signal.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "commands/prepare.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/auth.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/pg_lsn.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "engine/port/port_pg.h"
#include "fdw/host/copy.h"
#include "fdw/host/engine.h"
#include "fdw/host/guc.h"
#include "fdw/host/resultrow.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_copies);
PG_FUNCTION_INFO_V1(nvmkv_sql_copy_start);
PG_FUNCTION_INFO_V1(nvmkv_sql_copy_stop);

/* Why a process copies; it may have several reasons. */
#define COPY_WALSENDER	(1 << 0)
#define COPY_BACKUP		(1 << 1)	/* between pg_backup_start() and pg_backup_stop() */
#define COPY_REWIND		(1 << 2)
#define COPY_SESSION	(1 << 3)	/* nvmkv.copy_start() */

/* Those that may be about to begin, at a checkpoint of their own or of the past. */
#define COPY_FROM_CHECKPOINT (COPY_WALSENDER | COPY_BACKUP)

/* A point this old or younger serves further copies, while the one lives that it was made for. */
#define POINT_SHARED_MS 60000

/* What pg_rewind of this server's version prepares before it looks at any file; it has no name of its own. */
#define REWIND_STATEMENT "fetch_chunks_stmt"
#define REWIND_QUERY_PART "pg_read_binary_file(path, begin, len, true) AS chunk"
#define BACKUP_APPLICATION "pg_basebackup"

/* What copies may keep beside tables of so many bytes, when no limit is set. */
#define SPACE_LIMIT_BYTES_MIN (UINT64CONST(1) << 30)

typedef struct Copy
{
	int pid; /* 0: none */
	int kinds;
	bool started;	/* of pg_backup_start(): it has begun, and needs no further point */
	uint64 stamp;
	TimestampTz since;
	XLogRecPtr position;	/* of the last point that it may use; invalid: there is none yet */
	char broken[256];		/* not empty: why nothing is kept for it any more */
} Copy;

typedef struct CopyShared
{
	LWLock lock;
	/* the last point */
	XLogRecPtr position;
	uint64 stamp;
	TimestampTz made;
	Copy copies[FLEXIBLE_ARRAY_MEMBER]; /* MaxBackends */
} CopyShared;

static CopyShared *shared;
static shmem_request_hook_type previous_shmem_request;
static shmem_startup_hook_type previous_shmem_startup;
static ClientAuthentication_hook_type previous_client_authentication;

/* ---------------------------------------------------------------- the list */

static Copy *
my_copy(void)
{
	return &shared->copies[MyProc->pgprocno];
}

static WalSndState
walsender_state(int pid)
{
	WalSndState state = WALSNDSTATE_STARTUP;

	for (int i = 0; i < max_wal_senders; i++)
	{
		WalSnd *walsnd = &WalSndCtl->walsnds[i];

		SpinLockAcquire(&walsnd->mutex);
		if (walsnd->pid == pid)
			state = walsnd->state;
		SpinLockRelease(&walsnd->mutex);
	}
	return state;
}

/* On a standby a walsender that has not said what it wants may be about to begin. */
static bool
walsender_copies(int pid)
{
	WalSndState state = walsender_state(pid);

	return state == WALSNDSTATE_BACKUP || (state == WALSNDSTATE_STARTUP && RecoveryInProgress());
}

static bool
is_needed(const Copy *copy)
{
	return copy->pid != 0 && copy->broken[0] == '\0';
}

/* REQUIRES the lock: the engine learns which copy is the oldest. */
static void
tell_engine(NvmkvDb *db)
{
	uint64 oldest = 0;

	for (int i = 0; i < MaxBackends; i++)
	{
		const Copy *copy = &shared->copies[i];

		if (is_needed(copy) && (oldest == 0 || copy->stamp < oldest))
			oldest = copy->stamp;
	}
	nvmkv_copy_oldest(db, oldest);
}

/* REQUIRES the lock. */
static void
end_kind(NvmkvDb *db, Copy *copy, int kind)
{
	copy->kinds &= ~kind;
	if (copy->kinds == 0)
	{
		copy->pid = 0;
		tell_engine(db);
	}
}

/* A process begins to copy, or has one more reason to. */
static void
add_kind(NvmkvDb *db, int pgprocno, int pid, int kind)
{
	Copy *copy = &shared->copies[pgprocno];

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (copy->pid != pid || copy->broken[0] != '\0')
	{
		memset(copy, 0, sizeof(*copy));
		copy->since = GetCurrentTimestamp();
		copy->stamp = nvmkv_copy_begin(db);
		copy->pid = pid;
	}
	copy->kinds |= kind;
	if ((kind & COPY_FROM_CHECKPOINT) != 0)
	{
		/* A point of the past may be before what it will begin at. */
		copy->started = false;
		copy->position = InvalidXLogRecPtr;
	}
	LWLockRelease(&shared->lock);
}

/* What is not ended by its own process: those that were killed, walsenders. */
static void
end_gone(NvmkvDb *db)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MaxBackends; i++)
	{
		Copy *copy = &shared->copies[i];

		if (copy->pid == 0)
			continue;
		if (((volatile PGPROC *) &ProcGlobal->allProcs[i])->pid != copy->pid)
			end_kind(db, copy, copy->kinds);
		else if ((copy->kinds & COPY_WALSENDER) != 0 && !walsender_copies(copy->pid))
			end_kind(db, copy, COPY_WALSENDER);
	}
	LWLockRelease(&shared->lock);
}

/* Walsenders that make a base backup and are not in the list: calls "unlisted" with each. */
static void
each_unlisted_backup(NvmkvDb *db, void (*unlisted) (NvmkvDb *db, int pgprocno, int pid))
{
	for (int i = 0; i < max_wal_senders; i++)
	{
		WalSnd *walsnd = &WalSndCtl->walsnds[i];
		int pid;
		bool copies;

		SpinLockAcquire(&walsnd->mutex);
		pid = walsnd->pid;
		copies = pid != 0 && walsnd->state == WALSNDSTATE_BACKUP;
		SpinLockRelease(&walsnd->mutex);
		for (int p = 0; copies && p < MaxBackends; p++)
			if (((volatile PGPROC *) &ProcGlobal->allProcs[p])->pid == pid &&
				!(shared->copies[p].pid == pid && (shared->copies[p].kinds & COPY_WALSENDER) != 0))
				unlisted(db, p, pid);
	}
}

/* ---------------------------------------------------------------- breaking */

/* Nothing is kept for the copy any more; its session learns of it now or at its end. */
static void
break_copy(NvmkvDb *db, int pgprocno, uint64 stamp, const char *why)
{
	Copy *copy = &shared->copies[pgprocno];
	bool terminate = false;
	bool cancel = false;
	int pid = 0;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (is_needed(copy) && copy->stamp == stamp)
	{
		pid = copy->pid;
		strlcpy(copy->broken, why, sizeof(copy->broken));
		tell_engine(db);
		/* The others ask at their end, and may have something else to do before. */
		terminate = (copy->kinds & (COPY_WALSENDER | COPY_REWIND)) != 0;
		/* In pg_backup_start() it had better not return. */
		cancel = !terminate && (copy->kinds & COPY_BACKUP) != 0 && !copy->started;
		if ((terminate || cancel) && ((volatile PGPROC *) &ProcGlobal->allProcs[pgprocno])->pid == pid)
			(void) kill(pid, terminate ? SIGTERM : SIGINT);
	}
	LWLockRelease(&shared->lock);
	if (pid != 0)
		ereport(LOG,
				(errmsg("the copy of the data directory that process %d makes cannot be used", pid),
				 errdetail("%s", why),
				 terminate ? errhint("The process was terminated.") : cancel ? errhint("Its statement was cancelled.") : 0));
}

void
nvmkv_copies_break(NvmkvDb *db, const char *why)
{
	for (int i = 0; i < MaxBackends; i++)
		break_copy(db, i, shared->copies[i].stamp, why);
}

/* ---------------------------------------------------------------- points */

/* Does the copy need points at checkpoints yet to come? */
static bool
may_begin(const Copy *copy)
{
	return is_needed(copy) && (copy->kinds & COPY_FROM_CHECKPOINT) != 0 && !copy->started;
}

/* Flushes, drains, and describes what there is, for all copies that are in the list by now. */
static NvmkvStatus
make_point(NvmkvDb *db)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64_t position;
	uint64 stamp = 0;

	LWLockAcquire(&shared->lock, LW_SHARED);
	for (int i = 0; i < MaxBackends; i++)
		if (shared->copies[i].pid != 0)
			stamp = Max(stamp, shared->copies[i].stamp);
	LWLockRelease(&shared->lock);

	NVMKV_RETURN_IF(nvmkv_copy_point(db, &position));

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (stamp >= shared->stamp)
	{
		shared->position = position;
		shared->stamp = stamp;
		shared->made = now;
	}
	for (int i = 0; i < MaxBackends; i++)
	{
		Copy *copy = &shared->copies[i];

		if (copy->pid != 0 && copy->stamp <= stamp)
			copy->position = Max(copy->position, position);
	}
	LWLockRelease(&shared->lock);
	return NVMKV_OK;
}

/*
 * A copy that has just been entered and has no point takes over the last one, with all that is kept for it, if that is
 * not old and still needed by somebody for whom points are made at each checkpoint: then it is behind the last
 * restartpoint.
 */
static bool
share_point(void)
{
	Copy *mine = my_copy();
	bool is_kept = false;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (shared->stamp != 0 && !TimestampDifferenceExceeds(shared->made, GetCurrentTimestamp(), POINT_SHARED_MS))
		for (int i = 0; i < MaxBackends && !is_kept; i++)
		{
			const Copy *other = &shared->copies[i];

			is_kept = other != mine && may_begin(other) && other->stamp <= shared->stamp &&
				other->position == shared->position;
		}
	if (is_kept)
	{
		mine->stamp = Min(mine->stamp, shared->stamp);
		mine->position = shared->position;
	}
	LWLockRelease(&shared->lock);
	return is_kept;
}

/* This process is in the list: sees to it that it has a point. */
static NvmkvStatus
get_point(NvmkvDb *db)
{
	if (my_copy()->position != InvalidXLogRecPtr || share_point())
		return NVMKV_OK;
	return make_point(db);
}

static void
add_walsender(NvmkvDb *db, int pgprocno, int pid)
{
	add_kind(db, pgprocno, pid, COPY_WALSENDER);
}

/* Is there a copy that may begin at a checkpoint with this redo point, and has no point at or behind it? */
static bool
point_is_wanted(XLogRecPtr redo)
{
	bool wanted = false;

	LWLockAcquire(&shared->lock, LW_SHARED);
	for (int i = 0; i < MaxBackends && !wanted; i++)
	{
		const Copy *copy = &shared->copies[i];

		wanted = may_begin(copy) && copy->position < redo;
	}
	LWLockRelease(&shared->lock);
	return wanted;
}

/* There is no point for those that are about to begin: better they do not. */
static void
break_beginners(NvmkvDb *db)
{
	char why[sizeof(((Copy *) 0)->broken)];

	snprintf(why, sizeof(why), "Foreign tables could not be drained: %s", nvmkv_error()->text);
	for (int i = 0; i < MaxBackends; i++)
		if (may_begin(&shared->copies[i]))
			break_copy(db, i, shared->copies[i].stamp, why);
}

NvmkvStatus
nvmkv_copies_at_checkpoint(NvmkvDb *db)
{
	end_gone(db);
	each_unlisted_backup(db, add_walsender);
	if (point_is_wanted(PG_UINT64_MAX))
	{
		NvmkvStatus status = make_point(db);

		if (status == NVMKV_OK || status == NVMKV_CANCELLED)
			return status;
		/* The checkpoint is not only theirs. */
		break_beginners(db);
	}
	return nvmkv_flush_all(db);
}

bool
nvmkv_copies_need_point(void)
{
	return point_is_wanted(PG_UINT64_MAX);
}

void
nvmkv_copies_before_redo(NvmkvDb *db, XLogRecPtr redo)
{
	end_gone(db);
	if (point_is_wanted(redo) && make_point(db) != NVMKV_OK)
		break_beginners(db);
}

/* ---------------------------------------------------------------- sessions */

static void
end_mine(int code, Datum arg)
{
	NvmkvDb *db = nvmkv_engine_or_null();

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (my_copy()->pid == MyProcPid && db != NULL)
		end_kind(db, my_copy(), my_copy()->kinds);
	LWLockRelease(&shared->lock);
}

static void
end_my_kind(NvmkvDb *db, int kind)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (my_copy()->pid == MyProcPid)
		end_kind(db, my_copy(), kind);
	LWLockRelease(&shared->lock);
}

/* At the end of a transaction: has the backup begun, or ended? */
static void
look_at_backup(XactEvent event, void *arg)
{
	NvmkvDb *db = nvmkv_engine_or_null();
	Copy *mine = my_copy();

	if (db == NULL || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT) || mine->pid != MyProcPid ||
		(mine->kinds & COPY_BACKUP) == 0)
		return;
	if (get_backup_status() == SESSION_BACKUP_NONE)
		end_my_kind(db, COPY_BACKUP);
	else
		mine->started = true;
}

static void
begin_mine(NvmkvDb *db, int kind)
{
	static bool registered = false;

	if (!registered)
	{
		before_shmem_exit(end_mine, (Datum) 0);
		RegisterXactCallback(look_at_backup, NULL);
		registered = true;
	}
	add_kind(db, MyProc->pgprocno, MyProcPid, kind);
}

/* The point is needed here and now; without it there is no copy. */
static void
begin_with_point(int kind)
{
	NvmkvDb *db = nvmkv_engine();
	NvmkvStatus status;

	begin_mine(db, kind);
	status = get_point(db);
	if (status != NVMKV_OK)
	{
		end_my_kind(db, kind);
		nvmkv_check_status(status, "draining foreign tables for a copy of the data directory", NULL);
	}
}

static void
refuse_if_broken(const char *advice)
{
	const Copy *mine = my_copy();

	if (mine->pid == MyProcPid && mine->broken[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this copy of the data directory cannot be used"),
				 errdetail("%s", mine->broken),
				 errhint("%s", advice)));
}

static void
before_backup_start(void)
{
	if (RecoveryInProgress())
		begin_with_point(COPY_BACKUP);
	else
		begin_mine(nvmkv_engine(), COPY_BACKUP); /* its checkpoint waits until the barrier has made the point */
}

static bool
is_rewind(void)
{
	PreparedStatement *prepared = FetchPreparedStatement(REWIND_STATEMENT, false);

	return prepared != NULL && strstr(prepared->plansource->query_string, REWIND_QUERY_PART) != NULL;
}

void
nvmkv_copy_before_function(Oid function)
{
	switch (function)
	{
		case F_PG_BACKUP_START:
		case F_PG_BACKUP_STOP:
		case F_PG_LS_DIR_TEXT:
		case F_PG_LS_DIR_TEXT_BOOL_BOOL:
		case F_PG_READ_BINARY_FILE_TEXT:
		case F_PG_READ_BINARY_FILE_TEXT_INT8_INT8:
		case F_PG_READ_BINARY_FILE_TEXT_INT8_INT8_BOOL:
			break;
		default:
			return;
	}
	/* Where the engine is not open nothing changes; the copy is as good as what it was made of. */
	if (shared == NULL || MyProc == NULL || IsParallelWorker() || !IsUnderPostmaster || nvmkv_engine_or_null() == NULL)
		return;
	if (function == F_PG_BACKUP_START)
		before_backup_start();
	else if (function == F_PG_BACKUP_STOP)
		refuse_if_broken("End the session, and begin the backup anew.");
	else if (!(my_copy()->pid == MyProcPid && (my_copy()->kinds & COPY_REWIND) != 0) && is_rewind())
		begin_with_point(COPY_REWIND);
}

/* ---------------------------------------------------------------- walsenders of a standby */

/*
 * In the walsender, which is about to take commands.  What a client may take to show who it is does not limit this; a
 * cancelled or terminated one ends here.
 */
static void
begin_walsender(NvmkvDb *db, const Port *port)
{
	NvmkvStatus status;

	begin_mine(db, COPY_WALSENDER);
	disable_timeout(STATEMENT_TIMEOUT, false);
	status = get_point(db);
	CHECK_FOR_INTERRUPTS();
	enable_timeout_after(STATEMENT_TIMEOUT, AuthenticationTimeout * 1000);
	if (status == NVMKV_OK)
		return;
	nvmkv_abort_cleanup(db);
	if (port->application_name != NULL && strcmp(port->application_name, BACKUP_APPLICATION) == 0)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("foreign tables could not be drained for a base backup"),
				 errdetail("%s", nvmkv_error()->text)));
	/* It may be a standby, which needs none of this.  If it turns out to make a backup, it is terminated. */
	ereport(LOG,
			(errmsg("foreign tables could not be drained for a base backup"),
			 errdetail("%s", nvmkv_error()->text)));
	end_my_kind(db, COPY_WALSENDER);
}

static void
client_authentication(Port *port, int status)
{
	NvmkvDb *db = nvmkv_engine_or_null();

	if (previous_client_authentication != NULL)
		previous_client_authentication(port, status);
	if (status == STATUS_OK && am_walsender && db != NULL && RecoveryInProgress())
		begin_walsender(db, port);
}

/* ---------------------------------------------------------------- tending */

static uint64
space_limit(const NvmkvCopyHeld *held)
{
	if (nvmkv_copy_space_limit_mb == 0)
		return PG_UINT64_MAX;
	if (nvmkv_copy_space_limit_mb > 0)
		return (uint64) nvmkv_copy_space_limit_mb << 20;
	return Max(held->tree_bytes, SPACE_LIMIT_BYTES_MIN);
}

/* The oldest copy, if all that is kept is more than may be. */
static bool
oldest_is_too_large(NvmkvDb *db, int *pgprocno_out, uint64 *stamp_out, NvmkvCopyHeld *held_out)
{
	*pgprocno_out = -1;
	LWLockAcquire(&shared->lock, LW_SHARED);
	for (int i = 0; i < MaxBackends; i++)
	{
		const Copy *copy = &shared->copies[i];

		if (is_needed(copy) && (*pgprocno_out < 0 || copy->stamp < *stamp_out))
		{
			*pgprocno_out = i;
			*stamp_out = copy->stamp;
		}
	}
	LWLockRelease(&shared->lock);
	if (*pgprocno_out < 0)
		return false;
	nvmkv_copy_held(db, *stamp_out, held_out);
	return held_out->is_full || held_out->bytes > space_limit(held_out);
}

/* In recovery, a backup that was not seen to begin: its point may be missing. */
static void
terminate_walsender(NvmkvDb *db, int pgprocno, int pid)
{
	ereport(LOG,
			(errmsg("terminating the base backup of process %d", pid),
			 errdetail("It could not be used: foreign tables were not drained for it before it began."),
			 errhint("Try again, in a new connection.")));
	(void) kill(pid, SIGTERM);
}

void
nvmkv_copies_tend(NvmkvDb *db)
{
	NvmkvCopyHeld held;
	int pgprocno;
	uint64 stamp;

	end_gone(db);
	if (RecoveryInProgress())
		each_unlisted_backup(db, terminate_walsender);
	nvmkv_copy_release(db);
	while (oldest_is_too_large(db, &pgprocno, &stamp, &held))
	{
		char why[128];

		snprintf(why, sizeof(why), held.is_full ? "Too many files (" UINT64_FORMAT ", " UINT64_FORMAT " kB) were kept for it." :
				 "The " UINT64_FORMAT " files (" UINT64_FORMAT " kB) that were kept for it exceed nvmkv.copy_space_limit.",
				 (uint64) held.files, (uint64) held.bytes / 1024);
		break_copy(db, pgprocno, stamp, why);
		nvmkv_copy_release(db);
	}
}

/* ---------------------------------------------------------------- SQL */

static const char *
kind_name(int kinds)
{
	if ((kinds & COPY_BACKUP) != 0)
		return "pg_backup_start";
	if ((kinds & COPY_WALSENDER) != 0)
		return "base backup";
	if ((kinds & COPY_REWIND) != 0)
		return "pg_rewind";
	return "copy_start";
}

Datum
nvmkv_sql_copies(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	NvmkvResultRow row = {0};
	Copy *copies = palloc(MaxBackends * sizeof(Copy));

	InitMaterializedSRF(fcinfo, 0);
	LWLockAcquire(&shared->lock, LW_SHARED);
	memcpy(copies, shared->copies, MaxBackends * sizeof(Copy));
	LWLockRelease(&shared->lock);
	for (int i = 0; i < MaxBackends; i++)
	{
		NvmkvCopyHeld held = {0};

		if (copies[i].pid == 0)
			continue;
		if (is_needed(&copies[i]))
			nvmkv_copy_held(db, copies[i].stamp, &held);
		nvmkv_result_put(&row, Int32GetDatum(copies[i].pid));
		nvmkv_result_put_text(&row, kind_name(copies[i].kinds));
		nvmkv_result_put(&row, TimestampTzGetDatum(copies[i].since));
		if (copies[i].position != InvalidXLogRecPtr)
			nvmkv_result_put(&row, LSNGetDatum(copies[i].position));
		else
			nvmkv_result_put_null(&row);
		nvmkv_result_put_int8(&row, held.files);
		nvmkv_result_put_int8(&row, held.bytes);
		if (copies[i].broken[0] != '\0')
			nvmkv_result_put_text(&row, copies[i].broken);
		else
			nvmkv_result_put_null(&row);
		nvmkv_result_emit(fcinfo, &row);
	}
	return (Datum) 0;
}

static void
need_workers(void)
{
	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("copies cannot be made in single-user mode"),
				 errhint("Stop the server and copy its directory.")));
}

Datum
nvmkv_sql_copy_start(PG_FUNCTION_ARGS)
{
	need_workers();
	begin_with_point(COPY_SESSION);
	PG_RETURN_LSN(my_copy()->position);
}

Datum
nvmkv_sql_copy_stop(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	bool is_mine;
	char broken[sizeof(((Copy *) 0)->broken)];

	need_workers();
	is_mine = my_copy()->pid == MyProcPid && (my_copy()->kinds & COPY_SESSION) != 0;
	if (!is_mine)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nvmkv.copy_start() was not called in this session")));
	strlcpy(broken, my_copy()->broken, sizeof(broken));
	end_my_kind(db, COPY_SESSION);
	if (broken[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this copy of the data directory cannot be used"),
				 errdetail("%s", broken),
				 errhint("Increase nvmkv.copy_space_limit, and make another one.")));
	PG_RETURN_VOID();
}

/* ---------------------------------------------------------------- start */

static Size
shared_bytes(void)
{
	return add_size(offsetof(CopyShared, copies), mul_size(MaxBackends, sizeof(Copy)));
}

static void
request_shared_memory(void)
{
	if (previous_shmem_request)
		previous_shmem_request();
	RequestAddinShmemSpace(shared_bytes());
}

/* The engine's hook has run before: it was installed before. */
static void
start_shared_memory(void)
{
	bool found;

	if (previous_shmem_startup)
		previous_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("nvmkv copies", shared_bytes(), &found);
	if (!found)
	{
		memset(shared, 0, shared_bytes());
		LWLockInitialize(&shared->lock, port_pg_tranche);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
nvmkv_copy_init(void)
{
	previous_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	previous_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shared_memory;
	previous_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = client_authentication;
}
