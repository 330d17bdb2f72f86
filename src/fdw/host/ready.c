/*
 * ready.c
 *	  The engine, for a session: when writers are let in.
 *
 * A server in single-user mode has no workers, and so no barrier; there the one
 * process lets itself in, and flushes before each commit and before it ends,
 * since any command may be a CHECKPOINT.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "fdw/host/agreement.h"
#include "fdw/host/engine.h"
#include "fdw/host/kept.h"
#include "fdw/host/ready.h"
#include "fdw/host/settle.h"
#include "fdw/host/status.h"

/* How long a session waits for the workers after a start before it complains. */
#define ENGINE_START_TIMEOUT_MS 30000

static int workers_needed; /* not 0: the server had no room for the barrier; set before there is any child */

void
nvmkv_ready_without_barrier(int needed)
{
	workers_needed = needed;
}

/* ---------------------------------------------------------------- single-user mode */

/* This process has asked for being flushed at its end; it has let itself in; it has flushed before it ends. */
static bool will_flush = false;
static bool let_in = false;
static bool flushed_at_exit = false;

void
nvmkv_ready_before_commit(void)
{
	NvmkvDb *engine = nvmkv_engine_held();

	if (!let_in)
		return;
	nvmkv_settle_now(engine);
	nvmkv_check_status(nvmkv_engine_close_writes(), "flushing foreign tables", NULL);
	nvmkv_check_status(nvmkv_flush_all(engine), "flushing foreign tables", NULL);
	nvmkv_check_status(nvmkv_log_closes(engine), "flushing foreign tables", NULL);
	let_in = false;
}

/* The last transaction had not ended when its commit was flushed for, and is settled here. */
static NvmkvStatus
settle_and_flush(NvmkvDb *engine)
{
	if (!let_in)
		NVMKV_RETURN_IF(nvmkv_agreement_open(engine));
	NVMKV_RETURN_IF(nvmkv_engine_close_writes());
	NVMKV_RETURN_IF(nvmkv_settle_round(engine, true));
	NVMKV_RETURN_IF(nvmkv_flush_all(engine));
	return nvmkv_log_closes(engine);
}

/* Before the shutdown checkpoint of a server without workers. */
static void
flush_at_exit(int code, Datum arg)
{
	if (settle_and_flush(nvmkv_engine_held()) != NVMKV_OK)
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

static void
let_itself_in(void)
{
	NvmkvDb *engine = nvmkv_engine_or_null();

	if (!will_flush)
	{
		const char *objection;

		if (nvmkv_kept_is_pending() && nvmkv_kept_replay(engine, InvalidXLogRecPtr) != NVMKV_OK)
		{
			nvmkv_engine_give_up();
			nvmkv_engine_report_absence();
		}
		objection = nvmkv_settle_objection(engine);
		if (objection != NULL)
			nvmkv_engine_refuse(objection);
		nvmkv_engine_report_refusal();
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
}

/* ---------------------------------------------------------------- waiting */

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
		let_itself_in();
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
	ConditionVariablePrepareToSleep(nvmkv_engine_changes());
	while (must_wait())
	{
		if (nvmkv_engine_or_null() == NULL)
		{
			ConditionVariableCancelSleep();
			nvmkv_engine_report_absence();
		}
		nvmkv_engine_report_refusal();
		report_obstacle();
		if (!ConditionVariableTimedSleep(nvmkv_engine_changes(), 1000, PG_WAIT_EXTENSION) ||
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

NvmkvDb *
nvmkv_engine(void)
{
	NvmkvDb *db;

	if (unlikely(nvmkv_engine_or_null() == NULL))
		nvmkv_engine_report_absence();
	wait_until_ready();
	db = nvmkv_engine_or_null();
	if (unlikely(db == NULL))
		nvmkv_engine_report_absence();
	return db;
}
