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
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/indexbuild.h"
#include "fdw/ddl/reindex.h"
#include "fdw/host/engine.h"
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

static void
check_options(const ReindexStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->params)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "concurrently") == 0 && defGetBoolean(option))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot reindex indexes of foreign tables concurrently"),
					 errhint("REINDEX without CONCURRENTLY keeps others away from the table meanwhile.")));
		if (strcmp(option->defname, "tablespace") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("indexes of foreign tables have no tablespace")));
	}
}

/* As the server does for a table, for whoever the name stands when the lock has been granted. */
static void
check_owner(const RangeVar *relation, Oid relid, Oid old_relid, void *arg)
{
	Oid *locked = arg;
	Oid table;

	if (OidIsValid(*locked) && relid != old_relid)
	{
		UnlockRelationOid(*locked, AccessExclusiveLock);
		*locked = InvalidOid;
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
	if (table != relid && !OidIsValid(*locked))
	{
		LockRelationOid(table, AccessExclusiveLock);
		*locked = table;
	}
}

static void
make_anew(Relation rel, Oid index_oid, const ReindexStmt *stmt)
{
	Relation index = index_open(index_oid, AccessExclusiveLock);
	ObjectAddress address;

	if (!nvmkv_index_is_table(index))
		nvmkv_index_create(rel, index);
	index_close(index, NoLock);

	if (!command_tag_event_trigger_ok(CMDTAG_REINDEX))
		return; /* nor may the triggers of a statement around this one hear of it */
	ObjectAddressSet(address, RelationRelationId, index_oid);
	EventTriggerCollectSimpleCommand(address, InvalidObjectAddress, (Node *) stmt);
}

static void
reindex(const NvmkvStatement *statement, Node *node, void *arg)
{
	ReindexStmt *stmt = castNode(ReindexStmt, node);
	Oid table_oid = InvalidOid;
	Oid relid;
	Relation rel;
	List *indexes;
	ListCell *lc;

	nvmkv_engine_require_preload();
	check_options(stmt);
	relid = RangeVarGetRelidExtended(stmt->relation, AccessExclusiveLock, 0, check_owner, &table_oid);
	rel = table_open(OidIsValid(table_oid) ? table_oid : relid, NoLock);
	CheckTableNotInUse(rel, "REINDEX");
	indexes = OidIsValid(table_oid) ? list_make1_oid(relid) : RelationGetIndexList(rel);
	if (indexes == NIL)
		ereport(NOTICE,
				(errmsg("table \"%s\" has no indexes to reindex", RelationGetRelationName(rel))));
	foreach(lc, indexes)
		make_anew(rel, lfirst_oid(lc), stmt);
	table_close(rel, NoLock);
}

bool
nvmkv_reindex(const NvmkvStatement *statement)
{
	if (!names_ours(castNode(ReindexStmt, statement->pstmt->utilityStmt)))
		return false;
	nvmkv_statement_execute(statement, reindex, NULL);
	return true;
}
