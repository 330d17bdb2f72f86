/*
 * analyzer.c
 *	  Workers that analyze tables which have changed, as autovacuum does with
 *	  heap tables (fdw/admin/autoanalyze.h).
 *
 * One, the launcher, is connected to no database.  It starts another one for each
 * database that has storages, one at a time, every autovacuum_naptime; that one
 * is connected to it and ends when it has been through the tables.
 *
 * To other processes such a worker is one of autovacuum's (PROC_IS_AUTOVACUUM):
 * who waits a while for a lock that it holds has its ANALYZE cancelled, and who
 * drops a database, or copies one, has it terminated.  Nothing is lost by that:
 * the next round comes by.  Nor by any other end: what is to be done is in the
 * tables' counters.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "bgworker/worker.h"
#include "fdw/admin/autoanalyze.h"
#include "fdw/compat/compat.h"
#include "fdw/host/engine.h"
#include "fdw/storage/registry.h"

/* ---------------------------------------------------------------- the launcher */

/* Can one be connected to it?  Not if it has gone since, or only half. */
static bool
is_usable(Oid dboid)
{
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dboid));
	bool usable;

	if (!HeapTupleIsValid(tuple))
		return false;
	usable = ((Form_pg_database) GETSTRUCT(tuple))->datconnlimit != DATCONNLIMIT_INVALID_DB;
	ReleaseSysCache(tuple);
	return usable;
}

/* Those that have tables, in the caller's memory. */
static List *
databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List *found = NIL;
	ListCell *lc;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach(lc, nvmkv_registry_databases())
	{
		MemoryContext own;

		if (!is_usable(lfirst_oid(lc)))
			continue;
		own = MemoryContextSwitchTo(caller);
		found = lappend_oid(found, lfirst_oid(lc));
		MemoryContextSwitchTo(own);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return found;
}

static void
wait_for_end(BackgroundWorkerHandle *handle)
{
	pid_t pid;

	while (!ShutdownRequestPending && GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)
		nvmkv_worker_wait(NVMKV_WORKER_IDLE_MS);
}

/* False: there is no process for a worker. */
static bool
analyze_databases(NvmkvWorkerStat *me)
{
	ListCell *lc;

	me->state = "analyzing";
	foreach(lc, databases())
	{
		BackgroundWorkerHandle *handle = nvmkv_worker_start("analyze worker", "nvmkv_analyzer_main", lfirst_oid(lc), true);

		if (handle == NULL)
			return false;
		wait_for_end(handle);
		if (ShutdownRequestPending || !AutoVacuumingActive())
			break;
		me->steps++;
	}
	return true;
}

void
nvmkv_analyze_launcher_main(Datum arg)
{
	NvmkvWorkerStat *me = nvmkv_worker_begin(DatumGetInt32(arg), NVMKV_WORKER_ANALYZE);
	MemoryContext memory = AllocSetContextCreate(TopMemoryContext, "nvmkv analyze launcher", ALLOCSET_DEFAULT_SIZES);
	TimestampTz round = GetCurrentTimestamp();
	bool told = false;

	if (nvmkv_engine_or_null() == NULL)
		nvmkv_worker_idle(me);
	while (!ShutdownRequestPending)
	{
		TimestampTz now = GetCurrentTimestamp();
		TimestampTz next;
		long left;
		bool started;

		/* The clock may have been set back, and the setting may be another one now. */
		round = Min(round, now);
		next = TimestampTzPlusMilliseconds(round, (int64) autovacuum_naptime * 1000);
		left = TimestampDifferenceMilliseconds(now, next);
		if (left > 0 || !AutoVacuumingActive())
		{
			nvmkv_worker_sleep(me, AutoVacuumingActive() ? (int) left : NVMKV_WORKER_IDLE_MS);
			continue;
		}
		round = GetCurrentTimestamp();
		MemoryContextSwitchTo(memory);
		started = analyze_databases(me);
		MemoryContextReset(memory);
		if (!started && !told)
			ereport(LOG,
					(errmsg("nvmkv_fdw cannot analyze tables, because there is no worker process for it"),
					 errhint("Increase max_worker_processes.")));
		told = !started;
	}
	proc_exit(1);
}

/* ---------------------------------------------------------------- in a database */

/* What a session of a user may have set for itself, or the database for all, and autovacuum does not want either. */
static void
settle_session(void)
{
	static const char *const settings[][2] = {
		{"search_path", ""},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"transaction_timeout", "0"}, /* from 17 on */
		{"default_transaction_isolation", "read committed"},
		{"stats_fetch_consistency", "none"},
	};

	for (int i = 0; i < lengthof(settings); i++)
	{
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	}
	if (synchronous_commit > SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
}

/* The tables to be analyzed, in the caller's memory. */
static List *
tables(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List *found;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	found = nvmkv_tables_to_analyze();
	MemoryContextSwitchTo(caller);
	found = list_copy(found);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return found;
}

/* An error ends the transaction, and is told. */
static void
analyze(Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;

	/* What lives as long as a statement does, to whoever executes ANALYZE. */
	PortalContext = AllocSetContextCreate(TopMemoryContext, "nvmkv analyze", ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		nvmkv_autoanalyze(relid);
		PopActiveSnapshot();
		CommitTransactionCommand();
		/* One that came too late is not about the next table. */
		QueryCancelPending = false;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortOutOfAnyTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(PortalContext);
	PortalContext = NULL;
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

void
nvmkv_analyzer_main(Datum arg)
{
	MemoryContext memory;
	ListCell *lc;

	/* Before others can see this process. */
	MyProc->statusFlags |= PROC_IS_AUTOVACUUM;
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
	if (nvmkv_engine_or_null() == NULL)
		proc_exit(0);
	settle_session();

	memory = AllocSetContextCreate(TopMemoryContext, "nvmkv analyze worker", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(memory);
	foreach(lc, tables())
	{
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (!AutoVacuumingActive())
			break;
		analyze(lfirst_oid(lc));
	}
	proc_exit(0);
}
