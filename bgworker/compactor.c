/*
 * compactor.c
 *	  A compaction worker: a column of the compactor, or a table of a level, a step.
 *	  Several of them work on disjoint ranges (engine/tree/running.h).
 */
#include "postgres.h"

#include "postmaster/interrupt.h"
#include "storage/ipc.h"

#include "bgworker/worker.h"
#include "fdw/host/engine.h"

#define IDLE_MS 10000
#define RETRY_MS 20
#define FAILURE_RETRY_MS 1000

void
nvmkv_compactor_main(Datum arg)
{
	NvmkvWorkerStat *me = nvmkv_worker_begin(DatumGetInt32(arg), NVMKV_WORKER_COMPACT);
	NvmkvDb *db = nvmkv_engine_or_null();

	if (db == NULL)
		nvmkv_worker_idle(me);
	while (!ShutdownRequestPending)
	{
		bool did, more, reclaimed, waiting;
		NvmkvStatus status;
		int sleep_ms = IDLE_MS;

		if (nvmkv_engine_or_null() == NULL)
			nvmkv_worker_idle(me); /* given up in recovery */
		me->state = "compacting";
		status = nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more);
		if (did)
		{
			me->steps++;
			(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &reclaimed, &waiting);
			nvmkv_tidy(db);
			nvmkv_worker_wake(); /* flush may have waited for extents */
		}
		if (status == NVMKV_BUSY)
		{
			me->state = "waiting for another worker";
			sleep_ms = RETRY_MS;
		}
		else if (status != NVMKV_OK && status != NVMKV_CANCELLED)
		{
			nvmkv_worker_note(me, status);
			sleep_ms = FAILURE_RETRY_MS;
		}
		nvmkv_worker_sleep(me, more && status == NVMKV_OK ? 0 : sleep_ms);
	}
	proc_exit(1);
}
