/*-------------------------------------------------------------------------
 *
 * quals.c
 *	  From conditions on key columns to ranges of keys.
 *
 * A condition travels from planner to executor as a clause (in fdw_exprs,
 * so that the planner sets its parameters right) and an integer list (in
 * fdw_private): kind, key column counted from 0, btree strategy, type of the
 * comparison value; a row comparison lists one type for each column it covers,
 * which are consecutive key columns.
 *
 * A range is the bytes of the equal columns (the prefix) followed by a lower
 * and an upper bound on what comes after.  With = ANY there are as many
 * prefixes as combinations of elements.  They are not built in advance: the
 * elements of each column are sorted by their bytes, and counting through the
 * combinations like an odometer gives the prefixes in key order.
 *
 * Bounds are kept normalised, lower inclusive and upper exclusive, so that the
 * narrower of two is found by comparing bytes.  A DESC column's bytes are
 * complemented, which turns its lower bounds into upper ones.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "fdw/keycode.h"
#include "fdw/keyoperand.h"
#include "fdw/quals.h"

typedef enum ConditionKind
{
	CONDITION_EQUAL,   /* column = value */
	CONDITION_ANY,	   /* column = ANY (array) */
	CONDITION_COMPARE, /* column < <= = >= > value: bounds */
	CONDITION_ROW	   /* (column, next column, ...) < <= >= > (values) */
} ConditionKind;

/* Positions in a condition's integer list. */
enum
{
	CONDITION_FIELD_KIND,
	CONDITION_FIELD_COLUMN,
	CONDITION_FIELD_STRATEGY,
	CONDITION_FIELD_TYPES
};

/* ---------------------------------------------------------------- planning */

Oid
nvmkv_key_operator_family(const NvmkvKeyColumn *col)
{
	if (col->ordered)
		return col->opfamily;
	return lookup_type_cache(col->base_type, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
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
		.base_type = TIDOID,
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
make_condition(ConditionKind kind, int column, int strategy, List *types)
{
	List *condition = list_make3_int(kind, column, strategy);
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

/* Takes the index clause if it makes the column equal to something. */
static bool
match_equality(const NvmkvKeyColumn *cols, int column, IndexClause *iclause, NvmkvKeyMatch *match)
{
	const NvmkvKeyColumn *col = &cols[column];
	ListCell *lc;

	foreach(lc, iclause->indexquals)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		ConditionKind kind;
		Oid opno;
		int strategy;
		Oid type;

		if (IsA(rinfo->clause, ScalarArrayOpExpr))
		{
			kind = CONDITION_ANY;
			opno = ((ScalarArrayOpExpr *) rinfo->clause)->opno;
		}
		else if (IsA(rinfo->clause, OpExpr))
		{
			kind = CONDITION_EQUAL;
			opno = ((OpExpr *) rinfo->clause)->opno;
		}
		else
			continue;
		if (operator_support(col, opno, &strategy, &type) != NVMKV_OPERAND_FULL || strategy != BTEqualStrategyNumber)
			continue;

		accept(match, rinfo, make_condition(kind, column, strategy, list_make1_oid(type)));
		match->nequal++;
		if (!iclause->lossy && list_length(iclause->indexquals) == 1)
			match->enforced = lappend(match->enforced, iclause);
		return true;
	}
	return false;
}

/*
 * Takes a row comparison as far as its columns follow each other in the key in one direction.  Returns whether all
 * of it was taken.
 */
static bool
match_row_comparison(const NvmkvKeyColumn *cols, int column, IndexClause *iclause, RestrictInfo *rinfo,
					 NvmkvKeyMatch *match)
{
	RowCompareExpr *rc = (RowCompareExpr *) rinfo->clause;
	int ncolumns = list_length(rc->opnos);
	int row_strategy = 0;
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
		types = lappend_oid(types, type);
	}
	if (types == NIL)
		return false;

	/* Rows that are equal as far as it was taken may or may not satisfy the rest. */
	if (i < ncolumns && row_strategy == BTLessStrategyNumber)
		row_strategy = BTLessEqualStrategyNumber;
	else if (i < ncolumns && row_strategy == BTGreaterStrategyNumber)
		row_strategy = BTGreaterEqualStrategyNumber;

	accept(match, rinfo, make_condition(CONDITION_ROW, column, row_strategy, types));
	return i == ncolumns;
}

/* Takes what an index clause says about the bounds of the column. */
static void
match_bounds(const NvmkvKeyColumn *cols, int column, IndexClause *iclause, NvmkvKeyMatch *match)
{
	const NvmkvKeyColumn *col = &cols[column];
	bool all = !iclause->lossy;
	ListCell *lc;

	if (!col->ordered)
		return;

	foreach(lc, iclause->indexquals)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (IsA(rinfo->clause, RowCompareExpr))
			all = match_row_comparison(cols, column, iclause, rinfo, match) && all;
		else if (IsA(rinfo->clause, OpExpr))
		{
			NvmkvOperandSupport support;
			int strategy;
			Oid type;

			support = operator_support(col, ((OpExpr *) rinfo->clause)->opno, &strategy, &type);
			if (support != NVMKV_OPERAND_NONE)
				accept(match, rinfo, make_condition(CONDITION_COMPARE, column, strategy, list_make1_oid(type)));
			if (support != NVMKV_OPERAND_FULL)
				all = false;
		}
		else
			all = false;
	}
	if (all)
		match->enforced = lappend(match->enforced, iclause);
}

void
nvmkv_match_quals(const NvmkvTable *table, List *indexclauses, NvmkvKeyMatch *match)
{
	int ncols;
	const NvmkvKeyColumn *cols = nvmkv_key_columns(table, &ncols);

	memset(match, 0, sizeof(*match));
	for (int column = 0; column < ncols; column++)
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

/* ---------------------------------------------------------------- execution */

typedef struct KeyCondition
{
	ConditionKind kind;
	int column;
	int strategy;
	int nvalues; /* one, or a row comparison's columns */
	Oid *types;
	ExprState **values;
} KeyCondition;

/* The values a column is equal to: their key bytes, sorted, each once. */
typedef struct KeyElements
{
	NvmkvSlice *elements;
	int count;
	int current; /* the odometer's digit, counted in the direction of the scan */
} KeyElements;

struct NvmkvKeyScan
{
	int nconditions;
	KeyCondition *conditions;
	bool backward;

	/* What the last evaluation found; all bytes in "context". */
	MemoryContext context;
	const NvmkvTable *table;
	const NvmkvKeyColumn *cols;
	int ncols;
	bool empty; /* no row can match */
	int nequal;
	KeyElements equal[NVMKV_KEY_COLUMNS_MAX];
	bool has_lower;
	bool has_upper;
	NvmkvSlice lower; /* after the prefix, inclusive */
	NvmkvSlice upper; /* after the prefix, exclusive */

	bool started;
	bool finished;
	StringInfoData lower_key;
	StringInfoData upper_key;
};

NvmkvKeyScan *
nvmkv_keyscan_create(List *clauses, List *conditions, bool backward, PlanState *parent)
{
	NvmkvKeyScan *ks = palloc0(sizeof(NvmkvKeyScan));
	ListCell *lc1;
	ListCell *lc2;

	ks->backward = backward;
	ks->conditions = palloc0(sizeof(KeyCondition) * list_length(conditions));
	forboth(lc1, clauses, lc2, conditions)
	{
		Node *clause = lfirst(lc1);
		List *fields = lfirst(lc2);
		KeyCondition *c = &ks->conditions[ks->nconditions++];
		List *values;

		c->kind = (ConditionKind) list_nth_int(fields, CONDITION_FIELD_KIND);
		c->column = list_nth_int(fields, CONDITION_FIELD_COLUMN);
		c->strategy = list_nth_int(fields, CONDITION_FIELD_STRATEGY);
		c->nvalues = list_length(fields) - CONDITION_FIELD_TYPES;
		c->types = palloc(sizeof(Oid) * c->nvalues);
		c->values = palloc(sizeof(ExprState *) * c->nvalues);

		if (IsA(clause, RowCompareExpr))
			values = ((RowCompareExpr *) clause)->rargs;
		else if (IsA(clause, ScalarArrayOpExpr))
			values = list_make1(lsecond(((ScalarArrayOpExpr *) clause)->args));
		else
			values = list_make1(lsecond(castNode(OpExpr, clause)->args));
		for (int i = 0; i < c->nvalues; i++)
		{
			c->types[i] = (Oid) list_nth_int(fields, CONDITION_FIELD_TYPES + i);
			c->values[i] = ExecInitExpr((Expr *) list_nth(values, i), parent);
		}
	}

	ks->context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv key ranges", ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&ks->lower_key);
	initStringInfo(&ks->upper_key);
	return ks;
}

static NvmkvSlice
slice_of(StringInfo buf)
{
	return nvmkv_slice(buf->data, (size_t) buf->len);
}

static void
add_lower(NvmkvKeyScan *ks, NvmkvSlice bytes)
{
	if (!ks->has_lower || slice_compare(bytes, ks->lower) > 0)
		ks->lower = bytes;
	ks->has_lower = true;
}

static void
add_upper(NvmkvKeyScan *ks, NvmkvSlice bytes)
{
	if (!ks->has_upper || slice_compare(bytes, ks->upper) < 0)
		ks->upper = bytes;
	ks->has_upper = true;
}

/*
 * Columns from the first one after the prefix on are greater (or less) than the values in buf, or, when inclusive,
 * start with them.  Takes over buf's bytes.
 */
static void
add_bound(NvmkvKeyScan *ks, bool greater, bool inclusive, StringInfo buf)
{
	if (ks->cols[ks->nequal].descending)
		greater = !greater;

	/*
	 * The bytes themselves bound from below, inclusively, and from above, exclusively; their successor does the
	 * opposite.
	 */
	if (greater == inclusive)
	{
		if (greater)
			add_lower(ks, slice_of(buf));
		else
			add_upper(ks, slice_of(buf));
	}
	else if (nvmkv_key_successor(buf))
	{
		if (greater)
			add_lower(ks, slice_of(buf));
		else
			add_upper(ks, slice_of(buf));
	}
	else if (greater)
		ks->empty = true;
}

static void
init_bytes(NvmkvKeyScan *ks, StringInfo buf)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(ks->context);

	initStringInfo(buf);
	MemoryContextSwitchTo(oldcontext);
}

static bool
strategy_is_greater(int strategy)
{
	return strategy == BTGreaterStrategyNumber || strategy == BTGreaterEqualStrategyNumber;
}

static bool
strategy_is_inclusive(int strategy)
{
	return strategy == BTLessEqualStrategyNumber || strategy == BTGreaterEqualStrategyNumber;
}

static void
add_value_bound(NvmkvKeyScan *ks, const NvmkvKeyColumn *col, const NvmkvOperand *op, Datum value, bool greater,
				bool inclusive)
{
	StringInfoData buf;

	init_bytes(ks, &buf);
	nvmkv_operand_append(col, op->type, value, &buf);
	add_bound(ks, greater, inclusive, &buf);
}

static void
add_comparison(NvmkvKeyScan *ks, const NvmkvKeyColumn *col, int strategy, const NvmkvOperand *op)
{
	bool greater = strategy_is_greater(strategy);

	if (strategy == BTEqualStrategyNumber)
	{
		add_comparison(ks, col, BTGreaterEqualStrategyNumber, op);
		add_comparison(ks, col, BTLessEqualStrategyNumber, op);
		return;
	}

	switch (op->kind)
	{
		case NVMKV_OPERAND_EXACT:
			add_value_bound(ks, col, op, op->value, greater, strategy_is_inclusive(strategy));
			break;
		case NVMKV_OPERAND_ROUNDED:
			add_value_bound(ks, col, op, op->value, greater, !greater);
			break;
		case NVMKV_OPERAND_AROUND:
			add_value_bound(ks, col, op, greater ? op->value : op->above, greater, true);
			break;
		case NVMKV_OPERAND_BELOW_ALL:
			if (!greater)
				ks->empty = true;
			break;
		case NVMKV_OPERAND_ABOVE_ALL:
			if (greater)
				ks->empty = true;
			break;
	}
}

/* The one value of column = value, or none when the condition cannot be true. */
static void
set_equal(NvmkvKeyScan *ks, const KeyCondition *c, Datum value)
{
	const NvmkvKeyColumn *col = &ks->cols[c->column];
	NvmkvOperand op = nvmkv_operand_convert(col, c->types[0], value);
	KeyElements *equal = &ks->equal[c->column];
	StringInfoData buf;

	if (op.kind != NVMKV_OPERAND_EXACT)
	{
		ks->empty = true;
		return;
	}
	init_bytes(ks, &buf);
	nvmkv_operand_append(col, op.type, op.value, &buf);
	equal->elements = MemoryContextAlloc(ks->context, sizeof(NvmkvSlice));
	equal->elements[0] = slice_of(&buf);
	equal->count = 1;
}

static int
compare_elements(const void *a, const void *b)
{
	return slice_compare(*(const NvmkvSlice *) a, *(const NvmkvSlice *) b);
}

/* The values of column = ANY (array): NULL elements match nothing. */
static void
set_elements(NvmkvKeyScan *ks, const KeyCondition *c, Datum value)
{
	const NvmkvKeyColumn *col = &ks->cols[c->column];
	ArrayType *array = DatumGetArrayTypeP(value);
	KeyElements *equal = &ks->equal[c->column];
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *values;
	bool *nulls;
	int nvalues;
	int *ends;
	int count = 0;
	int unique = 0;
	StringInfoData buf;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign, &values, &nulls, &nvalues);

	/* One buffer for the bytes of all elements; it may move while it grows, so slices are made at the end. */
	init_bytes(ks, &buf);
	ends = palloc(sizeof(int) * Max(nvalues, 1));
	for (int i = 0; i < nvalues; i++)
	{
		NvmkvOperand op;

		if (nulls[i])
			continue;
		op = nvmkv_operand_convert(col, c->types[0], values[i]);
		if (op.kind != NVMKV_OPERAND_EXACT)
			continue;
		nvmkv_operand_append(col, op.type, op.value, &buf);
		ends[count++] = buf.len;
	}
	if (count == 0)
	{
		ks->empty = true;
		return;
	}

	equal->elements = MemoryContextAllocHuge(ks->context, sizeof(NvmkvSlice) * count);
	for (int i = 0; i < count; i++)
	{
		int start = i == 0 ? 0 : ends[i - 1];

		equal->elements[i] = nvmkv_slice(buf.data + start, (size_t) (ends[i] - start));
	}
	qsort(equal->elements, (size_t) count, sizeof(NvmkvSlice), compare_elements);
	for (int i = 0; i < count; i++)
	{
		if (unique == 0 || !slice_equal(equal->elements[i], equal->elements[unique - 1]))
			equal->elements[unique++] = equal->elements[i];
	}
	equal->count = unique;
}

/*
 * (a, b, ...) < (x, y, ...): the first column that differs decides; NULL there decides for nothing.  So the values
 * that can be equalled form a prefix, and the first one that cannot (or the end) says whether rows that start with
 * the prefix belong to the range.
 */
static void
add_row_comparison(NvmkvKeyScan *ks, const KeyCondition *c, ExprContext *econtext)
{
	bool greater = strategy_is_greater(c->strategy);
	bool inclusive = strategy_is_inclusive(c->strategy);
	StringInfoData buf;

	init_bytes(ks, &buf);
	for (int i = 0; i < c->nvalues; i++)
	{
		const NvmkvKeyColumn *col = &ks->cols[c->column + i];
		bool isnull;
		Datum value = ExecEvalExprSwitchContext(c->values[i], econtext, &isnull);
		NvmkvOperand op;

		if (isnull)
		{
			inclusive = false;
			break;
		}
		op = nvmkv_operand_convert(col, c->types[i], value);
		if (op.kind == NVMKV_OPERAND_EXACT)
		{
			nvmkv_operand_append(col, op.type, op.value, &buf);
			continue;
		}
		if (op.kind == NVMKV_OPERAND_ROUNDED)
		{
			/* Every row with this value is less than what the row is compared with. */
			nvmkv_operand_append(col, op.type, op.value, &buf);
			inclusive = !greater;
		}
		else
			inclusive = (op.kind == NVMKV_OPERAND_BELOW_ALL) == greater;
		break;
	}

	if (buf.len > 0)
		add_bound(ks, greater, inclusive, &buf);
	else if (!inclusive)
		ks->empty = true;
}

static void
evaluate_condition(NvmkvKeyScan *ks, const KeyCondition *c, ExprContext *econtext)
{
	const NvmkvKeyColumn *col = &ks->cols[c->column];
	bool isnull;
	Datum value;
	NvmkvOperand op;

	if (c->kind == CONDITION_ROW)
	{
		add_row_comparison(ks, c, econtext);
		return;
	}

	value = ExecEvalExprSwitchContext(c->values[0], econtext, &isnull);
	if (isnull)
	{
		ks->empty = true;
		return;
	}

	switch (c->kind)
	{
		case CONDITION_EQUAL:
			set_equal(ks, c, value);
			ks->nequal = c->column + 1;
			break;
		case CONDITION_ANY:
			set_elements(ks, c, value);
			ks->nequal = c->column + 1;
			break;
		case CONDITION_COMPARE:
			op = nvmkv_operand_convert(col, c->types[0], value);
			add_comparison(ks, col, c->strategy, &op);
			break;
		case CONDITION_ROW:
			break;
	}
}

void
nvmkv_keyscan_evaluate(NvmkvKeyScan *ks, const NvmkvTable *table, ExprContext *econtext)
{
	MemoryContext oldcontext;

	MemoryContextReset(ks->context);
	ks->table = table;
	ks->cols = nvmkv_key_columns(table, &ks->ncols);
	ks->empty = false;
	ks->nequal = 0;
	ks->has_lower = false;
	ks->has_upper = false;

	/* Arrays and their elements are garbage soon; the bytes go to ks->context. */
	oldcontext = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	for (int i = 0; i < ks->nconditions && !ks->empty; i++)
		evaluate_condition(ks, &ks->conditions[i], econtext);
	MemoryContextSwitchTo(oldcontext);

	if (ks->has_lower && ks->has_upper && slice_compare(ks->lower, ks->upper) >= 0)
		ks->empty = true;
	nvmkv_keyscan_rewind(ks);
}

void
nvmkv_keyscan_rewind(NvmkvKeyScan *ks)
{
	ks->started = false;
	ks->finished = false;
}

bool
nvmkv_keyscan_has_arrays(const NvmkvKeyScan *ks)
{
	for (int i = 0; i < ks->nconditions; i++)
	{
		if (ks->conditions[i].kind == CONDITION_ANY)
			return true;
	}
	return false;
}

/* The next combination of elements; false when all have been seen. */
static bool
advance(NvmkvKeyScan *ks)
{
	if (ks->empty || ks->finished)
		return false;
	if (!ks->started)
	{
		for (int i = 0; i < ks->nequal; i++)
			ks->equal[i].current = 0;
		ks->started = true;
		return true;
	}
	for (int i = ks->nequal - 1; i >= 0; i--)
	{
		if (++ks->equal[i].current < ks->equal[i].count)
			return true;
		ks->equal[i].current = 0;
	}
	ks->finished = true;
	return false;
}

bool
nvmkv_keyscan_next(NvmkvKeyScan *ks, NvmkvKeyRange *range_out)
{
	StringInfo lower = &ks->lower_key;
	StringInfo upper = &ks->upper_key;

	if (!advance(ks))
		return false;

	nvmkv_key_begin(ks->table, lower);
	for (int i = 0; i < ks->nequal; i++)
	{
		const KeyElements *equal = &ks->equal[i];
		NvmkvSlice bytes = equal->elements[ks->backward ? equal->count - 1 - equal->current : equal->current];

		appendBinaryStringInfo(lower, (const char *) bytes.data, (int) bytes.size);
	}

	range_out->point = ks->nequal == ks->ncols;
	if (range_out->point)
	{
		range_out->lower = slice_of(lower);
		range_out->upper = nvmkv_slice(NULL, 0);
		return true;
	}

	resetStringInfo(upper);
	appendBinaryStringInfo(upper, lower->data, lower->len);
	if (ks->has_lower)
		appendBinaryStringInfo(lower, (const char *) ks->lower.data, (int) ks->lower.size);
	if (ks->has_upper)
		appendBinaryStringInfo(upper, (const char *) ks->upper.data, (int) ks->upper.size);
	else if (!nvmkv_key_successor(upper))
		resetStringInfo(upper);
	range_out->lower = slice_of(lower);
	range_out->upper = slice_of(upper);
	return true;
}
