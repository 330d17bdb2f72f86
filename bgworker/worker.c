/*
 * worker.c
 *	  Registration of the background workers, and what they share.
 *
 * A worker is connected to no database, so that it never stands in the way of
 * DROP or CREATE DATABASE, but to the server: it answers interrupts and can ask
 * for the outcome of transactions.  An ERROR ends it; the postmaster starts it
 * again.  Whatever it held in the engine is given back by at_exit.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/bgworker_internals.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "bgworker/worker.h"
#include "engine/port/port_pg.h"
#include "fdw/compat/compat.h"
#include "fdw/host/engine.h"
#include "fdw/host/guc.h"
#include "fdw/host/ready.h"

#define WORKER_RESTART_SECONDS 1

typedef struct WorkerShared
{
	int count;
	NvmkvWorkerStat workers[NVMKV_WORKERS_MAX];
} WorkerShared;

static WorkerShared *shared;
static shmem_request_hook_type previous_shmem_request;
static shmem_startup_hook_type previous_shmem_startup;

static void
request_shared_memory(void)
{
	if (previous_shmem_request)
		previous_shmem_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(WorkerShared)));
}

/* The engine's hook has run before: it was installed before. */
static void
start_shared_memory(void)
{
	bool found;
	int i;

	if (previous_shmem_startup)
		previous_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("nvmkv workers", sizeof(WorkerShared), &found);
	LWLockRelease(AddinShmemInitLock);
	if (nvmkv_engine_held() != NULL)
		nvmkv_set_wake(nvmkv_engine_held(), nvmkv_worker_wake);
	if (found)
		return;
	memset(shared, 0, sizeof(*shared));
	shared->count = NVMKV_WORKERS_FIXED + nvmkv_compaction_workers;
	for (i = 0; i < shared->count; i++)
	{
		shared->workers[i].role = i < NVMKV_WORKERS_FIXED ? (NvmkvWorkerRole) i : NVMKV_WORKER_COMPACT;
		shared->workers[i].state = "not running";
		shared->workers[i].pgprocno = -1;
	}
}

const char *
nvmkv_worker_role_name(NvmkvWorkerRole role)
{
	switch (role)
	{
		case NVMKV_WORKER_BARRIER:
			return "barrier";
		case NVMKV_WORKER_FLUSH:
			return "flush";
		case NVMKV_WORKER_ANALYZE:
			return "analyze";
		case NVMKV_WORKER_COMPACT:
			return "compact";
	}
	return "unknown";
}

/* name: what comes after the extension's. */
static BackgroundWorker
describe_worker(const char *name, const char *function, BgWorkerStartTime start, Datum arg)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = start;
	worker.bgw_main_arg = arg;
	strlcpy(worker.bgw_library_name, "nvmkv_fdw", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "nvmkv_fdw %s", name);
	snprintf(worker.bgw_type, BGW_MAXLEN, "nvmkv_fdw %s", name);
	return worker;
}

static void
register_worker(int index, NvmkvWorkerRole role, const char *function, BgWorkerStartTime start)
{
	BackgroundWorker worker = describe_worker(nvmkv_worker_role_name(role), function, start, Int32GetDatum(index));

	worker.bgw_restart_time = WORKER_RESTART_SECONDS;
	RegisterBackgroundWorker(&worker);
}

BackgroundWorkerHandle *
nvmkv_worker_start(const char *name, const char *function, Oid dboid, bool notify)
{
	BackgroundWorker worker = describe_worker(name, function, BgWorkerStart_RecoveryFinished, ObjectIdGetDatum(dboid));
	BackgroundWorkerHandle *handle;

	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = notify ? MyProcPid : 0;
	return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : NULL;
}

/* The server says in its log which workers it has no room for, and goes on without them. */
static bool
is_registered(const char *function)
{
	NvmkvWorkerIter iter;

	nvmkv_foreach_worker(iter)
	{
		const RegisteredBgWorker *registered = nvmkv_worker_at(iter);

		if (strcmp(registered->rw_worker.bgw_function_name, function) == 0)
			return true;
	}
	return false;
}

void
nvmkv_worker_init(void)
{
	int i;

	previous_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	previous_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shared_memory;

	/* Checkpoints need holding back, and writers letting in, once the server is no longer in recovery. */
	register_worker(NVMKV_WORKER_BARRIER, NVMKV_WORKER_BARRIER, "nvmkv_barrier_main", BgWorkerStart_RecoveryFinished);
	/* A standby's container is drained too. */
	register_worker(NVMKV_WORKER_FLUSH, NVMKV_WORKER_FLUSH, "nvmkv_flusher_main", BgWorkerStart_ConsistentState);
	for (i = 0; i < nvmkv_compaction_workers; i++)
		register_worker(NVMKV_WORKERS_FIXED + i, NVMKV_WORKER_COMPACT, "nvmkv_compactor_main", BgWorkerStart_ConsistentState);
	register_worker(NVMKV_WORKER_ANALYZE, NVMKV_WORKER_ANALYZE, "nvmkv_analyze_launcher_main", BgWorkerStart_RecoveryFinished);

	/* The others delay nobody for good: whoever waits lends a hand. */
	if (!is_registered("nvmkv_barrier_main"))
		nvmkv_ready_without_barrier(NVMKV_WORKERS_FIXED + nvmkv_compaction_workers);
}

/*
 * A pgprocno read here may be of a worker that has just ended: then another
 * process finds its latch set for nothing, which latches allow.
 */
void
nvmkv_worker_wake(void)
{
	int i;

	if (shared == NULL)
		return;
	for (i = 0; i < shared->count; i++)
	{
		int pgprocno = ((volatile NvmkvWorkerStat *) &shared->workers[i])->pgprocno;
		NvmkvWorkerRole role = shared->workers[i].role;

		if ((role == NVMKV_WORKER_FLUSH || role == NVMKV_WORKER_COMPACT) && pgprocno >= 0 &&
			(MyProc == NULL || pgprocno != GetNumberFromPGProc(MyProc)))
			SetLatch(&ProcGlobal->allProcs[pgprocno].procLatch);
	}
}

int
nvmkv_worker_stats(NvmkvWorkerStat *out)
{
	if (shared == NULL)
		return 0;
	memcpy(out, shared->workers, (size_t) shared->count * sizeof(NvmkvWorkerStat));
	return shared->count;
}

/* ---------------------------------------------------------------- for the workers */

static void
at_exit(int code, Datum arg)
{
	NvmkvWorkerStat *me = (NvmkvWorkerStat *) DatumGetPointer(arg);
	NvmkvDb *db = nvmkv_engine_held();

	if (db != NULL)
		nvmkv_abort_cleanup(db);
	me->pgprocno = -1;
	me->state = "not running";
	me->pid = 0;
}

NvmkvWorkerStat *
nvmkv_worker_begin(int index, NvmkvWorkerRole role)
{
	NvmkvWorkerStat *me = &shared->workers[index];

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	before_shmem_exit(at_exit, PointerGetDatum(me));
	me->role = role;
	me->pid = MyProcPid;
	me->state = "idle";
	me->pgprocno = GetNumberFromPGProc(MyProc);
	port_pg_stop_flag = &ShutdownRequestPending;
	pgstat_report_activity(STATE_IDLE, NULL);
	return me;
}

void
nvmkv_worker_sleep(NvmkvWorkerStat *me, int timeout_ms)
{
	me->state = "idle";
	nvmkv_worker_wait(timeout_ms);
}

void
nvmkv_worker_wait(int timeout_ms)
{
	if (!ShutdownRequestPending)
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		/* The barrier comes by here often, whatever the others do. */
		if (nvmkv_engine_held() != NULL)
			nvmkv_set_compaction_rate(nvmkv_engine_held(), (uint64) nvmkv_compaction_rate_limit_kb * 1024);
	}
}

void
nvmkv_worker_note(NvmkvWorkerStat *me, NvmkvStatus status)
{
	snprintf(me->last_error, sizeof(me->last_error), "%s: %s", nvmkv_status_name(status), nvmkv_error()->text);
}

void
nvmkv_worker_idle(NvmkvWorkerStat *me)
{
	while (!ShutdownRequestPending)
		nvmkv_worker_sleep(me, NVMKV_WORKER_IDLE_MS);
	proc_exit(1);
}
