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
 * Checkpoints are held back only while this worker lives, so writers are let
 * in only while it lives.  When it ends it closes the gate and flushes; if that
 * is impossible it crashes the server on purpose, since WAL is then the only
 * place that has the entries and recovery replays it.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/backendid.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/sinvaladt.h"

#include "bgworker/worker.h"
#include "engine/port/port_pg.h"
#include "fdw/engine.h"
#include "fdw/wal.h"

/* How often the redo point is looked at: what a checkpoint may wait for nothing. */
#define POLL_MS 100
#define FAILURE_RETRY_MS 1000

static void
show_new_virtual_xid(void)
{
	MyProc->lxid = GetNextLocalTransactionId();
	MyProc->delayChkptFlags |= DELAY_CHKPT_START;
}

/*
 * Runs before shared memory is left, whatever the reason.  The stop flag no
 * longer interrupts the engine: this flush must be finished.
 */
static void
flush_at_exit(int code, Datum arg)
{
	NvmkvDb *db = nvmkv_engine_or_null();
	bool final = ShutdownRequestPending;

	nvmkv_abort_cleanup(db);
	port_pg_stop_flag = NULL;
	if (nvmkv_engine_close_writes(final) != NVMKV_OK || nvmkv_flush_all(db) != NVMKV_OK)
		ereport(PANIC,
				(errcode(ERRCODE_IO_ERROR),
				 errmsg("could not flush foreign tables before checkpoints are let go"),
				 errdetail("%s", nvmkv_error()->text),
				 errhint("Nothing is lost: recovery replays the WAL at the next start.")));
	MyProc->delayChkptFlags &= ~DELAY_CHKPT_START;
	MyProc->lxid = InvalidLocalTransactionId;
}

/* The redo point has moved: flush, tell standbys, let the checkpoint go. */
static bool
pass_checkpoint(NvmkvWorkerStat *me, NvmkvDb *db)
{
	NvmkvStatus status;

	me->state = "flushing for a checkpoint";
	status = nvmkv_flush_all(db);
	if (status != NVMKV_OK)
	{
		if (status != NVMKV_CANCELLED)
			nvmkv_worker_note(me, status);
		return false;
	}
	nvmkv_wal_checkpoint(nvmkv_durable_seq(db));
	show_new_virtual_xid();
	me->steps++;
	return true;
}

void
nvmkv_barrier_main(Datum arg)
{
	NvmkvWorkerStat *me = nvmkv_worker_begin(DatumGetInt32(arg), NVMKV_WORKER_BARRIER);
	NvmkvDb *db = nvmkv_engine_or_null();
	XLogRecPtr passed;

	if (db == NULL)
		proc_exit(0);
	show_new_virtual_xid();
	before_shmem_exit(flush_at_exit, (Datum) 0);
	/* What was written before this worker came up is not held by it: a predecessor flushed it, or recovery did. */
	passed = GetRedoRecPtr();
	nvmkv_engine_open_writes();
	while (!ShutdownRequestPending)
	{
		int sleep_ms = POLL_MS;
		XLogRecPtr redo = GetRedoRecPtr();

		if (redo != passed)
		{
			if (pass_checkpoint(me, db))
				passed = redo;
			else
				sleep_ms = FAILURE_RETRY_MS;
		}
		nvmkv_worker_sleep(me, sleep_ms);
	}
	proc_exit(1);
}
