/*
 * alterstorage.c
 *	  ALTER TABLE of what is about a heap's files, on foreign tables.
 *
 * CREATE TABLE takes such things and they mean nothing, so ALTER TABLE does;
 * but for those storage parameters that are about ANALYZE: they become options of
 * the table.  What is left of the statement goes to the server, be it nothing: it
 * looks whether the table is the user's, locks it, and calls event triggers.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_tablespace.h"
#include "commands/tablecmds.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/alterstorage.h"
#include "fdw/ddl/tableoption.h"
#include "fdw/table/autovacuum.h"
#include "fdw/table/table.h"

/* CREATE TABLE ... WITH, or ALTER TABLE ... SET or RESET. */
void
nvmkv_check_storage_parameters(List *options, bool reset)
{
	static NvmkvOptionNamespace namespaces[] = HEAP_RELOPT_NAMESPACES;
	Datum of_table = transformRelOptions((Datum) 0, options, NULL, namespaces, !reset, reset);
	Datum of_toast = transformRelOptions((Datum) 0, options, "toast", namespaces, !reset, reset);

	(void) heap_reloptions(RELKIND_RELATION, of_table, true);
	(void) heap_reloptions(RELKIND_TOASTVALUE, of_toast, true);
}

static void
check_tablespace(const char *name)
{
	Oid tablespace = get_tablespace_oid(name, false);

	/* Who may use the database may use that. */
	if (tablespace != MyDatabaseTableSpace)
	{
		AclResult result = object_aclcheck(TableSpaceRelationId, tablespace, GetUserId(), ACL_CREATE);

		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_TABLESPACE, name);
	}
	if (tablespace == GLOBALTABLESPACE_OID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only shared relations can be placed in pg_global tablespace")));
}

static bool
means_nothing(const AlterTableCmd *cmd)
{
	switch ((int) cmd->subtype)
	{
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
		case AT_SetTableSpace:
		case AT_SetLogged:
		case AT_DropCluster:
			return true;
		default:
			return false;
	}
}

static void
check(const AlterTableCmd *cmd)
{
	if (cmd->subtype == AT_SetRelOptions || cmd->subtype == AT_ResetRelOptions)
		nvmkv_check_storage_parameters((List *) cmd->def, cmd->subtype == AT_ResetRelOptions);
	else if (cmd->subtype == AT_SetTableSpace)
		check_tablespace(cmd->name);
}

/* The options to be changed, DefElem as nvmkv_table_change_options() takes them. */
static List *
option_changes(const AlterTableCmd *cmd)
{
	List *changes = nvmkv_pick_autovacuum_options((List *) cmd->def);
	ListCell *lc;

	foreach(lc, changes)
	{
		if (cmd->subtype == AT_ResetRelOptions)
			lfirst_node(DefElem, lc)->defaction = DEFELEM_DROP;
	}
	return changes;
}

void
nvmkv_settle_storage_finish(const AlterTableStmt *stmt, Oid relid)
{
	List *changes = NIL;
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_SetRelOptions || cmd->subtype == AT_ResetRelOptions)
			changes = list_concat(changes, option_changes(cmd));
	}
	if (changes == NIL)
		return;
	CommandCounterIncrement();
	nvmkv_table_change_options(relid, changes);
}

PlannedStmt *
nvmkv_settle_storage(PlannedStmt *pstmt, Oid *relid_out)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, pstmt->utilityStmt);
	List *rest = NIL;
	Oid relid;
	ListCell *lc;

	*relid_out = InvalidOid;
	if (stmt->objtype != OBJECT_TABLE)
		return pstmt;
	foreach(lc, stmt->cmds)
	{
		if (!means_nothing(lfirst_node(AlterTableCmd, lc)))
			rest = lappend(rest, lfirst(lc));
	}
	if (list_length(rest) == list_length(stmt->cmds))
		return pstmt;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid) || !nvmkv_is_our_relid(relid))
		return pstmt;

	/* So that it is this one that the server alters, and the options are set of. */
	relid = RangeVarGetRelidExtended(stmt->relation, AlterTableGetLockLevel(stmt->cmds), 0,
									 RangeVarCallbackOwnsRelation, NULL);
	if (!nvmkv_is_our_relid(relid))
		return pstmt;
	foreach(lc, stmt->cmds)
		check(lfirst_node(AlterTableCmd, lc));
	pstmt = copyObject(pstmt);
	stmt = castNode(AlterTableStmt, pstmt->utilityStmt);
	stmt->cmds = copyObject(rest);
	stmt->relation->schemaname = get_namespace_name(get_rel_namespace(relid));
	*relid_out = relid;
	return pstmt;
}
