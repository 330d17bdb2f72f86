/*
 * altertype.c
 *	  ALTER TABLE ... ALTER COLUMN TYPE, before the server changes the column.
 *
 * The server makes the new values of a heap table's rows while it writes them
 * anew; it changes no more than the catalogue for foreign tables.  The
 * expression is made here while the column has its old type, after
 * ATPrepAlterColumnType() of the server.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/xact.h"
#include "catalog/heap.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/altertype.h"
#include "fdw/ddl/rewrite.h"

/* ---------------------------------------------------------------- USING */

Node *
nvmkv_parse_using(Relation rel, const AlterTableCmd *cmd, const char *query_string)
{
	const ColumnDef *def = castNode(ColumnDef, cmd->def);
	ParseState *pstate;
	Node *using;

	if (def->raw_default == NULL)
		return NULL;
	pstate = make_parsestate(NULL);
	pstate->p_sourcetext = query_string;
	addNSItemToQuery(pstate, addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL, false, true), false,
					 true, true);
	using = transformExpr(pstate, copyObject(def->raw_default), EXPR_KIND_ALTER_COL_TRANSFORM);
	free_parsestate(pstate);
	return using;
}

void
nvmkv_take_using(AlterTableStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AlterColumnType)
			castNode(ColumnDef, cmd->def)->raw_default = NULL;
	}
}

/* USING for a child of the table that it was written for. */
static Node *
translate_to_child(Node *using, Relation parent, Relation child)
{
	AttrMap *map = nvmkv_build_attrmap(RelationGetDescr(child), RelationGetDescr(parent));
	bool whole_row;

	using = map_variable_attnos(using, 1, 0, map, InvalidOid, &whole_row);
	if (whole_row)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot convert whole-row table reference"),
				 errdetail("USING expression contains a whole-row table reference.")));
	return using;
}

/* ---------------------------------------------------------------- values */

/* After ATColumnChangeRequiresRewrite of the server. */
static bool
needs_rewrite(Node *expr, AttrNumber attnum)
{
	for (;;)
	{
		if (IsA(expr, Var) && ((Var *) expr)->varattno == attnum)
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

/* The new value of the column, of what is in the old row. */
static Node *
make_value(const AlterTableCmd *cmd, Form_pg_attribute att, Node *using, Oid type, int32 typmod)
{
	ParseState *pstate = make_parsestate(NULL);
	Node *value = using;

	if (value == NULL)
		value = (Node *) makeVar(1, att->attnum, att->atttypid, att->atttypmod, att->attcollation, 0);
	value = coerce_to_target_type(pstate, value, exprType(value), type, typmod, COERCION_ASSIGNMENT,
								  COERCE_IMPLICIT_CAST, -1);
	if (value == NULL && using != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("result of USING clause for column \"%s\" cannot be cast automatically to type %s", cmd->name,
						format_type_be(type)),
				 errhint("You might need to add an explicit cast.")));
	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" cannot be cast automatically to type %s", cmd->name, format_type_be(type)),
				 att->attgenerated == '\0' ? errhint("You might need to specify \"USING %s::%s\".",
													 quote_identifier(cmd->name),
													 format_type_with_typemod(type, typmod)) : 0));
	assign_expr_collations(pstate, value);
	free_parsestate(pstate);
	return (Node *) expression_planner((Expr *) value);
}

/* Values of columns added since a row was written: of the types that these had. */
static void
clear_missing_values(Relation rel)
{
	RelationClearMissing(rel);
	CommandCounterIncrement();
}

void
nvmkv_note_type_change(NvmkvTableBefore *before, Relation rel, const AlterTableCmd *cmd, Node *using, Relation parent)
{
	const ColumnDef *def = castNode(ColumnDef, cmd->def);
	AttrNumber attnum = get_attnum(before->relid, cmd->name);
	Form_pg_attribute att;
	Oid type;
	int32 typmod;
	Node *value;

	if (attnum <= 0)
		return;
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	if (att->attgenerated != '\0' && using != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_DEFINITION),
				 errmsg("cannot specify USING when altering type of generated column"),
				 errdetail("Column \"%s\" is a generated column.", cmd->name)));
	typenameTypeIdAndMod(NULL, def->typeName, &type, &typmod);

	/* Rows were written with it: the column was changed without the library, and this undoes it. */
	if (using == NULL && before->had_storage && attnum <= before->storage.ncolumns &&
		before->storage.column_types[attnum - 1] == type && att->atttypid != type)
		return;

	if (using != NULL && rel != parent)
		using = translate_to_child(using, parent, rel);
	value = make_value(cmd, att, using, type, typmod);
	if (nvmkv_before_in_key(before, attnum))
		nvmkv_before_keep_rows(before, rel); /* the key may become another one by the collation alone */
	if (nvmkv_is_virtual(att))
		before->not_null[attnum - 1] = false; /* to be verified again */
	else if (needs_rewrite(value, attnum) && before->had_storage)
	{
		nvmkv_before_keep_rows(before, rel);
		before->new_storage = true;
		if (before->old != NULL)
		{
			before->rewrite |= AT_REWRITE_COLUMN_REWRITE;
			before->new_values = lappend(before->new_values, nvmkv_new_value(attnum, (Expr *) value, false));
		}
		clear_missing_values(rel);
	}
}
