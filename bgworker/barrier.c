/*
 * barrier.c
 *	  The checkpoint barrier: no checkpoint completes before the entries whose
 *	  WAL it cuts off are in rows and tables.
 *
 * The server has no hook there, but a checkpoint that has fixed its redo point
 * waits for every process that shows DELAY_CHKPT_START together with a valid
 * virtual transaction id, until the flag or that id has gone (CreateCheckPoint,
 * GetVirtualXIDsDelayingChkpt).  So this worker always shows both.  When the
 * redo point has moved it flushes everything, writes a record that tells
 * standbys to do the same, and lets the checkpoint go on by taking a new
 * virtual transaction id; the flag stays up, so there is no moment in which
 * the next checkpoint could slip by.  It runs no transaction: nothing else of
 * the server looks at its id.
 *
 * A checkpoint moves the redo point first and notes whom it waits for a little
 * later, holding ProcArrayLock.  In between this worker may be done already
 * and have its new id, and would be waited for although it has nothing left
 * to do.  So it goes on changing its id as long as the redo point stays, and
 * looks at the redo point and changes the id under the same lock: whoever noted
 * the old id had moved the redo point before, to where this worker has seen it.
 *
 * It also settles outcomes of transactions (fdw/settle.h), which needs somebody
 * who is there whenever there are writers; when the server stops, all of them.
 *
 * What cannot be flushed is kept in a file instead (fdw/kept.h), so that neither
 * a checkpoint nor a shutdown waits for a medium that is full or broken.
 *
 * Checkpoints are held back only while this worker lives, so writers are let
 * in only while it lives.  When it ends it closes the gate and flushes, or keeps; if that
 * is impossible it ends the server as after a crash, since WAL is then the only
 * place that has the entries and recovery replays it.
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "storage/sinvaladt.h"
#include "utils/pidfile.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "bgworker/worker.h"
#include "engine/port/port_pg.h"
#include "fdw/compat/compat.h"
#include "fdw/host/agreement.h"
#include "fdw/host/checkpoint.h"
#include "fdw/host/copies.h"
#include "fdw/host/engine.h"
#include "fdw/host/kept.h"
#include "fdw/host/settle.h"
#include "fdw/host/wal.h"

/* How often the redo point is looked at: what a checkpoint may wait for nothing. */
#define POLL_MS 100
#define FAILURE_RETRY_MS 1000

/* How often outcomes are settled, if there were transactions. */
#define SETTLE_MS 1000

/* When the server stops: how often it is looked who still has to end. */
#define END_POLL_MS 10

static bool flushed_at_exit = false;

static void
hold_checkpoints(void)
{
	nvmkv_lxid(MyProc) = GetNextLocalTransactionId();
	MyProc->delayChkptFlags |= DELAY_CHKPT_START;
}

/*
 * Lets a checkpoint go that waits for this process, if the redo point is where everything has been flushed for.
 * Returns the redo point.
 */
static XLogRecPtr
let_checkpoint_go(XLogRecPtr flushed_for)
{
	XLogRecPtr redo;

	LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
	redo = GetRedoRecPtr();
	if (redo == flushed_for)
		nvmkv_lxid(MyProc) = GetNextLocalTransactionId();
	LWLockRelease(ProcArrayLock);
	return redo;
}

/*
 * Without a postmaster nobody stops the checkpointer, and one that waits for this process would wait for ever and keep
 * the next server from starting.  It must not go on either, for nothing was flushed: so it ends as in a crash, and its
 * like with it.
 */
static void
end_checkpointer_without_postmaster(void)
{
	int i;

	if (PostmasterIsAlive())
		return;
	for (i = 0; i < NUM_AUXILIARY_PROCS; i++)
	{
		int pid = ProcGlobal->allProcs[MaxBackends + i].pid;

		if (pid != 0)
			(void) kill(pid, SIGQUIT);
	}
}

/* What the last flush could not do.  False, and told in the log once: neither can this; the last failure says both. */
static bool
keep_memtables(NvmkvDb *db)
{
	static bool told = false;
	char why[NVMKV_ERROR_TEXT_MAX];
	NvmkvStatus status;

	strlcpy(why, nvmkv_error()->text, sizeof(why));
	status = nvmkv_kept_memtables(db, GetXLogInsertRecPtr());
	if (status != NVMKV_OK)
	{
		char why_not[NVMKV_ERROR_TEXT_MAX];

		strlcpy(why_not, nvmkv_error()->text, sizeof(why_not));
		(void) NVMKV_FAIL(status, "%s; %s", why, why_not);
		ereport(told ? DEBUG1 : LOG,
				(errmsg("could not flush foreign tables, nor keep their memtables in \"%s\"", NVMKV_KEPT_DIR),
				 errdetail("%s; %s", why, why_not)));
		told = true;
		return false;
	}
	told = false;
	ereport(LOG,
			(errmsg("foreign tables could not be flushed; their memtables are kept in \"%s\"", NVMKV_KEPT_DIR),
			 errdetail("%s", why),
			 errhint("Nothing is lost: they are replayed at the next start.")));
	return true;
}

/*
 * The server ends, or starts anew, without a checkpoint: an exit code like this one is a crash to the postmaster, but
 * leaves no core file behind.
 */
static void
end_without_checkpoint(void)
{
	ereport(LOG,
			(errcode(ERRCODE_IO_ERROR),
			 errmsg("stopping without a checkpoint, because foreign tables could not be flushed"),
			 errdetail("%s", nvmkv_error()->text),
			 errhint("Nothing is lost: recovery replays the WAL at the next start.  Make space, or put right what the message says.")));
	end_checkpointer_without_postmaster();
	_exit(2);
}

/*
 * Runs before shared memory is left, whatever the reason.  The stop flag no
 * longer interrupts the engine: this flush must be finished.
 */
static void
flush_at_exit(int code, Datum arg)
{
	NvmkvDb *db = nvmkv_engine_or_null();

	/* It turned out not to be usable: nothing was written. */
	if (db == NULL)
	{
		flushed_at_exit = true;
		return;
	}
	nvmkv_abort_cleanup(db);
	port_pg_stop_flag = NULL;
	if (nvmkv_engine_close_writes() != NVMKV_OK)
		end_without_checkpoint();
	if (nvmkv_flush_all(db) == NVMKV_OK && nvmkv_log_closes(db) == NVMKV_OK)
		nvmkv_kept_flushed();
	else if (!keep_memtables(db))
		end_without_checkpoint();
	flushed_at_exit = true;
}

/*
 * Runs after flush_at_exit, also when that was left by an error: at exit an ERROR skips the rest of one callback
 * only.
 */
static void
release_at_exit(int code, Datum arg)
{
	if (!flushed_at_exit)
		end_without_checkpoint();
	MyProc->delayChkptFlags &= ~DELAY_CHKPT_START;
	nvmkv_lxid(MyProc) = InvalidLocalTransactionId;
}

/* A checkpoint waits for what the last failure says to end; who has asked for it is told. */
static bool
hold_back(NvmkvWorkerStat *me, NvmkvStatus status)
{
	if (status == NVMKV_CANCELLED)
		return false;
	nvmkv_checkpoint_note(status, nvmkv_error()->text);
	nvmkv_worker_note(me, status);
	return false;
}

/* The redo point has moved: flush, and tell standbys. */
static bool
flush_for_checkpoint(NvmkvWorkerStat *me, NvmkvDb *db, XLogRecPtr redo)
{
	NvmkvStatus status;

	me->state = "flushing for a checkpoint";
	status = nvmkv_copies_at_checkpoint(db);
	/* A copy needs the files themselves. */
	if (status == NVMKV_CANCELLED || (status != NVMKV_OK && nvmkv_copies_need_point()))
		return hold_back(me, status);
	if (status != NVMKV_OK)
	{
		nvmkv_worker_note(me, status);
		if (!keep_memtables(db))
			return hold_back(me, nvmkv_error()->status);
	}
	/* The record is flushed, and with it the log up to the redo point. */
	nvmkv_wal_checkpoint(nvmkv_durable_seq(db));
	if (status == NVMKV_OK)
	{
		status = nvmkv_log_let_go(db, redo);
		if (status != NVMKV_OK)
			return hold_back(me, status);
		nvmkv_kept_flushed();
	}
	nvmkv_checkpoint_note(NVMKV_OK, NULL);
	me->steps++;
	return true;
}

/*
 * The log will have something for the engine.  Where the files turn out to be of another time than it, nobody is let
 * in, and there is nothing for this worker to do.
 */
static void
agree_with_log(NvmkvWorkerStat *me, NvmkvDb *db)
{
	NvmkvStatus status;

	while ((status = nvmkv_agreement_open(db)) != NVMKV_OK)
	{
		if (status == NVMKV_CORRUPTION)
		{
			nvmkv_engine_give_up();
			nvmkv_worker_idle(me);
		}
		if (status != NVMKV_CANCELLED)
			nvmkv_worker_note(me, status);
		if (ShutdownRequestPending)
			proc_exit(1);
		nvmkv_worker_sleep(me, FAILURE_RETRY_MS);
	}
}

/*
 * An ERROR, as when the commit log cannot be read, must not end this process: checkpoints and writers need it.  The
 * commit log is kept until it works.
 */
static void
settle(NvmkvWorkerStat *me, NvmkvDb *db)
{
	MemoryContext context = CurrentMemoryContext;
	NvmkvStatus status;

	me->state = "settling";
	PG_TRY();
	{
		status = nvmkv_settle_round(db, true);
		if (status != NVMKV_OK && status != NVMKV_CANCELLED)
			nvmkv_worker_note(me, status);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		HOLD_INTERRUPTS();
		error = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		LWLockReleaseAll();
		ConditionVariableCancelSleep();
		nvmkv_abort_cleanup(db);
		snprintf(me->last_error, sizeof(me->last_error), "%s", error->message);
		FreeErrorData(error);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
}

static bool
settle_is_due(NvmkvDb *db, TimestampTz *last)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!nvmkv_settle_is_due(db) || !TimestampDifferenceExceeds(*last, now, SETTLE_MS))
		return false;
	*last = now;
	return true;
}

/* The server stops, rather than that this process alone is ended: then everybody is told to. */
static bool
server_is_stopping(void)
{
	char line[MAXPGPATH];
	bool stopping = false;
	FILE *file = AllocateFile("postmaster.pid", "r");

	if (file == NULL)
		return false;
	for (int i = 1; i <= LOCK_FILE_LINE_PM_STATUS && fgets(line, sizeof(line), file) != NULL; i++)
		stopping = i == LOCK_FILE_LINE_PM_STATUS && strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
	FreeFile(file);
	return stopping;
}

/*
 * A server that has stopped may be started without the library, and then truncates the commit log as it likes.  So what
 * has written is settled to the last transaction; prepared ones have no outcome yet, and those after them wait for it.
 * Nobody new can write once the gate is closed, and everybody who runs is about to end.
 */
static void
settle_at_end(NvmkvWorkerStat *me, NvmkvDb *db)
{
	bool stopping = server_is_stopping();
	uint64 limit;
	bool wait;

	/* The stop flag no longer interrupts the engine. */
	port_pg_stop_flag = NULL;
	if (nvmkv_engine_close_writes() != NVMKV_OK)
		return; /* flush_at_exit comes to the same, and says so */
	limit = nvmkv_settle_next_fxid();
	do
	{
		wait = stopping && nvmkv_settle_waits_for_process(limit);
		settle(me, db);
		if (wait)
			(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, END_POLL_MS, PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	} while (wait);
}

/* Lets writers in, unless they would write with ids that have an outcome already. */
static void
let_writers_in(NvmkvWorkerStat *me, NvmkvDb *db)
{
	const char *objection = nvmkv_settle_objection(db);

	if (objection != NULL)
	{
		nvmkv_engine_refuse(objection);
		return;
	}
	agree_with_log(me, db);
	/* What happened without us first: who reads at once is told what has become of the commit log. */
	settle(me, db);
	nvmkv_engine_open_writes();
	nvmkv_sweeper_start();
}

/* Before writers are let in, and before checkpoints are held: they cut off nothing of what was kept. */
static bool
replay_kept(NvmkvWorkerStat *me, NvmkvDb *db)
{
	NvmkvStatus status;

	me->state = "replaying kept WAL";
	for (;;)
	{
		status = nvmkv_kept_replay(db, InvalidXLogRecPtr);
		if (status != NVMKV_NO_SPACE && status != NVMKV_NO_MEMORY && status != NVMKV_BUSY)
			break;
		nvmkv_worker_note(me, status);
		nvmkv_worker_sleep(me, FAILURE_RETRY_MS);
		if (ShutdownRequestPending)
			proc_exit(1);
	}
	if (status == NVMKV_CANCELLED)
		proc_exit(1);
	if (status != NVMKV_OK)
		nvmkv_engine_give_up();
	return status == NVMKV_OK;
}

void
nvmkv_barrier_main(Datum arg)
{
	NvmkvWorkerStat *me = nvmkv_worker_begin(DatumGetInt32(arg), NVMKV_WORKER_BARRIER);
	NvmkvDb *db = nvmkv_engine_or_null();
	XLogRecPtr flushed_for;
	TimestampTz settled_at = 0;

	if (db != NULL && nvmkv_kept_is_pending() && !replay_kept(me, db))
		db = NULL;
	if (db == NULL)
		nvmkv_worker_idle(me);
	nvmkv_checkpoint_note(NVMKV_OK, NULL); /* what a predecessor could not do */
	hold_checkpoints();
	before_shmem_exit(release_at_exit, (Datum) 0);
	before_shmem_exit(flush_at_exit, (Datum) 0);
	/* What was written before this worker came up is not held by it: a predecessor flushed it, or recovery did. */
	flushed_for = GetRedoRecPtr();
	let_writers_in(me, db);
	while (!ShutdownRequestPending)
	{
		XLogRecPtr redo = let_checkpoint_go(flushed_for);

		if (settle_is_due(db, &settled_at))
			settle(me, db);
		if (redo == flushed_for)
			nvmkv_worker_sleep(me, POLL_MS);
		else if (flush_for_checkpoint(me, db, redo))
			flushed_for = redo;
		else
			nvmkv_worker_sleep(me, FAILURE_RETRY_MS);
	}
	settle_at_end(me, db);
	proc_exit(1);
}
