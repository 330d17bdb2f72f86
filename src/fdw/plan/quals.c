/*-------------------------------------------------------------------------
 *
 * quals.c
 *	  Which conditions on key columns bound a scan.
 *
 * The planner's index machinery has found the conditions that match the key;
 * what of them can become bounds is decided here: "=" on leading columns, then
 * comparisons of the next one.  A condition travels from planner to executor as a
 * clause (in fdw_exprs, so that the planner sets its parameters right) and an
 * integer list (in fdw_private); see NvmkvConditionField.
 *
 * Bounds leave out the NULLs of the column they are on, as its operators do.
 * Where a row comparison goes on to a column that may be NULL, they may take in
 * rows with NULL there, which have to be tested.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_type_d.h"
#include "nodes/pathnodes.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "fdw/plan/keyoperand.h"
#include "fdw/plan/quals.h"

Oid
nvmkv_key_operator_family(const NvmkvKeyColumn *col)
{
	if (col->ordered)
		return col->opfamily;
	return lookup_type_cache(col->how.type, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
}

const NvmkvKeyColumn *
nvmkv_key_columns(const NvmkvTable *table, int *count_out)
{
	static NvmkvKeyColumn row_id = {
		.attnum = SelfItemPointerAttributeNumber,
		.type = TIDOID,
		.typmod = -1,
		.opcintype = TIDOID,
		.ordered = true,
		.image_equal = true,
		.how.type = TIDOID,
	};

	if (table->nkeys > 0)
	{
		*count_out = table->nkeys;
		return table->keys;
	}
	if (!OidIsValid(row_id.opfamily))
		row_id.opfamily = lookup_type_cache(TIDOID, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	*count_out = 1;
	return &row_id;
}

static List *
make_condition(int arm, NvmkvConditionKind kind, int column, int strategy, List *types)
{
	List *condition = list_make4_int(arm, kind, column, strategy);
	ListCell *lc;

	foreach(lc, types)
		condition = lappend_int(condition, (int) lfirst_oid(lc));
	return condition;
}

static void
accept(NvmkvKeyMatch *match, RestrictInfo *rinfo, List *condition)
{
	match->quals = lappend(match->quals, rinfo);
	match->clauses = lappend(match->clauses, rinfo->clause);
	match->conditions = lappend(match->conditions, condition);
}

/* What the key's bytes can do for "column opno value"; strategy and type of value. */
static NvmkvOperandSupport
operator_support(const NvmkvKeyColumn *col, Oid opno, int *strategy_out, Oid *type_out)
{
	Oid lefttype;

	get_op_opfamily_properties(opno, nvmkv_key_operator_family(col), false, strategy_out, &lefttype, type_out);
	return nvmkv_operand_support(col, *type_out);
}

static bool
is_null_test(const RestrictInfo *rinfo, NullTestType type)
{
	return IsA(rinfo->clause, NullTest) && ((NullTest *) rinfo->clause)->nulltesttype == type;
}

/* Takes the index clause if it makes the column equal to something, or NULL. */
static bool
match_equality(const NvmkvKeyColumn *cols, int column, IndexClause *iclause, NvmkvKeyMatch *match)
{
	const NvmkvKeyColumn *col = &cols[column];
	ListCell *lc;

	foreach(lc, iclause->indexquals)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		NvmkvConditionKind kind;
		Oid opno;
		int strategy;
		Oid type;

		if (IsA(rinfo->clause, ScalarArrayOpExpr))
		{
			kind = NVMKV_CONDITION_ANY;
			opno = ((ScalarArrayOpExpr *) rinfo->clause)->opno;
		}
		else if (IsA(rinfo->clause, OpExpr))
		{
			kind = NVMKV_CONDITION_EQUAL;
			opno = ((OpExpr *) rinfo->clause)->opno;
		}
		else if (is_null_test(rinfo, IS_NULL))
		{
			accept(match, rinfo, make_condition(match->arm, NVMKV_CONDITION_NULL, column, 0, NIL));
			match->nequal++;
			match->enforced = lappend(match->enforced, iclause);
			return true;
		}
		else
			continue;
		if (operator_support(col, opno, &strategy, &type) != NVMKV_OPERAND_FULL || strategy != BTEqualStrategyNumber)
			continue;

		accept(match, rinfo, make_condition(match->arm, kind, column, strategy, list_make1_oid(type)));
		match->nequal++;
		if (!iclause->lossy && list_length(iclause->indexquals) == 1)
			match->enforced = lappend(match->enforced, iclause);
		return true;
	}
	return false;
}

/*
 * Takes a row comparison as far as its columns follow each other in the key in one direction.  Returns whether all
 * of it was taken, and the bounds hold no other rows.
 */
static bool
match_row_comparison(const NvmkvKeyColumn *cols, int column, IndexClause *iclause, RestrictInfo *rinfo,
					 NvmkvKeyMatch *match)
{
	RowCompareExpr *rc = (RowCompareExpr *) rinfo->clause;
	int ncolumns = list_length(rc->opnos);
	int row_strategy = 0;
	bool exact = true;
	List *types = NIL;
	int i;

	for (i = 0; i < ncolumns; i++)
	{
		const NvmkvKeyColumn *col = &cols[column + i];
		int strategy;
		Oid type;

		if (list_nth_int(iclause->indexcols, i) != column + i)
			break;
		if (!col->ordered || col->descending != cols[column].descending)
			break;
		if (operator_support(col, list_nth_oid(rc->opnos, i), &strategy, &type) != NVMKV_OPERAND_FULL)
			break;
		if (i == 0)
			row_strategy = strategy;
		else if (col->nullable)
			exact = false;
		types = lappend_oid(types, type);
	}
	if (types == NIL)
		return false;

	/* Rows that are equal as far as it was taken may or may not satisfy the rest. */
	if (i < ncolumns && row_strategy == BTLessStrategyNumber)
		row_strategy = BTLessEqualStrategyNumber;
	else if (i < ncolumns && row_strategy == BTGreaterStrategyNumber)
		row_strategy = BTGreaterEqualStrategyNumber;

	accept(match, rinfo, make_condition(match->arm, NVMKV_CONDITION_ROW, column, row_strategy, types));
	return exact && i == ncolumns;
}

/* Takes what an index clause says about the bounds of the column. */
static void
match_bounds(const NvmkvKeyColumn *cols, int column, IndexClause *iclause, NvmkvKeyMatch *match)
{
	const NvmkvKeyColumn *col = &cols[column];
	bool all = !iclause->lossy;
	ListCell *lc;

	foreach(lc, iclause->indexquals)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (is_null_test(rinfo, IS_NOT_NULL))
		{
			if (col->nullable)
				accept(match, rinfo, make_condition(match->arm, NVMKV_CONDITION_NOT_NULL, column, 0, NIL));
		}
		else if (!col->ordered)
			all = false;
		else if (IsA(rinfo->clause, RowCompareExpr))
			all = match_row_comparison(cols, column, iclause, rinfo, match) && all;
		else if (IsA(rinfo->clause, OpExpr))
		{
			NvmkvOperandSupport support;
			int strategy;
			Oid type;

			support = operator_support(col, ((OpExpr *) rinfo->clause)->opno, &strategy, &type);
			if (support != NVMKV_OPERAND_NONE)
				accept(match, rinfo,
					   make_condition(match->arm, NVMKV_CONDITION_COMPARE, column, strategy, list_make1_oid(type)));
			if (support != NVMKV_OPERAND_FULL)
				all = false;
		}
		else
			all = false;
	}
	if (all)
		match->enforced = lappend(match->enforced, iclause);
}

/* Columns from "column" on, as far as they are equal to something, and bounds of the next one. */
static void
match_from(const NvmkvKeyColumn *cols, int ncols, int column, List *indexclauses, NvmkvKeyMatch *match)
{
	for (; column < ncols; column++)
	{
		bool equal = false;
		ListCell *lc;

		foreach(lc, indexclauses)
		{
			IndexClause *iclause = lfirst_node(IndexClause, lc);

			if (iclause->indexcol == column && match_equality(cols, column, iclause, match))
			{
				equal = true;
				break;
			}
		}
		if (equal)
			continue;

		foreach(lc, indexclauses)
		{
			IndexClause *iclause = lfirst_node(IndexClause, lc);

			if (iclause->indexcol == column)
				match_bounds(cols, column, iclause, match);
		}
		break;
	}
}

void
nvmkv_match_quals(const NvmkvTable *table, List *indexclauses, int arm, NvmkvKeyMatch *match)
{
	int ncols;
	const NvmkvKeyColumn *cols = nvmkv_key_columns(table, &ncols);

	memset(match, 0, sizeof(*match));
	match->arm = arm;
	match_from(cols, ncols, 0, indexclauses, match);
	match->nbounding = list_length(match->conditions);
}

void
nvmkv_match_behind(const NvmkvTable *table, List *indexclauses, NvmkvKeyMatch *match)
{
	int ncols;
	const NvmkvKeyColumn *cols = nvmkv_key_columns(table, &ncols);
	int nequal = match->nequal;

	for (int column = nequal + 1; column < ncols && match->skip_to == 0; column++)
	{
		match_from(cols, ncols, column, indexclauses, match);
		if (list_length(match->conditions) > match->nbounding)
			match->skip_to = column;
	}
	match->nequal = nequal;
}
