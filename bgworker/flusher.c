/*
 * flusher.c
 *	  The flush worker: turns immutable memtables into rows, and gives back
 *	  what readers and copiers have left.
 */
#include "postgres.h"

#include "postmaster/interrupt.h"
#include "storage/ipc.h"

#include "bgworker/worker.h"
#include "fdw/host/copies.h"
#include "fdw/host/engine.h"

/* A wake-up that got lost costs no more than this. */
#define IDLE_MS 1000
/* While something waits for readers, another process, or space. */
#define RETRY_MS 20
#define FAILURE_RETRY_MS 1000

void
nvmkv_flusher_main(Datum arg)
{
	NvmkvWorkerStat *me = nvmkv_worker_begin(DatumGetInt32(arg), NVMKV_WORKER_FLUSH);
	NvmkvDb *db = nvmkv_engine_or_null();

	if (db == NULL)
		nvmkv_worker_idle(me);
	while (!ShutdownRequestPending)
	{
		bool did, more, waiting;
		NvmkvStatus status;
		int sleep_ms = IDLE_MS;

		if (nvmkv_engine_or_null() == NULL)
			nvmkv_worker_idle(me); /* given up in recovery */
		me->state = "flushing";
		status = nvmkv_work(db, NVMKV_WORK_FLUSH, &did, &more);
		if (did)
		{
			me->steps++;
			nvmkv_worker_wake(); /* compaction has a new row to look at */
		}
		(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &did, &waiting);
		nvmkv_copies_tend(db);
		if (status == NVMKV_BUSY || waiting)
			sleep_ms = RETRY_MS;
		else if (status != NVMKV_OK && status != NVMKV_CANCELLED)
		{
			nvmkv_worker_note(me, status);
			nvmkv_worker_wake(); /* a full container is compaction's to drain */
			sleep_ms = FAILURE_RETRY_MS;
		}
		if (!more || status != NVMKV_OK)
			nvmkv_worker_sleep(me, sleep_ms);
		else
			nvmkv_worker_sleep(me, 0);
	}
	proc_exit(1);
}
