/*
 * droptable.c
 *	  DROP TABLE of foreign tables.
 *
 * All tables of a statement are dropped at once, whatever kinds they are of,
 * since one may depend on the other.  This follows RemoveRelations() and its
 * callback; of a name that is no table the server says what is to be said.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/droptable.h"
#include "fdw/table/table.h"

static bool
is_table(Oid relid)
{
	char relkind = get_rel_relkind(relid);

	return relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE || nvmkv_is_our_relid(relid);
}

static bool
concerns_ours(const DropStmt *stmt)
{
	ListCell *lc;

	if (stmt->removeType != OBJECT_TABLE)
		return false;
	foreach(lc, stmt->objects)
	{
		Oid relid = RangeVarGetRelid(makeRangeVarFromNameList(lfirst_node(List, lc)), NoLock, true);

		if (OidIsValid(relid) && nvmkv_is_our_relid(relid))
			return true;
	}
	return false;
}

static void
check_rights(const RangeVar *relation, Oid relid, const FormData_pg_class *form)
{
	if (!object_ownercheck(RelationRelationId, relid, GetUserId()) &&
		!object_ownercheck(NamespaceRelationId, form->relnamespace, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, relation->relname);
	if (!allowSystemTableMods && IsSystemClass(relid, (Form_pg_class) form))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" is a system catalog", relation->relname)));
}

/*
 * Before the table that the name means is locked, and again if it means another one once the lock is there.  The parent
 * of a partition is locked first, as by queries; *parent is the one that is.
 */
static void
before_lock(const RangeVar *relation, Oid relid, Oid old_relid, void *arg)
{
	Oid *parent = arg;
	HeapTuple tuple;
	bool is_partition;

	if (relid != old_relid && OidIsValid(*parent))
	{
		UnlockRelationOid(*parent, AccessExclusiveLock);
		*parent = InvalidOid;
	}
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return;
	if (!is_table(relid))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a table", relation->relname)));
	check_rights(relation, relid, (Form_pg_class) GETSTRUCT(tuple));
	is_partition = ((Form_pg_class) GETSTRUCT(tuple))->relispartition;
	ReleaseSysCache(tuple);
	if (is_partition && relid != old_relid)
	{
		*parent = get_partition_parent(relid, true);
		if (OidIsValid(*parent))
			LockRelationOid(*parent, AccessExclusiveLock);
	}
}

/* The server raises an error, or says that there is nothing to drop. */
static void
leave_to_server(const NvmkvStatement *statement, DropStmt *stmt, List *name)
{
	DropStmt *single = copyObject(stmt);

	single->objects = list_make1(copyObject(name));
	nvmkv_statement_part(statement, (Node *) single);
}

static void
execute(const NvmkvStatement *statement, Node *node, void *arg)
{
	DropStmt *stmt = castNode(DropStmt, node);
	ObjectAddresses *objects = new_object_addresses();
	ListCell *lc;

	foreach(lc, stmt->objects)
	{
		RangeVar *relation = makeRangeVarFromNameList(lfirst_node(List, lc));
		ObjectAddress table = {RelationRelationId, InvalidOid, 0};
		Oid parent = InvalidOid;
		Oid relid;

		AcceptInvalidationMessages();
		relid = RangeVarGetRelid(relation, NoLock, true);
		if (OidIsValid(relid) && is_table(relid))
			table.objectId = RangeVarGetRelidExtended(relation, AccessExclusiveLock, RVR_MISSING_OK, before_lock,
													  &parent);
		if (OidIsValid(table.objectId))
			add_exact_object_address(&table, objects);
		else
			leave_to_server(statement, stmt, lfirst_node(List, lc));
	}
	performMultipleDeletions(objects, stmt->behavior, 0);
	free_object_addresses(objects);
}

bool
nvmkv_drop_tables(const NvmkvStatement *statement)
{
	if (!concerns_ours(castNode(DropStmt, statement->pstmt->utilityStmt)))
		return false;
	nvmkv_statement_execute(statement, execute, NULL);
	return true;
}
