/*
 * alterindex.c
 *	  CREATE INDEX, DROP INDEX, and ALTER TABLE that adds constraints which are indexes.
 *
 * The server refuses both for foreign tables.  Such constraints are taken out of
 * ALTER TABLE, the server does the rest, and they are made after it, as they are
 * on a heap table after all columns are there.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/ddl/alterindex.h"
#include "fdw/ddl/column.h"
#include "fdw/ddl/constraint.h"
#include "fdw/ddl/indexconcurrent.h"
#include "fdw/ddl/indexdef.h"
#include "fdw/ddl/useindex.h"
#include "fdw/host/engine.h"
#include "fdw/table/table.h"

static bool
is_ours(const RangeVar *relation)
{
	Oid relid = relation != NULL ? RangeVarGetRelid(relation, NoLock, true) : InvalidOid;

	return OidIsValid(relid) && nvmkv_is_our_relid(relid);
}

/* ---------------------------------------------------------------- CREATE INDEX */

static void
create_index(const NvmkvStatement *statement, Node *node, void *arg)
{
	IndexStmt *stmt = castNode(IndexStmt, node);
	ObjectAddress address;
	Oid relid;
	Oid index;

	if (stmt->concurrent)
		PreventInTransactionBlock(statement->context == PROCESS_UTILITY_TOPLEVEL, "CREATE INDEX CONCURRENTLY");
	relid = RangeVarGetRelidExtended(stmt->relation, stmt->concurrent ? ShareUpdateExclusiveLock : ShareLock, 0,
									 RangeVarCallbackOwnsRelation, NULL);
	index = nvmkv_define_index(relid, stmt, statement->query_string, InvalidOid, InvalidOid);
	if (stmt->concurrent && OidIsValid(index))
		nvmkv_index_fill_concurrently(relid, index, true);
	ObjectAddressSet(address, RelationRelationId, index);
	EventTriggerCollectSimpleCommand(address, InvalidObjectAddress, (Node *) stmt);
}

bool
nvmkv_create_index(const NvmkvStatement *statement)
{
	if (!is_ours(castNode(IndexStmt, statement->pstmt->utilityStmt)->relation))
		return false;
	nvmkv_statement_execute(statement, create_index, NULL);
	return true;
}

/* ---------------------------------------------------------------- DROP INDEX */

/* Does one of the names stand for an index of a table of ours? */
static bool
names_our_index(const DropStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->objects)
	{
		Oid index = RangeVarGetRelid(makeRangeVarFromNameList(lfirst_node(List, lc)), NoLock, true);

		if (OidIsValid(index) && get_rel_relkind(index) == RELKIND_PARTITIONED_INDEX &&
			nvmkv_is_our_relid(IndexGetRelation(index, false)))
			return true;
	}
	return false;
}

PlannedStmt *
nvmkv_settle_drop_index(PlannedStmt *pstmt, bool top_level)
{
	DropStmt *stmt = castNode(DropStmt, pstmt->utilityStmt);

	if (stmt->removeType != OBJECT_INDEX || !stmt->concurrent || !names_our_index(stmt))
		return pstmt;
	PreventInTransactionBlock(top_level, "DROP INDEX CONCURRENTLY");
	if (list_length(stmt->objects) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("DROP INDEX CONCURRENTLY does not support dropping multiple objects")));
	if (stmt->behavior == DROP_CASCADE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("DROP INDEX CONCURRENTLY does not support CASCADE")));
	pstmt = copyObject(pstmt);
	castNode(DropStmt, pstmt->utilityStmt)->concurrent = false;
	return pstmt;
}

/* ---------------------------------------------------------------- ALTER TABLE */

static bool
adds_index(const AlterTableCmd *cmd)
{
	ListCell *lc;

	if (cmd->def == NULL)
		return false;
	if (cmd->subtype == AT_AddConstraint)
		return nvmkv_is_index_constraint(cmd->def);
	if (cmd->subtype == AT_AddColumn)
	{
		foreach(lc, castNode(ColumnDef, cmd->def)->constraints)
		{
			if (nvmkv_is_index_constraint(lfirst(lc)))
				return true;
		}
	}
	return false;
}

bool
nvmkv_adds_index(const AlterTableStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		if (adds_index(lfirst_node(AlterTableCmd, lc)))
			return is_ours(stmt->relation);
	}
	return false;
}

/* Constraints of the column that are indexes, taken out of it. */
static List *
take_from_column(ColumnDef *column)
{
	List *taken = NIL;
	List *left = NIL;
	ListCell *lc;

	foreach(lc, column->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if (nvmkv_is_index_constraint((Node *) constraint))
		{
			constraint->keys = list_make1(makeString(pstrdup(column->colname)));
			taken = lappend(taken, constraint);
		}
		else
		{
			/* DEFERRABLE and the like are nodes of their own behind what they are of. */
			if (taken != NIL && constraint->contype == CONSTR_ATTR_DEFERRABLE)
				llast_node(Constraint, taken)->deferrable = true;
			else if (taken != NIL && constraint->contype == CONSTR_ATTR_DEFERRED)
				llast_node(Constraint, taken)->initdeferred = true;
			else if (taken == NIL || (constraint->contype != CONSTR_ATTR_NOT_DEFERRABLE &&
									  constraint->contype != CONSTR_ATTR_IMMEDIATE))
				left = lappend(left, constraint);
		}
	}
	column->constraints = left;
	return taken;
}

/* All such constraints of the statement, taken out of it. */
static List *
take_constraints(AlterTableStmt *stmt)
{
	List *taken = NIL;
	List *left = NIL;
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (adds_index(cmd) && cmd->subtype == AT_AddConstraint)
		{
			taken = lappend(taken, cmd->def);
			continue;
		}
		if (adds_index(cmd))
			taken = list_concat(taken, take_from_column(castNode(ColumnDef, cmd->def)));
		left = lappend(left, cmd);
	}
	stmt->cmds = left;
	return taken;
}

/* The columns of a primary key become NOT NULL, as a part of the statement. */
static void
add_not_null(AlterTableStmt *stmt, Oid relid, const Constraint *constraint)
{
	ListCell *lc;

	foreach(lc, constraint->keys)
	{
		AlterTableCmd *cmd = makeNode(AlterTableCmd);

		nvmkv_check_not_null_of_key(relid, strVal(lfirst(lc)));
		cmd->subtype = AT_SetNotNull;
		cmd->name = pstrdup(strVal(lfirst(lc)));
		stmt->cmds = lappend(stmt->cmds, cmd);
	}
}

void
nvmkv_add_indexes(const NvmkvStatement *statement, void (*alter) (const NvmkvStatement *statement))
{
	NvmkvStatement rest = nvmkv_statement_rest(statement);
	AlterTableStmt *stmt;
	Oid relid;
	List *constraints;
	bool told;
	ListCell *lc;

	nvmkv_engine_require_preload();
	stmt = castNode(AlterTableStmt, rest.pstmt->utilityStmt);
	relid = AlterTableLookupRelation(stmt, AlterTableGetLockLevel(stmt->cmds));
	constraints = take_constraints(stmt);
	foreach(lc, constraints)
	{
		if (lfirst_node(Constraint, lc)->contype == CONSTR_PRIMARY)
			add_not_null(stmt, relid, lfirst(lc));
	}
	told = stmt->cmds != NIL;
	if (told)
		alter(&rest);
	CommandCounterIncrement();

	if (!told)
	{
		EventTriggerAlterTableStart((Node *) stmt);
		EventTriggerAlterTableRelid(relid);
	}
	foreach(lc, constraints)
	{
		const Constraint *constraint = lfirst_node(Constraint, lc);
		IndexStmt *index = nvmkv_index_of_constraint(stmt->relation, constraint);
		ObjectAddress address;

		if (constraint->indexname != NULL)
			ObjectAddressSet(address, RelationRelationId, nvmkv_use_index(relid, constraint));
		else
			ObjectAddressSet(address, RelationRelationId,
							 nvmkv_define_index(relid, index, statement->query_string, InvalidOid, InvalidOid));
		if (!told)
		{
			AlterTableCmd *cmd = makeNode(AlterTableCmd);

			cmd->subtype = AT_AddIndex;
			cmd->def = (Node *) index;
			EventTriggerCollectAlterTableSubcmd((Node *) cmd, address);
		}
	}
	if (!told)
		EventTriggerAlterTableEnd();
}

/* ---------------------------------------------------------------- owners */

void
nvmkv_indexes_follow_owner(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	Oid owner = rel->rd_rel->relowner;
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	table_close(rel, NoLock);
	foreach(lc, indexes)
	{
		HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));
		bool follows;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for relation %u", lfirst_oid(lc));
		follows = ((Form_pg_class) GETSTRUCT(tuple))->relowner != owner;
		ReleaseSysCache(tuple);
		if (follows)
			ATExecChangeOwner(lfirst_oid(lc), owner, true, AccessExclusiveLock);
	}
}
