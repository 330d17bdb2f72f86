/*
 * copyfreeze.c
 *	  COPY ... FROM ... (FREEZE) after TRUNCATE in the same transaction.
 *
 * FREEZE is for tables that the current subtransaction has made or truncated;
 * COPY refuses it for others.  Of a table that was made the server knows.  That
 * one was truncated it sees by its new file, and a foreign table has none; newer
 * servers refuse it for all foreign tables.  So
 * truncations are noted here, for as long and as far as the server notes new
 * files, in rd_newRelfilenodeSubid; what COPY would ask is asked here, and COPY
 * is shown the statement without FREEZE.  There is nothing to freeze in our
 * tables: that a row is old enough for everybody is found out by compaction.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/ddl/copyfreeze.h"
#include "fdw/table/table.h"

typedef struct Truncated
{
	Oid relid;
	SubTransactionId subid; /* whose truncation it is, once the subtransactions below have ended well */
} Truncated;

static List *truncated; /* Truncated *, in TopTransactionContext */

static Truncated *
find_truncated(Oid relid)
{
	ListCell *lc;

	foreach(lc, truncated)
	{
		Truncated *entry = lfirst(lc);

		if (entry->relid == relid)
			return entry;
	}
	return NULL;
}

void
nvmkv_freeze_note_truncated(Oid relid)
{
	Truncated *entry = find_truncated(relid);

	if (entry == NULL)
	{
		MemoryContext old_context = MemoryContextSwitchTo(TopTransactionContext);

		entry = palloc(sizeof(Truncated));
		entry->relid = relid;
		truncated = lappend(truncated, entry);
		MemoryContextSwitchTo(old_context);
	}
	entry->subid = GetCurrentSubTransactionId();
}

/* ---------------------------------------------------------------- COPY */

/* The option that says FREEZE; NULL when none does, or when COPY is going to refuse the options. */
static DefElem *
freeze_option(const CopyStmt *stmt)
{
	DefElem *found = NULL;
	ListCell *lc;

	foreach(lc, stmt->options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "freeze") != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = option;
	}
	return found;
}

static bool
is_new_here(Oid relid)
{
	SubTransactionId here = GetCurrentSubTransactionId();
	const Truncated *entry = find_truncated(relid);
	Relation rel;
	bool made;

	if (entry != NULL && entry->subid == here)
		return true;
	rel = table_open(relid, RowExclusiveLock);
	made = rel->rd_createSubid == here;
	table_close(rel, NoLock);
	return made;
}

PlannedStmt *
nvmkv_freeze_settle(PlannedStmt *pstmt)
{
	CopyStmt *stmt = castNode(CopyStmt, pstmt->utilityStmt);
	DefElem *option = freeze_option(stmt);
	Oid relid;

	if (option == NULL || !stmt->is_from || !defGetBoolean(option))
		return pstmt;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid) || !nvmkv_is_our_relid(relid) ||
		pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) != ACLCHECK_OK)
		return pstmt;

	/* As CopyFrom(). */
	InvalidateCatalogSnapshot();
	if (!ThereAreNoPriorRegisteredSnapshots() || !ThereAreNoReadyPortals())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot perform COPY FREEZE because of prior transaction activity")));
	if (!is_new_here(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot perform COPY FREEZE because the table was not created or truncated in the current subtransaction")));

	pstmt = copyObject(pstmt);
	stmt = castNode(CopyStmt, pstmt->utilityStmt);
	stmt->options = list_delete_ptr(stmt->options, freeze_option(stmt));
	return pstmt;
}

/* ---------------------------------------------------------------- end of transactions */

static void
at_xact_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			truncated = NIL;
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

static void
at_subxact_event(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	ListCell *lc;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	foreach(lc, truncated)
	{
		Truncated *entry = lfirst(lc);

		if (entry->subid == subid)
			entry->subid = event == SUBXACT_EVENT_COMMIT_SUB ? parent : InvalidSubTransactionId;
	}
}

void
nvmkv_freeze_init(void)
{
	RegisterXactCallback(at_xact_event, NULL);
	RegisterSubXactCallback(at_subxact_event, NULL);
}
