/*
 * alter.c
 *	  ALTER TABLE on our tables, before and after the server does its part.
 *
 * For foreign tables the server changes its catalogues and leaves the rows to
 * the wrapper, without a word to it: there is no callback, and children are
 * reached by recursion inside ALTER TABLE.  So the state before the command is
 * compared with the state after it, for each of our tables it can reach.
 *
 * Rows are never rewritten.  A column added with a constant default gets a
 * missing value, as in a heap table; what would need a rewrite is refused
 * while there are rows.  Without rows, a change that old bytes could not bear
 * starts a new storage, so that no snapshot finds them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/alter.h"
#include "fdw/ddl/column.h"
#include "fdw/ddl/indexsave.h"
#include "fdw/ddl/keyconstraint.h"
#include "fdw/ddl/keyoption.h"
#include "fdw/ddl/primarykey.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/engine.h"
#include "fdw/host/ready.h"
#include "fdw/key/keyspec.h"
#include "fdw/storage/registry.h"
#include "fdw/storage/storage.h"
#include "fdw/table/catalog.h"
#include "fdw/table/definition.h"
#include "fdw/table/option.h"
#include "fdw/table/table.h"

#define COPY_ROWS_HINT "Create a new foreign table and copy the rows with INSERT ... SELECT."

typedef struct CheckBefore
{
	char *name;
	char *expression;
} CheckBefore;

/* One of our tables as it was before the command. */
typedef struct TableBefore
{
	Oid relid;
	bool attached; /* becomes a partition, ours or not: that alone has to be verified */
	int natts;
	bool *not_null;
	List *checks; /* CheckBefore, of the valid ones */
	bool had_storage;
	NvmkvStorageRow storage; /* with its key columns, if had_storage */
	bool columns_fit;        /* were as that row says */
	bool had_rows;           /* if that was asked */
	char *key_option;        /* NULL: none */
	char *key_constraint;    /* the name of what shows it; NULL: none */
	List *saved_indexes;     /* removed, to be made again */
	bool new_storage;        /* to be started */
} TableBefore;

/* ---------------------------------------------------------------- before */

/* After ATColumnChangeRequiresRewrite of the server. */
static bool
needs_rewrite(Node *expr)
{
	for (;;)
	{
		if (IsA(expr, Var))
			return false;
		else if (IsA(expr, RelabelType))
			expr = (Node *) ((RelabelType *) expr)->arg;
		else if (IsA(expr, CoerceToDomain))
		{
			if (DomainHasConstraints(((CoerceToDomain *) expr)->resulttype))
				return true;
			expr = (Node *) ((CoerceToDomain *) expr)->arg;
		}
		else if (IsA(expr, FuncExpr))
		{
			FuncExpr *f = (FuncExpr *) expr;

			if (f->funcid != F_TIMESTAMPTZ_TIMESTAMP && f->funcid != F_TIMESTAMP_TIMESTAMPTZ)
				return true;
			if (TimestampTimestampTzRequiresRewrite())
				return true;
			expr = linitial(f->args);
		}
		else
			return true;
	}
}

/* The column of the stored key. */
static const NvmkvKeyColumn *
find_key(const TableBefore *before, AttrNumber attnum)
{
	for (int i = 0; before->had_storage && i < before->storage.nkeys; i++)
	{
		if (before->storage.keys[i].attnum == attnum)
			return &before->storage.keys[i];
	}
	return NULL;
}

static void
refuse_new_type_if_rows(Relation rel, const char *column)
{
	if (nvmkv_table_has_rows(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot alter type of column \"%s\" because the rows of foreign table \"%s\" would have to be rewritten",
						column, RelationGetRelationName(rel)),
				 errhint(COPY_ROWS_HINT)));
}

/* ALTER COLUMN TYPE: what is not ours to say, the server says in its turn. */
static void
check_type_change(TableBefore *before, Relation rel, AlterTableCmd *cmd)
{
	ColumnDef *def = castNode(ColumnDef, cmd->def);
	AttrNumber attnum = get_attnum(before->relid, cmd->name);
	Form_pg_attribute att;
	const NvmkvKeyColumn *key;
	Oid type;
	int32 typmod;
	Node *change;

	if (attnum <= 0)
		return;
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	if (def->raw_default != NULL)
	{
		/* USING: the server refuses it for foreign tables that have no rows, too. */
		refuse_new_type_if_rows(rel, cmd->name);
		return;
	}
	typenameTypeIdAndMod(NULL, def->typeName, &type, &typmod);
	change = (Node *) makeVar(1, attnum, att->atttypid, att->atttypmod, att->attcollation, 0);
	change = coerce_to_target_type(NULL, change, att->atttypid, type, typmod,
								   COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (change == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" cannot be cast automatically to type %s", cmd->name, format_type_be(type)),
				 errhint(COPY_ROWS_HINT)));

	/* Rows were written with it: the column was changed without the library, and this undoes it. */
	if (before->had_storage && attnum <= before->storage.ncolumns && before->storage.column_types[attnum - 1] == type)
	{
		before->saved_indexes = list_concat(before->saved_indexes, nvmkv_indexes_save(rel, attnum));
		return;
	}

	key = find_key(before, attnum);
	if (key != NULL &&
		(getBaseType(type) != key->base_type || GetColumnDefCollation(NULL, def, type) != key->collation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot alter type of column \"%s\" because it is in the primary key of foreign table \"%s\"",
						cmd->name, RelationGetRelationName(rel)),
				 errhint(COPY_ROWS_HINT)));

	if (needs_rewrite((Node *) expression_planner((Expr *) change)))
	{
		refuse_new_type_if_rows(rel, cmd->name);
		before->new_storage = true;
	}
	before->saved_indexes = list_concat(before->saved_indexes, nvmkv_indexes_save(rel, attnum));
}

/* Are values of the row type within those of the type? */
static bool
type_embeds(Oid type, Oid row_type)
{
	Oid inner;

	check_stack_depth();
	if (type == row_type)
		return true;
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			return type_embeds(getBaseType(type), row_type);
		case TYPTYPE_RANGE:
			return type_embeds(get_range_subtype(type), row_type);
		case TYPTYPE_MULTIRANGE:
			return type_embeds(get_multirange_range(type), row_type);
		case TYPTYPE_COMPOSITE:
		{
			TupleDesc desc = lookup_rowtype_tupdesc_copy(type, -1);

			for (int i = 0; i < desc->natts; i++)
			{
				if (!TupleDescAttr(desc, i)->attisdropped && type_embeds(TupleDescAttr(desc, i)->atttypid, row_type))
					return true;
			}
			return false;
		}
		default:
			inner = get_element_type(type);
			return OidIsValid(inner) && type_embeds(inner, row_type);
	}
}

/*
 * A row type must not change under columns that store it.  The server sees to
 * that for tables with storage, and only in its later minor versions for
 * foreign ones.
 */
static void
check_row_type(Oid row_type)
{
	ListCell *lc;

	foreach(lc, nvmkv_our_relids())
	{
		Relation rel = try_relation_open(lfirst_oid(lc), AccessShareLock);

		if (rel == NULL)
			continue;
		for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		{
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

			if (!att->attisdropped && type_embeds(att->atttypid, row_type) && nvmkv_table_has_rows(rel))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot alter type \"%s\" because column \"%s.%s\" uses it",
								format_type_be(row_type), RelationGetRelationName(rel), NameStr(att->attname))));
		}
		relation_close(rel, NoLock);
	}
}

/*
 * Nor must a column with a value in old rows be added to it: values of the row type stored elsewhere would not get it.
 * As the server does it for heap tables.
 */
static void
check_row_type_gains_value(Relation rel)
{
	find_composite_type_dependencies(rel->rd_rel->reltype, rel, NULL);
	check_row_type(rel->rd_rel->reltype);
}

/* A generated column's: a heap table is written anew for those that are stored; of others there is nothing to write. */
static void
check_new_expression(TableBefore *before, Relation rel, const char *column)
{
	AttrNumber attnum = get_attnum(before->relid, column);

	if (attnum <= 0 || TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated == '\0')
		return; /* the server says what is wrong */
	if (nvmkv_is_virtual(TupleDescAttr(RelationGetDescr(rel), attnum - 1)))
		before->not_null[attnum - 1] = false; /* to be verified again */
	else if (nvmkv_table_has_rows(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change the expression of column \"%s\" because the rows of foreign table \"%s\" would have to be rewritten",
						column, RelationGetRelationName(rel)),
				 errhint(COPY_ROWS_HINT)));
}

static void
check_command(TableBefore *before, Relation rel, AlterTableCmd *cmd)
{
	switch ((int) cmd->subtype)
	{
		case AT_AlterColumnType:
			check_type_change(before, rel, cmd);
			break;
		case AT_DropNotNull:
			if (find_key(before, get_attnum(before->relid, cmd->name)) != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
						 errmsg("column \"%s\" is in a primary key", cmd->name)));
			break;
		case AT_SetExpression:
			check_new_expression(before, rel, cmd->name);
			break;
		case AT_AddColumn:
			if (before->had_storage && !before->columns_fit)
				(void) nvmkv_table_has_rows(rel); /* says why not */
			break;
		case AT_GenericOptions:
		case AT_DropConstraint: /* perhaps the primary key's, or that of a parent's */
			/* Afterwards the definition may fit no stored row, and nobody could look. */
			before->had_rows = nvmkv_table_has_rows(rel);
			break;
		default:
			break;
	}
}

static TableBefore *
look_before(Oid relid, List *cmds)
{
	TableBefore *before = palloc0(sizeof(TableBefore));
	Relation rel = table_open(relid, NoLock);
	TupleDesc desc = RelationGetDescr(rel);
	ListCell *lc;

	before->relid = relid;
	before->natts = desc->natts;
	before->not_null = palloc0(Max(desc->natts, 1) * sizeof(bool));
	for (int i = 0; i < desc->natts; i++)
		before->not_null[i] = nvmkv_is_not_null(desc, i);
	for (int i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		if (desc->constr->check[i].ccvalid)
		{
			CheckBefore *check = palloc(sizeof(CheckBefore));

			check->name = pstrdup(desc->constr->check[i].ccname);
			check->expression = pstrdup(desc->constr->check[i].ccbin);
			before->checks = lappend(before->checks, check);
		}
	}
	before->had_storage = nvmkv_catalog_lookup(relid, &before->storage) && before->storage.dboid == MyDatabaseId;
	before->key_option = nvmkv_primary_key_option(relid);
	if (OidIsValid(nvmkv_primary_key_index(rel)))
		before->key_constraint = get_rel_name(nvmkv_primary_key_index(rel));
	before->columns_fit = before->had_storage &&
		nvmkv_catalog_changed_column(&before->storage, RelationGetDescr(rel)) == 0;

	foreach(lc, cmds)
		check_command(before, rel, lfirst_node(AlterTableCmd, lc));
	table_close(rel, NoLock);
	return before;
}

/* Does the command give rows that are there a value in a new column?  Defaults of types are not looked for. */
static bool
adds_value(Oid relid, const AlterTableCmd *cmd)
{
	const ColumnDef *def;
	ListCell *lc;

	if (cmd->subtype != AT_AddColumn)
		return false;
	def = castNode(ColumnDef, cmd->def);
	if (cmd->missing_ok && get_attnum(relid, def->colname) != InvalidAttrNumber)
		return false;
	foreach(lc, def->constraints)
	{
		const Constraint *constraint = lfirst_node(Constraint, lc);

		if (constraint->contype == CONSTR_DEFAULT || constraint->contype == CONSTR_IDENTITY ||
			constraint->contype == CONSTR_GENERATED)
			return true;
	}
	return def->raw_default != NULL;
}

/* Can the command change how rows are read, or what is said of them? */
static bool
concerns_rows(const AlterTableCmd *cmd)
{
	switch ((int) cmd->subtype)
	{
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

List *
nvmkv_alter_begin(AlterTableStmt *stmt)
{
	List *befores = NIL;
	bool concerned = false;
	bool retyped = false;
	ListCell *lc;

	if (stmt->objtype != OBJECT_TABLE && stmt->objtype != OBJECT_FOREIGN_TABLE && stmt->objtype != OBJECT_TYPE)
		return NIL;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AttachPartition)
		{
			/* The server locks it when it has checked the privileges. */
			Oid relid = RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name, NoLock, true);
			Oid parent = RangeVarGetRelid(stmt->relation, NoLock, true);

			if (OidIsValid(relid) && OidIsValid(parent))
			{
				TableBefore *before = palloc0(sizeof(TableBefore));

				if (nvmkv_our_tables_below(relid) != NIL ||
					nvmkv_our_tables_below(get_default_partition_oid(parent)) != NIL)
					nvmkv_engine_require_preload();
				before->relid = relid;
				before->attached = true;
				befores = lappend(befores, before);
			}
		}
		else if (concerns_rows(cmd))
			concerned = true;
		if (cmd->subtype == AT_AlterColumnType)
			retyped = true;
	}

	if (concerned)
	{
		LOCKMODE lockmode = AlterTableGetLockLevel(stmt->cmds);
		Oid relid = AlterTableLookupRelation(stmt, lockmode);
		List *relids = NIL;

		if (OidIsValid(relid))
			relids = stmt->relation->inh ? find_all_inheritors(relid, lockmode, NULL) : list_make1_oid(relid);
		foreach(lc, relids)
		{
			if (retyped)
				check_row_type(get_rel_type_id(lfirst_oid(lc)));
			if (nvmkv_is_our_relid(lfirst_oid(lc)))
			{
				nvmkv_engine_require_preload();
				befores = lappend(befores, look_before(lfirst_oid(lc), stmt->cmds));
			}
			else
			{
				ListCell *cmd;

				/* Ours are looked at when the column is there. */
				foreach(cmd, stmt->cmds)
				{
					if (adds_value(lfirst_oid(lc), lfirst_node(AlterTableCmd, cmd)))
						check_row_type(get_rel_type_id(lfirst_oid(lc)));
				}
			}
		}
	}
	return befores;
}

/* ---------------------------------------------------------------- new columns */

static void
report_cannot_fill(Relation rel, AttrNumber attnum)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot add column \"%s\" because the rows of foreign table \"%s\" would have to be rewritten",
					NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname), RelationGetRelationName(rel)),
			 errdetail("Its value is not the same for all rows."),
			 errhint("Add a plain column, fill it by UPDATE, then set its default.")));
}

/* A column that the command has added. */
static void
fill_new_column(Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	bool constrained = DomainHasConstraints(att->atttypid);
	Expr *expr = (Expr *) build_column_default(rel, attnum);
	Datum value = (Datum) 0;
	bool isnull = true;
	EState *estate;

	if (nvmkv_is_virtual(att))
	{
		if (att->attnotnull && nvmkv_table_has_rows(rel))
			nvmkv_verify_not_null(rel, attnum);
		return;
	}
	if (expr != NULL)
		expr = expression_planner(expr);
	if (att->attgenerated != '\0' || contain_volatile_functions((Node *) expr))
	{
		if (nvmkv_table_has_rows(rel))
			report_cannot_fill(rel, attnum);
		return;
	}
	if (expr != NULL || constrained)
		check_row_type_gains_value(rel);
	/* Constraints are for rows to fail, not for the default alone. */
	if ((constrained || (expr == NULL && att->attnotnull)) && !nvmkv_table_has_rows(rel))
		return;

	estate = CreateExecutorState();
	if (expr != NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
		ExprState *state = ExecPrepareExpr(expr, estate);

		value = ExecEvalExpr(state, GetPerTupleExprContext(estate), &isnull);
		MemoryContextSwitchTo(caller);
	}
	if (constrained)
		domain_check(value, isnull, att->atttypid, NULL, NULL);
	if (!isnull)
		nvmkv_set_missing_value(rel, attnum, value);
	else if (att->attnotnull && nvmkv_table_has_rows(rel))
		nvmkv_report_null_values(rel, attnum);
	FreeExecutorState(estate);
}

/* ---------------------------------------------------------------- after */

/* Where the option is another now the constraint goes; where the constraint has gone, the option does. */
static void
settle_constraint(const TableBefore *before, Relation rel)
{
	const char *option = nvmkv_primary_key_option(before->relid);
	bool same = option != NULL ? before->key_option != NULL && strcmp(option, before->key_option) == 0
							   : before->key_option == NULL;

	if (!same)
		nvmkv_primary_key_hide(rel);
	if (!same || option == NULL || before->key_constraint == NULL || before->saved_indexes != NIL ||
		OidIsValid(nvmkv_primary_key_index(rel)))
		return;
	if (before->had_rows)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot drop constraint \"%s\" because the rows of foreign table \"%s\" are in the order of this key",
						before->key_constraint, RelationGetRelationName(rel)),
				 errhint(COPY_ROWS_HINT)));
	nvmkv_primary_key_set_option(before->relid, NIL);
}

static void
settle_key(TableBefore *before, Relation rel)
{
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	int nkeys = nvmkv_key_resolve(rel, GetForeignTable(before->relid)->options, keys);

	if (!before->had_storage)
		nvmkv_set_key_not_null(rel);
	else if (!nvmkv_keys_equal(keys, nkeys, before->storage.keys, before->storage.nkeys))
	{
		if (before->had_rows)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot change the primary key of foreign table \"%s\" because it has rows", RelationGetRelationName(rel)),
					 errhint(COPY_ROWS_HINT)));
		before->new_storage = true;
		nvmkv_set_key_not_null(rel);
	}

	/* A table that has none yet gets its storage when it is written to. */
	if (before->new_storage && before->had_storage)
		nvmkv_table_new_storage(rel);
	else if (before->columns_fit && nvmkv_catalog_changed_column(&before->storage, RelationGetDescr(rel)) != 0)
	{
		NvmkvStorageRow row = before->storage;

		nvmkv_catalog_take_columns(&row, RelationGetDescr(rel));
		nvmkv_catalog_put(&row);
	}
}

static bool
was_checked(const TableBefore *before, const CheckBefore *check)
{
	ListCell *lc;

	foreach(lc, before->checks)
	{
		const CheckBefore *old = lfirst(lc);

		if (strcmp(old->name, check->name) == 0 && strcmp(old->expression, check->expression) == 0)
			return true;
	}
	return false;
}

static void
verify_checks(const TableBefore *before, Relation rel)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	List *checks = NIL;
	ListCell *lc;

	/* Copies: the descriptor may be rebuilt while queries run. */
	for (int i = 0; constr != NULL && i < constr->num_check; i++)
	{
		if (constr->check[i].ccvalid)
		{
			CheckBefore *check = palloc(sizeof(CheckBefore));

			check->name = pstrdup(constr->check[i].ccname);
			check->expression = pstrdup(constr->check[i].ccbin);
			checks = lappend(checks, check);
		}
	}
	foreach(lc, checks)
	{
		CheckBefore *check = lfirst(lc);

		if (!was_checked(before, check) && nvmkv_table_has_rows(rel))
			nvmkv_verify_check(rel, check->name, check->expression);
	}
}

static void
finish_table(TableBefore *before)
{
	Relation rel;

	if (before->attached)
	{
		nvmkv_verify_partition(before->relid);
		return;
	}

	rel = table_open(before->relid, NoLock);
	settle_constraint(before, rel);
	settle_key(before, rel);
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (att->attisdropped)
			continue;
		if (i >= before->natts)
			fill_new_column(rel, i + 1);
		else if (nvmkv_is_not_null(RelationGetDescr(rel), i) && !before->not_null[i] && nvmkv_table_has_rows(rel))
			nvmkv_verify_not_null(rel, i + 1);
	}
	verify_checks(before, rel);
	table_close(rel, NoLock);
	nvmkv_indexes_restore(before->relid, before->saved_indexes);
	nvmkv_primary_key_show(before->relid);
}

/* The definition goes with the rows, for readers without a server. */
static void
describe_table(TableBefore *before)
{
	Relation rel;
	NvmkvStorageRow row;
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];

	if (before->attached || nvmkv_engine_or_null() == NULL || !nvmkv_catalog_lookup(before->relid, &row) ||
		row.dboid != MyDatabaseId)
		return;
	rel = table_open(before->relid, NoLock);
	nvmkv_registry_describe(row.storage_id,
							nvmkv_definition(rel, keys,
											 nvmkv_key_resolve(rel, GetForeignTable(before->relid)->options, keys)));
	table_close(rel, NoLock);
}

void
nvmkv_alter_finish(List *alters)
{
	ListCell *lc;

	/* The server's changes have to be seen. */
	CommandCounterIncrement();
	foreach(lc, alters)
		finish_table(lfirst(lc));

	/* And so do those just made. */
	CommandCounterIncrement();
	foreach(lc, alters)
		describe_table(lfirst(lc));
}
