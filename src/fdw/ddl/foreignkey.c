/*
 * foreignkey.c
 *	  Foreign keys of our tables, on either side.
 *
 * They are the server's own: it writes the constraint and its triggers, with all
 * its checks, dependencies and messages, while our tables are shown to it as
 * plain ones (lend.c).  It must not look at rows meanwhile; so it is
 * told that there is nothing to verify, and that is done here afterwards, before
 * anybody else can see the constraint.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_constraint.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/foreignkey.h"
#include "fdw/ddl/foreignkeyadd.h"
#include "fdw/ddl/lend.h"
#include "fdw/ddl/foreignkeytrigger.h"
#include "fdw/ddl/foreignkeyverify.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/engine.h"
#include "fdw/table/table.h"

/* Is the table ours, or has it partitions that are? */
static bool
has_ours(Oid relid)
{
	return nvmkv_is_our_relid(relid) ||
		(get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE && nvmkv_our_tables_below(relid) != NIL);
}

static bool
is_or_has_ours(const RangeVar *relation)
{
	Oid relid = relation != NULL ? RangeVarGetRelid(relation, NoLock, true) : InvalidOid;

	return OidIsValid(relid) && has_ours(relid);
}

/* ---------------------------------------------------------------- catalogue */

/* A foreign key of a table; InvalidOid: it has none of that name, or something else of it. */
static Oid
find_foreign_key(Oid relid, const char *name)
{
	Oid constraint = get_relation_constraint_oid(relid, name, true);
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	bool found = HeapTupleIsValid(tuple) && ((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_FOREIGN;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return found ? constraint : InvalidOid;
}

/* ---------------------------------------------------------------- statements */

static bool
is_foreign_key(const Node *node)
{
	return node != NULL && IsA(node, Constraint) && ((const Constraint *) node)->contype == CONSTR_FOREIGN;
}

/* The foreign keys that a command adds. */
static List *
added_keys(const AlterTableCmd *cmd)
{
	List *keys = NIL;
	ListCell *lc;

	if (cmd->subtype == AT_AddConstraint && is_foreign_key(cmd->def))
		return list_make1(cmd->def);
	if (cmd->subtype != AT_AddColumn)
		return NIL;
	foreach(lc, castNode(ColumnDef, cmd->def)->constraints)
	{
		if (is_foreign_key(lfirst(lc)))
			keys = lappend(keys, lfirst(lc));
	}
	return keys;
}

/* Does the command validate a foreign key, of the table or one that the statement adds? */
static bool
validates_key(Oid relid, const AlterTableStmt *stmt, const AlterTableCmd *cmd)
{
	ListCell *lc;

	if (cmd->subtype != AT_ValidateConstraint)
		return false;
	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *other = lfirst_node(AlterTableCmd, lc);
		const Constraint *key = (const Constraint *) other->def;

		if (other->subtype == AT_AddConstraint && is_foreign_key(other->def) && key->conname != NULL &&
			strcmp(key->conname, cmd->name) == 0)
			return true;
	}
	return OidIsValid(find_foreign_key(relid, cmd->name));
}

/* Does the command alter a foreign key, or try to, of a table of ours, or one that references it? */
static bool
alters_key(Oid relid, const AlterTableCmd *cmd)
{
	HeapTuple tuple;
	bool references;

	if (cmd->subtype != AT_AlterConstraint)
		return false;
	if (has_ours(relid))
		return true;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(find_foreign_key(relid, nvmkv_altered_constraint(cmd))));
	if (!HeapTupleIsValid(tuple))
		return false;
	references = has_ours(((Form_pg_constraint) GETSTRUCT(tuple))->confrelid);
	ReleaseSysCache(tuple);
	return references;
}

bool
nvmkv_concerns_foreign_key(const AlterTableStmt *stmt)
{
	Oid relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		ListCell *key;

		if (OidIsValid(relid) &&
			((nvmkv_is_our_relid(relid) && validates_key(relid, stmt, cmd)) || alters_key(relid, cmd)))
			return true;
		foreach(key, added_keys(cmd))
		{
			if ((OidIsValid(relid) && has_ours(relid)) || is_or_has_ours(lfirst_node(Constraint, key)->pktable))
				return true;
		}
	}
	return false;
}

/*
 * The foreign keys of a new column, taken out of it with what follows them there: DEFERRABLE and the like are nodes of
 * their own.
 */
static List *
take_from_column(ColumnDef *column)
{
	List *taken = NIL;
	List *left = NIL;
	Constraint *key = NULL;
	ListCell *lc;

	foreach(lc, column->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if (is_foreign_key((Node *) constraint))
		{
			key = constraint;
			key->fk_attrs = list_make1(makeString(pstrdup(column->colname)));
			taken = lappend(taken, key);
		}
		else if (key == NULL || !nvmkv_take_key_attribute(key, constraint))
		{
			key = NULL;
			left = lappend(left, constraint);
		}
	}
	column->constraints = left;
	return taken;
}

/*
 * Takes all that is done here out of the statement: foreign keys that are added, commands that alter some, and names of
 * those to be validated.
 */
static void
take_commands(AlterTableStmt *stmt, Oid relid, List **added, List **altered, List **validated)
{
	List *left = NIL;
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AddConstraint && is_foreign_key(cmd->def))
		{
			*added = lappend(*added, cmd->def);
			continue;
		}
		if (nvmkv_is_our_relid(relid) && validates_key(relid, stmt, cmd))
		{
			*validated = lappend(*validated, cmd->name);
			continue;
		}
		if (alters_key(relid, cmd))
		{
			*altered = lappend(*altered, cmd);
			continue;
		}
		if (cmd->subtype == AT_AddColumn)
		{
			ColumnDef *column = castNode(ColumnDef, cmd->def);
			List *taken = take_from_column(column);

			if (!cmd->missing_ok || get_attnum(relid, column->colname) == InvalidAttrNumber)
				*added = list_concat(*added, taken);
		}
		left = lappend(left, cmd);
	}
	stmt->cmds = left;
}

/* ---------------------------------------------------------------- altering */

/* The server says so if there is no such foreign key.  It refuses to alter a table that events wait for. */
static void
alter_key(const NvmkvStatement *statement, const AlterTableStmt *stmt, Oid relid, AlterTableCmd *cmd)
{
	Oid constraint = find_foreign_key(relid, nvmkv_altered_constraint(cmd));
	bool ours = nvmkv_is_our_relid(relid);
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Oid referenced = InvalidOid;
	ListCell *lc;

	if (HeapTupleIsValid(tuple))
	{
		referenced = ((Form_pg_constraint) GETSTRUCT(tuple))->confrelid;
		ReleaseSysCache(tuple);
		LockRelationOid(referenced, ShareRowExclusiveLock);
	}
	if (HeapTupleIsValid(tuple) && nvmkv_alters_enforcement(cmd))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign key \"%s\" of or to a foreign table cannot be changed to ENFORCED or NOT ENFORCED",
						nvmkv_altered_constraint(cmd)),
				 errhint("Drop it, and add it again.")));
	if (ours)
		nvmkv_lend_table(relid);
	nvmkv_foreign_key_by_server(statement, stmt->relation, cmd);
	if (ours)
		nvmkv_return_table(relid);
	foreach(lc, list_concat_unique_oid(nvmkv_foreign_key_tables(relid), nvmkv_foreign_key_tables(referenced)))
		nvmkv_foreign_key_triggers_settle(lfirst_oid(lc));
}

/* ---------------------------------------------------------------- validating */

/* After ATExecValidateConstraint of the server. */
static void
validate_key(Oid relid, const char *name)
{
	Oid constraint = get_relation_constraint_oid(relid, name, false);
	Relation constraints = table_open(ConstraintRelationId, RowExclusiveLock);
	HeapTuple tuple = SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (!nvmkv_is_enforced(form))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("cannot validate NOT ENFORCED constraint")));
	if (!form->convalidated)
	{
		LockRelationOid(form->confrelid, RowShareLock);
		form->convalidated = true;
		CatalogTupleUpdate(constraints, &tuple->t_self, tuple);
		InvokeObjectPostAlterHook(ConstraintRelationId, constraint, 0);
		CacheInvalidateRelcacheByRelid(relid);
		CommandCounterIncrement();
		nvmkv_foreign_key_verify(constraint);
	}
	heap_freetuple(tuple);
	table_close(constraints, RowExclusiveLock);
}

/* Validates them all, and tells event triggers. */
static void
validate_keys(const AlterTableStmt *stmt, Oid relid, List *names)
{
	ListCell *lc;

	EventTriggerAlterTableStart((Node *) stmt);
	EventTriggerAlterTableRelid(relid);
	foreach(lc, names)
	{
		AlterTableCmd *cmd = makeNode(AlterTableCmd);
		ObjectAddress address;

		validate_key(relid, lfirst(lc));
		cmd->subtype = AT_ValidateConstraint;
		cmd->name = lfirst(lc);
		ObjectAddressSet(address, ConstraintRelationId, get_relation_constraint_oid(relid, cmd->name, false));
		EventTriggerCollectAlterTableSubcmd((Node *) cmd, address);
	}
	EventTriggerAlterTableEnd();
}

/* ---------------------------------------------------------------- the statement */

void
nvmkv_alter_foreign_keys(const NvmkvStatement *statement, void (*alter) (const NvmkvStatement *statement))
{
	NvmkvStatement rest = nvmkv_statement_rest(statement);
	List *added = NIL;
	List *altered = NIL;
	List *validated = NIL;
	AlterTableStmt *stmt;
	Oid relid;
	ListCell *lc;

	nvmkv_engine_require_preload();
	stmt = castNode(AlterTableStmt, rest.pstmt->utilityStmt);
	relid = AlterTableLookupRelation(stmt, AlterTableGetLockLevel(stmt->cmds));
	if (!OidIsValid(relid))
	{
		alter(&rest); /* IF EXISTS */
		return;
	}

	take_commands(stmt, relid, &added, &altered, &validated);
	if (stmt->cmds != NIL)
		alter(&rest);
	CommandCounterIncrement();
	foreach(lc, added)
		(void) nvmkv_foreign_key_add(statement, stmt->relation, lfirst_node(Constraint, lc));
	foreach(lc, altered)
		alter_key(statement, stmt, relid, lfirst_node(AlterTableCmd, lc));
	if (validated != NIL)
		validate_keys(stmt, relid, validated);
}
