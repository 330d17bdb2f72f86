/*
 * addcolumn.c
 *	  Values of columns that ALTER TABLE has added, in rows that are there.
 *
 * A value that is the same for all rows is kept once, as the column's missing
 * value, as it is for a heap table.  Other values are put into the rows.
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/addcolumn.h"
#include "fdw/ddl/column.h"
#include "fdw/ddl/rewrite.h"
#include "fdw/ddl/rowtype.h"
#include "fdw/ddl/verify.h"

/* ---------------------------------------------------------------- commands for later rows */

static bool
adds_column(const AlterTableStmt *stmt, const char *column)
{
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AddColumn && strcmp(castNode(ColumnDef, cmd->def)->colname, column) == 0)
			return true;
	}
	return false;
}

/*
 * DROP DEFAULT and the like come before ADD COLUMN, whose column they do not find; and what changes an identity comes
 * behind what makes it.
 */
static bool
is_later_default(const AlterTableStmt *stmt, const AlterTableCmd *cmd)
{
	return ((cmd->subtype == AT_ColumnDefault && cmd->def != NULL) || cmd->subtype == AT_AddIdentity ||
			cmd->subtype == AT_SetIdentity) &&
		adds_column(stmt, cmd->name);
}

bool
nvmkv_has_later_defaults(const AlterTableStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		if (is_later_default(stmt, lfirst_node(AlterTableCmd, lc)))
			return true;
	}
	return false;
}

List *
nvmkv_take_later_defaults(AlterTableStmt *stmt)
{
	List *taken = NIL;
	List *left = NIL;
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		if (is_later_default(stmt, lfirst_node(AlterTableCmd, lc)))
			taken = lappend(taken, lfirst(lc));
		else
			left = lappend(left, lfirst(lc));
	}
	stmt->cmds = left;
	return taken;
}

/* ---------------------------------------------------------------- values */

bool
nvmkv_adds_value(Oid relid, const AlterTableCmd *cmd)
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

/* After ATExecAddColumn of the server; NULL: NULL. */
static Expr *
make_value(Relation rel, Form_pg_attribute att)
{
	Expr *value = (Expr *) build_column_default(rel, att->attnum);

	if (value == NULL && DomainHasConstraints(att->atttypid))
	{
		int32 base_typmod = att->atttypmod;
		Oid base = getBaseTypeAndTypmod(att->atttypid, &base_typmod);

		value = (Expr *) makeNullConst(base, base_typmod, get_typcollation(base));
		value = (Expr *) coerce_to_target_type(NULL, (Node *) value, base, att->atttypid, att->atttypmod,
											   COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
		if (value == NULL)
			elog(ERROR, "failed to coerce base type to domain");
	}
	return value != NULL ? expression_planner(value) : NULL;
}

static bool
differs(Form_pg_attribute att, Expr *value)
{
	return att->attgenerated != '\0' || contain_volatile_functions((Node *) value);
}

void
nvmkv_note_new_column(NvmkvTableBefore *before, Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

	if (before->new_storage || nvmkv_is_virtual(att) || !differs(att, make_value(rel, att)))
		return;
	nvmkv_before_keep_rows(before, rel);
	if (before->old == NULL)
		return;
	before->new_storage = true;
	before->rewrite |= AT_REWRITE_DEFAULT_VAL;
}

/* The one value that all rows have. */
static void
set_value_of_all(Relation rel, Form_pg_attribute att, Expr *value)
{
	EState *estate = CreateExecutorState();
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	bool isnull;
	Datum datum = ExecEvalExpr(ExecPrepareExpr(value, estate), GetPerTupleExprContext(estate), &isnull);

	MemoryContextSwitchTo(caller);
	if (!isnull)
		nvmkv_set_missing_value(rel, att->attnum, datum);
	else if (att->attnotnull && nvmkv_table_has_rows(rel))
		nvmkv_report_null_values(rel, att->attnum);
	FreeExecutorState(estate);
}

void
nvmkv_fill_new_column(NvmkvTableBefore *before, Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Expr *value;

	if (nvmkv_is_virtual(att))
		return;
	value = make_value(rel, att);
	if (value != NULL)
		nvmkv_refuse_row_type_change(rel);
	if (before->new_storage)
	{
		if (before->old != NULL && value != NULL)
			before->new_values = lappend(before->new_values, nvmkv_new_value(attnum, value, att->attgenerated != '\0'));
		return;
	}
	if (value == NULL && att->attnotnull && nvmkv_table_has_rows(rel))
		nvmkv_report_null_values(rel, attnum);

	/* Constraints are for rows to fail, not for the default alone. */
	if (value != NULL && !differs(att, value) && (!DomainHasConstraints(att->atttypid) || nvmkv_table_has_rows(rel)))
		set_value_of_all(rel, att, value);
}
