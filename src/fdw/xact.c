/*
 * xact.c
 *	  Ends of transactions.
 *
 * Commit and rollback need no work: versions carry their transaction's id and
 * the server knows its outcome.  What is left is to forget what a failed
 * statement has left behind in this process.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"

#include "fdw/host/engine.h"
#include "fdw/host/ready.h"
#include "fdw/modify/deferred.h"
#include "fdw/modify/foreignkeyrow.h"
#include "fdw/scan/scan.h"
#include "fdw/txn/addressbook.h"
#include "fdw/txn/bulk.h"
#include "fdw/txn/covered.h"
#include "fdw/txn/visibility.h"
#include "fdw/xact.h"

/* An ERROR may have come in the middle of an engine call. */
static void
leave_engine(void)
{
	NvmkvDb *db = nvmkv_engine_held();

	if (db != NULL)
		nvmkv_abort_cleanup(db);
}

/* Nothing reads now: files that compaction has replaced meanwhile are closed, so that their space is free. */
static void
close_replaced_files(void)
{
	NvmkvDb *db = nvmkv_engine_held();

	if (db != NULL)
		nvmkv_tidy(db);
}

static void
at_exit(int code, Datum arg)
{
	leave_engine();
}

/*
 * A process leaves the engine before its shared memory goes.  Registered by
 * the first transaction that gets here: _PG_init runs in the postmaster.
 */
static void
register_exit(void)
{
	static pid_t registered_for;

	if (registered_for == MyProcPid)
		return;
	before_shmem_exit(at_exit, (Datum) 0);
	registered_for = MyProcPid;
}

static void
at_xact_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			leave_engine();
			nvmkv_write_abort(InvalidSubTransactionId);
			nvmkv_deferred_forget(false);
			nvmkv_rows_may_go_forget();
			nvmkv_visibility_forget();
			nvmkv_covered_forget();
			nvmkv_addressbook_forget();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PREPARE:
			nvmkv_deferred_forget(true);
			nvmkv_rows_may_go_forget();
			nvmkv_visibility_forget();
			nvmkv_covered_forget();
			nvmkv_addressbook_forget();
			close_replaced_files();
			/* Cursors have gone by now; after an abort they go later, and their memory with the next commit. */
			nvmkv_scan_trim_memory();
			register_exit();
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			/* Every statement writes its rows before it ends. */
			Assert(nvmkv_write_nothing_deferred());
			nvmkv_ready_before_commit();
			break;
	}
}

static void
at_subxact_event(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		leave_engine();
		nvmkv_write_abort(subid);
		nvmkv_deferred_abort(subid);
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		nvmkv_write_subcommit(subid, parent);
		nvmkv_deferred_subcommit(subid, parent);
	}
}

void
nvmkv_xact_init(void)
{
	RegisterXactCallback(at_xact_event, NULL);
	RegisterSubXactCallback(at_subxact_event, NULL);
}
