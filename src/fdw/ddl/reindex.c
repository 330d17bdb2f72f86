/*
 * reindex.c
 *	  REINDEX of indexes of our tables.
 *
 * An index that is made anew gets a new storage, and the old one goes with the
 * transaction.  Somebody whose scan stands open in it would see the entries go:
 * scans hold locks on tables, not on indexes, so the table is locked against
 * all.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/cmdtag.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/indexbuild.h"
#include "fdw/ddl/reindex.h"
#include "fdw/ddl/reindexconcurrent.h"
#include "fdw/host/engine.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"
#include "fdw/table/table.h"

static bool
names_ours(const ReindexStmt *stmt)
{
	Oid relid;

	if (stmt->relation == NULL || (stmt->kind != REINDEX_OBJECT_INDEX && stmt->kind != REINDEX_OBJECT_TABLE))
		return false;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (stmt->kind == REINDEX_OBJECT_TABLE || !OidIsValid(relid))
		return nvmkv_is_our_relid(relid);
	return get_rel_relkind(relid) == RELKIND_PARTITIONED_INDEX && nvmkv_is_our_relid(IndexGetRelation(relid, true));
}

/* Is it CONCURRENTLY?  Refuses what is not for our indexes. */
static bool
read_options(const ReindexStmt *stmt)
{
	bool concurrently = false;
	ListCell *lc;

	foreach(lc, stmt->params)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "concurrently") == 0)
			concurrently = defGetBoolean(option);
		if (strcmp(option->defname, "tablespace") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("indexes of foreign tables have no tablespace")));
	}
	return concurrently;
}

/* What is to be made anew, and how it is locked. */
typedef struct Target
{
	LOCKMODE mode;
	Oid table; /* locked, of an index */
} Target;

/* As the server does for a table, for whoever the name stands when the lock has been granted. */
static void
check_owner(const RangeVar *relation, Oid relid, Oid old_relid, void *arg)
{
	Target *target = arg;
	Oid table;

	if (OidIsValid(target->table) && relid != old_relid)
	{
		UnlockRelationOid(target->table, target->mode);
		target->table = InvalidOid;
	}
	if (!OidIsValid(relid))
		return;
	table = get_rel_relkind(relid) == RELKIND_PARTITIONED_INDEX ? IndexGetRelation(relid, true) : relid;
	if (!OidIsValid(table) || !nvmkv_is_our_relid(table))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index, or a table, of nvmkv_fdw any more", relation->relname)));
	if (!object_ownercheck(RelationRelationId, relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), relation->relname);
	if (table != relid && !OidIsValid(target->table))
	{
		LockRelationOid(table, target->mode);
		target->table = table;
	}
}

/* For event triggers. */
static void
collect(Oid index_oid, const ReindexStmt *stmt)
{
	ObjectAddress address;

	if (!command_tag_event_trigger_ok(CMDTAG_REINDEX))
		return; /* nor may the triggers of a statement around this one hear of it */
	ObjectAddressSet(address, RelationRelationId, index_oid);
	EventTriggerCollectSimpleCommand(address, InvalidObjectAddress, unconstify(Node *, (const Node *) stmt));
}

static void
make_anew(Relation rel, Oid index_oid, const ReindexStmt *stmt)
{
	Relation index = index_open(index_oid, AccessExclusiveLock);

	if (!nvmkv_index_is_table(index))
		nvmkv_index_create(rel, index);
	index_close(index, NoLock);
	collect(index_oid, stmt);
}

/*
 * Each is filled by reading the table, which is refused while another index does not fit its rows, as after an upgrade
 * of ICU.  So none is left that could.
 */
static void
empty_all(Relation rel, List *indexes)
{
	ListCell *lc;

	foreach(lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessExclusiveLock);

		if (!nvmkv_index_is_table(index))
			nvmkv_index_new_storage(rel, lfirst_oid(lc));
		index_close(index, NoLock);
	}
}

/* As on a heap, one that is invalid is made anew by its own name only.  The table's key has nothing to be made anew. */
static bool
is_wanted(Oid index_oid, bool of_table)
{
	Relation index = index_open(index_oid, AccessShareLock);
	bool wanted = !nvmkv_index_is_table(index);

	if (wanted && of_table && !index->rd_index->indisvalid)
	{
		ereport(WARNING,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("cannot reindex invalid index \"%s.%s\" concurrently, skipping",
						get_namespace_name(RelationGetNamespace(index)), RelationGetRelationName(index))));
		wanted = false;
	}
	index_close(index, NoLock);
	return wanted;
}

static void
make_anew_concurrently(Oid relid, List *indexes, bool of_table, const ReindexStmt *stmt)
{
	LockRelId id = {.relId = relid, .dbId = MyDatabaseId};
	MemoryContext old_context = MemoryContextSwitchTo(PortalContext);
	List *wanted = NIL;
	bool any_valid = false;
	ListCell *lc;

	foreach(lc, indexes)
	{
		any_valid = any_valid || get_index_isvalid(lfirst_oid(lc));
		if (is_wanted(lfirst_oid(lc), of_table))
			wanted = lappend_oid(wanted, lfirst_oid(lc));
	}
	if (of_table && !any_valid)
		ereport(NOTICE,
				(errmsg("table \"%s\" has no indexes that can be reindexed concurrently", get_rel_name(relid))));
	MemoryContextSwitchTo(old_context);

	/* Between the transactions, too; an error gives it back. */
	LockRelationIdForSession(&id, ShareUpdateExclusiveLock);
	foreach(lc, wanted)
	{
		nvmkv_reindex_concurrently(relid, lfirst_oid(lc));
		collect(lfirst_oid(lc), stmt);
	}
	UnlockRelationIdForSession(&id, ShareUpdateExclusiveLock);
}

static void
reindex(const NvmkvStatement *statement, Node *node, void *arg)
{
	ReindexStmt *stmt = castNode(ReindexStmt, node);
	bool concurrently = read_options(stmt);
	Target target = {.mode = concurrently ? ShareUpdateExclusiveLock : AccessExclusiveLock};
	bool of_table;
	Oid relid;
	Relation rel;
	List *indexes;
	ListCell *lc;

	nvmkv_engine_require_preload();
	if (concurrently)
		PreventInTransactionBlock(statement->context == PROCESS_UTILITY_TOPLEVEL, "REINDEX CONCURRENTLY");
	relid = RangeVarGetRelidExtended(stmt->relation, target.mode, 0, check_owner, &target);
	of_table = !OidIsValid(target.table);
	rel = table_open(of_table ? relid : target.table, NoLock);
	CheckTableNotInUse(rel, "REINDEX");
	indexes = of_table ? RelationGetIndexList(rel) : list_make1_oid(relid);
	relid = RelationGetRelid(rel);
	if (!concurrently)
	{
		if (indexes == NIL)
			ereport(NOTICE, (errmsg("table \"%s\" has no indexes to reindex", RelationGetRelationName(rel))));
		if (list_length(indexes) > 1)
			empty_all(rel, indexes);
		foreach(lc, indexes)
			make_anew(rel, lfirst_oid(lc), stmt);
	}
	table_close(rel, NoLock);
	if (concurrently)
		make_anew_concurrently(relid, indexes, of_table, stmt);
}

bool
nvmkv_reindex(const NvmkvStatement *statement)
{
	if (!names_ours(castNode(ReindexStmt, statement->pstmt->utilityStmt)))
		return false;
	nvmkv_statement_execute(statement, reindex, NULL);
	return true;
}
