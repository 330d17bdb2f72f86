/*
 * alter.c
 *	  ALTER TABLE on our tables, before and after the server does its part.
 *
 * For foreign tables the server changes its catalogues and leaves the rows to
 * the wrapper, without a word to it: there is no callback, and children are
 * reached by recursion inside ALTER TABLE.  So the state before the command is
 * compared with the state after it, for each of our tables it can reach.
 *
 * A column added with a constant default gets a missing value, as in a heap
 * table.  Where the rows have to be written anew (rewrite.c), how they are read
 * is remembered before.  Without rows, a change that old bytes could not bear
 * starts a new storage, so that no snapshot finds them.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/addcolumn.h"
#include "fdw/ddl/alter.h"
#include "fdw/ddl/altertype.h"
#include "fdw/ddl/column.h"
#include "fdw/ddl/foreignkeysave.h"
#include "fdw/ddl/indexsave.h"
#include "fdw/ddl/keyconstraint.h"
#include "fdw/ddl/keyoption.h"
#include "fdw/ddl/primarykey.h"
#include "fdw/ddl/rewrite.h"
#include "fdw/ddl/rowtype.h"
#include "fdw/ddl/tablebefore.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/engine.h"
#include "fdw/host/ready.h"
#include "fdw/key/keyspec.h"
#include "fdw/storage/registry.h"
#include "fdw/storage/storage.h"
#include "fdw/table/definition.h"

/* ---------------------------------------------------------------- before */

/* A generated column's: there is nothing to write of those that are not stored. */
static void
note_new_expression(NvmkvTableBefore *before, Relation rel, const char *column)
{
	AttrNumber attnum = get_attnum(before->relid, column);

	if (attnum <= 0 || TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated == '\0')
		return; /* the server says what is wrong */
	if (nvmkv_is_virtual(TupleDescAttr(RelationGetDescr(rel), attnum - 1)))
		before->not_null[attnum - 1] = false; /* to be verified again */
	else if (before->had_storage)
	{
		nvmkv_before_keep_rows(before, rel);
		before->new_storage = true;
		if (before->old != NULL)
			before->rewrite |= AT_REWRITE_DEFAULT_VAL;
		before->new_expressions = lappend_int(before->new_expressions, attnum);
		before->checks = NIL;
	}
}

/* A column of the key takes the key with it, as it takes a primary key of a heap table. */
static void
note_dropped_column(NvmkvTableBefore *before, Relation rel, const char *column)
{
	if (!nvmkv_before_in_key(before, get_attnum(before->relid, column)))
		return;
	nvmkv_before_keep_rows(before, rel);
	nvmkv_primary_key_set_option(before->relid, NIL);
}

static void
note_command(NvmkvTableBefore *before, Relation rel, const AlterTableCmd *cmd, Node *using, Relation parent)
{
	switch ((int) cmd->subtype)
	{
		case AT_AlterColumnType:
			nvmkv_note_type_change(before, rel, cmd, using, parent);
			break;
		case AT_DropNotNull:
			if (nvmkv_before_in_key(before, get_attnum(before->relid, cmd->name)))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
						 errmsg("column \"%s\" is in a primary key", cmd->name)));
			break;
		case AT_SetExpression:
			note_new_expression(before, rel, cmd->name);
			break;
		case AT_AddColumn:
			if (before->had_storage && !before->columns_fit)
				(void) nvmkv_table_has_rows(rel); /* says why not */
			break;
		case AT_DropColumn:
			note_dropped_column(before, rel, cmd->name);
			break;
		case AT_GenericOptions:
		case AT_DropConstraint: /* perhaps the primary key's, or that of a parent's */
			nvmkv_before_keep_rows(before, rel);
			break;
		default:
			break;
	}
}

static void
note_commands(NvmkvTableBefore *before, List *cmds, List *usings, Relation parent)
{
	Relation rel = table_open(before->relid, NoLock);
	ListCell *cmd;
	ListCell *using;

	forboth(cmd, cmds, using, usings)
		note_command(before, rel, lfirst_node(AlterTableCmd, cmd), lfirst(using), parent);
	table_close(rel, NoLock);
}

static NvmkvTableBefore *
look_before(Oid relid)
{
	NvmkvTableBefore *before = palloc0(sizeof(NvmkvTableBefore));
	Relation rel = table_open(relid, NoLock);
	TupleDesc desc = RelationGetDescr(rel);

	before->relid = relid;
	before->natts = desc->natts;
	before->not_null = palloc0(Max(desc->natts, 1) * sizeof(bool));
	for (int i = 0; i < desc->natts; i++)
		before->not_null[i] = nvmkv_is_not_null(desc, i);
	for (int i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		if (desc->constr->check[i].ccvalid)
		{
			NvmkvCheckBefore *check = palloc(sizeof(NvmkvCheckBefore));

			check->name = pstrdup(desc->constr->check[i].ccname);
			check->expression = pstrdup(desc->constr->check[i].ccbin);
			before->checks = lappend(before->checks, check);
		}
	}
	before->had_storage = nvmkv_catalog_lookup(relid, &before->storage) && before->storage.dboid == MyDatabaseId &&
		nvmkv_catalog_take_collations(&before->storage, desc);
	before->key_option = nvmkv_primary_key_option(relid);
	if (OidIsValid(nvmkv_primary_key_index(rel)))
		before->key_constraint = get_rel_name(nvmkv_primary_key_index(rel));
	before->columns_fit = before->had_storage &&
		nvmkv_catalog_changed_column(&before->storage, RelationGetDescr(rel)) == 0;

	table_close(rel, NoLock);
	return before;
}

/* Is the column in the key of one of our tables that the statement reaches? */
static bool
names_key_column(const AlterTableStmt *stmt, const char *column)
{
	ListCell *lc;

	foreach(lc, nvmkv_our_tables_below(RangeVarGetRelid(stmt->relation, NoLock, true)))
	{
		const char *definition = nvmkv_primary_key_option(lfirst_oid(lc));
		ListCell *spec;

		foreach(spec, definition != NULL ? nvmkv_parse_primary_key(definition) : NIL)
		{
			if (strcmp(((NvmkvKeySpec *) lfirst(spec))->name, column) == 0)
				return true;
		}
	}
	return false;
}

/* Can the command change how rows are read, or what is said of them? */
static bool
concerns_rows(const AlterTableStmt *stmt, const AlterTableCmd *cmd)
{
	switch ((int) cmd->subtype)
	{
		case AT_DropColumn:
			return names_key_column(stmt, cmd->name);
		case AT_AddColumn:
		case AT_AlterColumnType:
		case AT_SetExpression:
		case AT_DropNotNull:
		case AT_SetNotNull:
		case AT_AddConstraint:
		case AT_DropConstraint:
		case AT_ValidateConstraint:
		case AT_GenericOptions:
			return true;
		default:
			return false;
	}
}

/* A table that is to become a partition.  The server locks it when it has checked the privileges. */
static NvmkvTableBefore *
look_at_attached(const AlterTableStmt *stmt, const AlterTableCmd *cmd)
{
	Oid relid = RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name, NoLock, true);
	Oid parent = RangeVarGetRelid(stmt->relation, NoLock, true);
	NvmkvTableBefore *before;

	if (!OidIsValid(relid) || !OidIsValid(parent))
		return NULL;
	if (nvmkv_our_tables_below(relid) != NIL || nvmkv_our_tables_below(get_default_partition_oid(parent)) != NIL)
		nvmkv_engine_require_preload();
	before = palloc0(sizeof(NvmkvTableBefore));
	before->relid = relid;
	before->attached = true;
	return before;
}

/* USING of each command, NULL: none.  What the server would say of it, it cannot where one of the tables is ours. */
static List *
parse_usings(const AlterTableStmt *stmt, Relation rel, List *relids, const char *query_string)
{
	List *usings = NIL;
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		Node *using = cmd->subtype == AT_AlterColumnType ? nvmkv_parse_using(rel, cmd, query_string) : NULL;
		ListCell *other;

		foreach(other, using != NULL ? relids : NIL)
		{
			if (!nvmkv_is_our_relid(lfirst_oid(other)))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot alter type of column \"%s\" with USING in foreign tables and in table \"%s\" at once",
								cmd->name, get_rel_name(lfirst_oid(other))),
						 errhint("Add a column, fill it by UPDATE, drop the old one and rename it.")));
		}
		usings = lappend(usings, using);
	}
	return usings;
}

/* Where the server would make indexes and foreign keys again it must not see them. */
static void
save_dependents(NvmkvAlter *alter, const AlterTableStmt *stmt, List *relids)
{
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype != AT_AlterColumnType && (int) cmd->subtype != AT_SetExpression)
			continue;
		alter->saved_keys = list_concat(alter->saved_keys, nvmkv_foreign_keys_save(relids, cmd->name));
		if (alter->tables != NIL)
			alter->saved_indexes = list_concat(alter->saved_indexes, nvmkv_indexes_save(relids, cmd->name));
	}
}

/* The statement changes these tables, the first is the one that it names. */
static void
look_at_tables(NvmkvAlter *alter, const AlterTableStmt *stmt, List *relids, const char *query_string)
{
	List *befores = NIL;
	Relation parent;
	ListCell *lc;

	foreach(lc, relids)
	{
		if (nvmkv_is_our_relid(lfirst_oid(lc)))
		{
			nvmkv_engine_require_preload();
			befores = lappend(befores, look_before(lfirst_oid(lc)));
		}
		else
		{
			ListCell *cmd;

			/* Ours are looked at when the column is there. */
			foreach(cmd, stmt->cmds)
			{
				if (nvmkv_adds_value(lfirst_oid(lc), lfirst_node(AlterTableCmd, cmd)))
					nvmkv_refuse_stored_row_type(get_rel_type_id(lfirst_oid(lc)));
			}
		}
	}
	alter->tables = list_concat(alter->tables, befores);
	if (befores != NIL)
	{
		List *usings;

		parent = relation_open(linitial_oid(relids), NoLock);
		usings = parse_usings(stmt, parent, relids, query_string);
		foreach(lc, befores)
			note_commands(lfirst(lc), stmt->cmds, usings, parent);
		relation_close(parent, NoLock);
	}
	save_dependents(alter, stmt, relids);
}

NvmkvAlter *
nvmkv_alter_begin(const AlterTableStmt *stmt, const char *query_string)
{
	NvmkvAlter *alter = palloc0(sizeof(NvmkvAlter));
	bool concerned = false;
	bool retyped = false;
	ListCell *lc;

	if (stmt->objtype != OBJECT_TABLE && stmt->objtype != OBJECT_FOREIGN_TABLE && stmt->objtype != OBJECT_TYPE)
		return NULL;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		NvmkvTableBefore *attached = cmd->subtype == AT_AttachPartition ? look_at_attached(stmt, cmd) : NULL;

		if (attached != NULL)
			alter->tables = lappend(alter->tables, attached);
		concerned = concerned || concerns_rows(stmt, cmd);
		retyped = retyped || cmd->subtype == AT_AlterColumnType;
	}

	if (concerned)
	{
		LOCKMODE lockmode = AlterTableGetLockLevel(stmt->cmds);
		Oid relid = AlterTableLookupRelation((AlterTableStmt *) stmt, lockmode);
		List *relids = NIL;

		if (OidIsValid(relid))
			relids = stmt->relation->inh ? find_all_inheritors(relid, lockmode, NULL) : list_make1_oid(relid);
		foreach(lc, retyped ? relids : NIL)
			nvmkv_refuse_stored_row_type(get_rel_type_id(lfirst_oid(lc)));
		look_at_tables(alter, stmt, relids, query_string);
	}
	return alter->tables != NIL || alter->saved_keys != NIL ? alter : NULL;
}

/* ---------------------------------------------------------------- after */

/* Where the option is another now the constraint goes; where the constraint has gone, the option does. */
static void
settle_constraint(const NvmkvTableBefore *before, Relation rel, List *saved_indexes)
{
	const char *option = nvmkv_primary_key_option(before->relid);
	bool same = option != NULL ? before->key_option != NULL && strcmp(option, before->key_option) == 0
							   : before->key_option == NULL;

	if (!same)
		nvmkv_primary_key_hide(rel);
	else if (option != NULL && before->key_constraint != NULL && !nvmkv_saved_key(saved_indexes, before->relid) &&
			 !OidIsValid(nvmkv_primary_key_index(rel)))
		nvmkv_primary_key_set_option(before->relid, NIL);
}

/* Are rows to be written under another key?  If not, they are those of the columns that the table has now. */
static void
settle_key(NvmkvTableBefore *before, Relation rel)
{
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	int nkeys = nvmkv_key_resolve(rel, GetForeignTable(before->relid)->options, keys);

	if (!before->had_storage)
		nvmkv_set_key_not_null(rel);
	else if (!nvmkv_keys_equal(keys, nkeys, before->storage.keys, before->storage.nkeys))
	{
		before->new_storage = true;
		if (before->old != NULL)
			before->rewrite |= AT_REWRITE_COLUMN_REWRITE;
		nvmkv_set_key_not_null(rel);
	}
	if (!before->new_storage && before->columns_fit &&
		nvmkv_catalog_changed_column(&before->storage, RelationGetDescr(rel)) != 0)
	{
		NvmkvStorageRow row = before->storage;

		nvmkv_catalog_take_columns(&row, RelationGetDescr(rel));
		nvmkv_catalog_put(&row);
	}
}

/* A generated column's new expression, for all rows. */
static void
note_new_expressions(NvmkvTableBefore *before, Relation rel)
{
	ListCell *lc;

	foreach(lc, before->old != NULL ? before->new_expressions : NIL)
	{
		Expr *expr = expression_planner((Expr *) build_column_default(rel, (AttrNumber) lfirst_int(lc)));

		before->new_values = lappend(before->new_values, nvmkv_new_value((AttrNumber) lfirst_int(lc), expr, true));
	}
}

/* A table that has no storage yet gets one when it is written to. */
static void
settle_rows(NvmkvTableBefore *before, Relation rel, const AlterTableStmt *stmt)
{
	Snapshot snapshot;

	if (!before->new_storage || !before->had_storage)
		return;
	if (!before->asked)
		elog(ERROR, "rows of foreign table \"%s\" would be lost", RelationGetRelationName(rel));
	if (before->rewrite == 0)
	{
		nvmkv_table_new_storage(rel);
		return;
	}
	EventTriggerTableRewrite((Node *) stmt, before->relid, before->rewrite);
	nvmkv_refuse_row_type_change(rel);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	nvmkv_table_new_storage(rel);
	nvmkv_rewrite_rows(rel, before->old, snapshot, before->new_values, NULL);
	UnregisterSnapshot(snapshot);
}

static bool
was_checked(const NvmkvTableBefore *before, const NvmkvCheckBefore *check)
{
	ListCell *lc;

	foreach(lc, before->checks)
	{
		const NvmkvCheckBefore *old = lfirst(lc);

		if (strcmp(old->name, check->name) == 0 && strcmp(old->expression, check->expression) == 0)
			return true;
	}
	return false;
}

static void
verify_checks(const NvmkvTableBefore *before, Relation rel)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	List *checks = NIL;
	ListCell *lc;

	/* Copies: the descriptor may be rebuilt while queries run. */
	for (int i = 0; constr != NULL && i < constr->num_check; i++)
	{
		if (constr->check[i].ccvalid)
		{
			NvmkvCheckBefore *check = palloc(sizeof(NvmkvCheckBefore));

			check->name = pstrdup(constr->check[i].ccname);
			check->expression = pstrdup(constr->check[i].ccbin);
			checks = lappend(checks, check);
		}
	}
	foreach(lc, checks)
	{
		NvmkvCheckBefore *check = lfirst(lc);

		if (!was_checked(before, check) && nvmkv_table_has_rows(rel))
			nvmkv_verify_check(rel, check->name, check->expression);
	}
}

/* What the server verifies in rows of heap tables; those that are written anew have had their values looked at. */
static void
verify_not_null(const NvmkvTableBefore *before, Relation rel)
{
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		bool known = i < before->natts ? before->not_null[i] : !nvmkv_is_virtual(att);

		if (!att->attisdropped && !known && nvmkv_is_not_null(RelationGetDescr(rel), i) && nvmkv_table_has_rows(rel))
			nvmkv_verify_not_null(rel, i + 1);
	}
}

static void
finish_table(NvmkvTableBefore *before, const AlterTableStmt *stmt, List *saved_indexes)
{
	Relation rel;
	int natts;

	if (before->attached)
	{
		nvmkv_verify_partition(before->relid);
		return;
	}

	rel = table_open(before->relid, NoLock);
	natts = RelationGetNumberOfAttributes(rel);
	settle_constraint(before, rel, saved_indexes);
	settle_key(before, rel);
	for (int i = before->natts; i < natts; i++)
	{
		if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
			nvmkv_note_new_column(before, rel, i + 1);
	}
	for (int i = before->natts; i < natts; i++)
	{
		if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
			nvmkv_fill_new_column(before, rel, i + 1);
	}
	note_new_expressions(before, rel);
	settle_rows(before, rel, stmt);
	verify_not_null(before, rel);
	verify_checks(before, rel);
	table_close(rel, NoLock);
}

/* The definition goes with the rows, for readers without a server. */
static void
describe_table(const NvmkvTableBefore *before)
{
	Relation rel;
	NvmkvStorageRow row;
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];

	if (before->attached || nvmkv_engine_or_null() == NULL || !nvmkv_catalog_lookup(before->relid, &row) ||
		row.dboid != MyDatabaseId)
		return;
	rel = table_open(before->relid, NoLock);
	nvmkv_registry_describe(row.storage_id, nvmkv_definition(rel, keys, nvmkv_key_of_rows(rel, keys)));
	table_close(rel, NoLock);
}

void
nvmkv_alter_finish(const NvmkvAlter *alter, const NvmkvStatement *statement)
{
	const AlterTableStmt *stmt = castNode(AlterTableStmt, statement->pstmt->utilityStmt);
	ListCell *lc;

	/* The server's changes have to be seen. */
	CommandCounterIncrement();
	foreach(lc, alter->tables)
		finish_table(lfirst(lc), stmt, alter->saved_indexes);
	nvmkv_indexes_restore(statement, alter->saved_indexes);
	foreach(lc, alter->tables)
	{
		if (!((NvmkvTableBefore *) lfirst(lc))->attached)
			nvmkv_primary_key_show(((NvmkvTableBefore *) lfirst(lc))->relid);
	}
	nvmkv_foreign_keys_restore(statement, alter->saved_keys);

	/* And so do those just made. */
	CommandCounterIncrement();
	foreach(lc, alter->tables)
		describe_table(lfirst(lc));
}
