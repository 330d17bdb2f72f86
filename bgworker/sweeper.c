/*
 * sweeper.c
 *	  A worker that looks once, after the server's start, for storages whose
 *	  table or database is gone (fdw/sweep.h).
 *
 * The barrier starts one, connected to no database; this one starts another
 * for each database that has storages, one at a time, for catalogues can be
 * read from within only.  They are ordinary sessions, which write and wait as
 * such, and end for good, by an ERROR too: the next start looks again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "bgworker/worker.h"
#include "fdw/host/engine.h"
#include "fdw/storage/sweep.h"

static BackgroundWorkerHandle *
start(Oid dboid, bool wait)
{
	BackgroundWorkerHandle *handle = nvmkv_worker_start("sweep", "nvmkv_sweeper_main", dboid, wait);

	if (handle == NULL)
		ereport(LOG,
				(errmsg("nvmkv_fdw cannot look for rows that dropped tables and databases left, because there is no worker process for it"),
				 errhint("Increase max_worker_processes; the next start of the server looks again.")));
	return handle;
}

void
nvmkv_sweeper_start(void)
{
	(void) start(InvalidOid, false);
}

void
nvmkv_sweeper_main(Datum arg)
{
	Oid dboid = DatumGetObjectId(arg);
	List *databases = NIL;
	int ended;
	ListCell *lc;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (OidIsValid(dboid))
		BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
	else
		BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	if (nvmkv_engine_or_null() == NULL)
		proc_exit(0);

	pgstat_report_activity(STATE_RUNNING, "looking for rows that dropped tables left");
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (OidIsValid(dboid))
		ended = nvmkv_sweep_tables();
	else
	{
		List *found = nvmkv_sweep_databases(&ended);
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

		databases = list_copy(found);
		MemoryContextSwitchTo(caller);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (ended > 0)
		ereport(LOG,
				(errmsg("nvmkv_fdw removes the rows of %d foreign tables that were dropped while its engine did not run", ended),
				 OidIsValid(dboid) ? errdetail("They were in the database with OID %u.", dboid)
								   : errdetail("They were in databases that do not exist any more.")));
	pgstat_report_activity(STATE_IDLE, NULL);

	foreach(lc, databases)
	{
		BackgroundWorkerHandle *handle = start(lfirst_oid(lc), true);

		if (handle == NULL)
			break;
		(void) WaitForBackgroundWorkerShutdown(handle);
	}
	proc_exit(0);
}
