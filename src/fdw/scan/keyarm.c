/*-------------------------------------------------------------------------
 *
 * keyarm.c
 *	  Ranges of keys from conditions joined by AND.
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
 * A column that may be NULL has a byte before its value that says so.  It is
 * part of all bytes here, and NULL, as a value that a column is equal to, is
 * that byte.  A bound on such a column leaves out its NULLs, so there are then
 * bounds on both sides.
 *
 * Conditions that begin with a later column than the first have ranges behind
 * each prefix of a key up to there; whoever knows prefixes sets one after the
 * other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "executor/executor.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "fdw/key/keycode.h"
#include "fdw/plan/keyoperand.h"
#include "fdw/plan/quals.h"
#include "fdw/scan/keyarm.h"

typedef struct KeyCondition
{
	NvmkvConditionKind kind;
	int column;
	int strategy;
	int nvalues; /* one, or a row comparison's columns, none for tests for NULL */
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

struct NvmkvKeyArm
{
	int nconditions;
	KeyCondition *conditions;
	int first; /* column with a condition */
	bool backward;

	/* What the last evaluation found; all bytes in "context". */
	MemoryContext context;
	const NvmkvTable *table;
	const NvmkvKeyColumn *cols;
	int ncols;
	bool empty; /* no row can match */
	int nequal;	/* the first column that is equal to nothing */
	KeyElements equal[NVMKV_KEY_COLUMNS_MAX];
	bool has_lower;
	bool has_upper;
	NvmkvSlice lower; /* after the prefix, inclusive */
	NvmkvSlice upper; /* after the prefix, exclusive */

	StringInfoData prefix; /* where first > 0 */
	bool started;
	bool finished;
	StringInfoData lower_key;
	StringInfoData upper_key;
};

NvmkvKeyArm *
nvmkv_keyarm_create(List *clauses, List *conditions, bool backward, PlanState *parent)
{
	NvmkvKeyArm *arm = palloc0(sizeof(NvmkvKeyArm));
	ListCell *lc1;
	ListCell *lc2;

	arm->backward = backward;
	if (conditions != NIL)
		arm->first = list_nth_int(linitial(conditions), NVMKV_CONDITION_FIELD_COLUMN);
	arm->conditions = palloc0(sizeof(KeyCondition) * list_length(conditions));
	forboth(lc1, clauses, lc2, conditions)
	{
		Node *clause = lfirst(lc1);
		List *fields = lfirst(lc2);
		KeyCondition *c = &arm->conditions[arm->nconditions++];
		List *values;

		c->kind = (NvmkvConditionKind) list_nth_int(fields, NVMKV_CONDITION_FIELD_KIND);
		c->column = list_nth_int(fields, NVMKV_CONDITION_FIELD_COLUMN);
		c->strategy = list_nth_int(fields, NVMKV_CONDITION_FIELD_STRATEGY);
		c->nvalues = list_length(fields) - NVMKV_CONDITION_FIELD_TYPES;
		c->types = palloc(sizeof(Oid) * c->nvalues);
		c->values = palloc(sizeof(ExprState *) * c->nvalues);

		if (IsA(clause, NullTest))
			values = NIL;
		else if (IsA(clause, RowCompareExpr))
			values = ((RowCompareExpr *) clause)->rargs;
		else if (IsA(clause, ScalarArrayOpExpr))
			values = list_make1(lsecond(((ScalarArrayOpExpr *) clause)->args));
		else
			values = list_make1(lsecond(castNode(OpExpr, clause)->args));
		for (int i = 0; i < c->nvalues; i++)
		{
			c->types[i] = (Oid) list_nth_int(fields, NVMKV_CONDITION_FIELD_TYPES + i);
			c->values[i] = ExecInitExpr((Expr *) list_nth(values, i), parent);
		}
	}

	arm->context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv key ranges", ALLOCSET_DEFAULT_SIZES);
	nvmkv_buffer_init(&arm->prefix);
	nvmkv_buffer_init(&arm->lower_key);
	nvmkv_buffer_init(&arm->upper_key);
	return arm;
}

static NvmkvSlice
slice_of(StringInfo buf)
{
	return nvmkv_slice(buf->data, (size_t) buf->len);
}

static void
add_lower(NvmkvKeyArm *arm, NvmkvSlice bytes)
{
	if (!arm->has_lower || slice_compare(bytes, arm->lower) > 0)
		arm->lower = bytes;
	arm->has_lower = true;
}

static void
add_upper(NvmkvKeyArm *arm, NvmkvSlice bytes)
{
	if (!arm->has_upper || slice_compare(bytes, arm->upper) < 0)
		arm->upper = bytes;
	arm->has_upper = true;
}

static void
init_bytes(NvmkvKeyArm *arm, StringInfo buf)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(arm->context);

	nvmkv_buffer_init(buf);
	MemoryContextSwitchTo(oldcontext);
}

/* The column is not NULL. */
static void
add_not_null_bounds(NvmkvKeyArm *arm, const NvmkvKeyColumn *col)
{
	StringInfoData lower;
	StringInfoData upper;

	if (!col->nullable)
		return;
	init_bytes(arm, &lower);
	init_bytes(arm, &upper);
	nvmkv_key_append_not_null(col, &lower);
	nvmkv_key_append_not_null(col, &upper);
	add_lower(arm, slice_of(&lower));
	if (nvmkv_key_successor(&upper))
		add_upper(arm, slice_of(&upper));
}

/*
 * Columns from the first one after the prefix on are greater (or less) than the values in buf, or, when inclusive,
 * start with them.  Takes over buf's bytes.
 */
static void
add_bound(NvmkvKeyArm *arm, bool greater, bool inclusive, StringInfo buf)
{
	if (arm->cols[arm->nequal].descending)
		greater = !greater;

	/*
	 * The bytes themselves bound from below, inclusively, and from above, exclusively; their successor does the
	 * opposite.
	 */
	if (greater == inclusive)
	{
		if (greater)
			add_lower(arm, slice_of(buf));
		else
			add_upper(arm, slice_of(buf));
	}
	else if (nvmkv_key_successor(buf))
	{
		if (greater)
			add_lower(arm, slice_of(buf));
		else
			add_upper(arm, slice_of(buf));
	}
	else if (greater)
		arm->empty = true;
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
add_value_bound(NvmkvKeyArm *arm, const NvmkvKeyColumn *col, const NvmkvOperand *op, Datum value, bool greater,
				bool inclusive)
{
	StringInfoData buf;

	init_bytes(arm, &buf);
	nvmkv_operand_append(col, op->type, value, &buf);
	add_bound(arm, greater, inclusive, &buf);
}

static void
add_comparison(NvmkvKeyArm *arm, const NvmkvKeyColumn *col, int strategy, const NvmkvOperand *op)
{
	bool greater = strategy_is_greater(strategy);

	if (strategy == BTEqualStrategyNumber)
	{
		add_comparison(arm, col, BTGreaterEqualStrategyNumber, op);
		add_comparison(arm, col, BTLessEqualStrategyNumber, op);
		return;
	}

	switch (op->kind)
	{
		case NVMKV_OPERAND_EXACT:
			add_value_bound(arm, col, op, op->value, greater, strategy_is_inclusive(strategy));
			break;
		case NVMKV_OPERAND_ROUNDED:
			add_value_bound(arm, col, op, op->value, greater, !greater);
			break;
		case NVMKV_OPERAND_AROUND:
			add_value_bound(arm, col, op, greater ? op->value : op->above, greater, true);
			break;
		case NVMKV_OPERAND_BELOW_ALL:
			if (!greater)
				arm->empty = true;
			break;
		case NVMKV_OPERAND_ABOVE_ALL:
			if (greater)
				arm->empty = true;
			break;
	}
}

/* The column is equal to what these bytes stand for, and to nothing else. */
static void
set_single(NvmkvKeyArm *arm, int column, StringInfo bytes)
{
	KeyElements *equal = &arm->equal[column];

	equal->elements = MemoryContextAlloc(arm->context, sizeof(NvmkvSlice));
	equal->elements[0] = slice_of(bytes);
	equal->count = 1;
	arm->nequal = column + 1;
}

/* The one value of column = value, or none when the condition cannot be true. */
static void
set_equal(NvmkvKeyArm *arm, const KeyCondition *c, Datum value)
{
	const NvmkvKeyColumn *col = &arm->cols[c->column];
	NvmkvOperand op = nvmkv_operand_convert(col, c->types[0], value);
	StringInfoData buf;

	if (op.kind != NVMKV_OPERAND_EXACT)
	{
		arm->empty = true;
		return;
	}
	init_bytes(arm, &buf);
	nvmkv_operand_append(col, op.type, op.value, &buf);
	set_single(arm, c->column, &buf);
}

/* column IS NULL. */
static void
set_null(NvmkvKeyArm *arm, int column)
{
	StringInfoData buf;

	if (!arm->cols[column].nullable)
	{
		arm->empty = true;
		return;
	}
	init_bytes(arm, &buf);
	nvmkv_key_append_null(&arm->cols[column], &buf);
	set_single(arm, column, &buf);
}

static int
compare_elements(const void *a, const void *b)
{
	return slice_compare(*(const NvmkvSlice *) a, *(const NvmkvSlice *) b);
}

/* The values of column = ANY (array): NULL elements match nothing. */
static void
set_elements(NvmkvKeyArm *arm, const KeyCondition *c, Datum value)
{
	const NvmkvKeyColumn *col = &arm->cols[c->column];
	ArrayType *array = DatumGetArrayTypeP(value);
	KeyElements *equal = &arm->equal[c->column];
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
	init_bytes(arm, &buf);
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
		arm->empty = true;
		return;
	}

	equal->elements = MemoryContextAllocHuge(arm->context, sizeof(NvmkvSlice) * count);
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
	arm->nequal = c->column + 1;
}

/*
 * (a, b, ...) < (x, y, ...): the first column that differs decides; NULL there decides for nothing.  So the values
 * that can be equalled form a prefix, and the first one that cannot (or the end) says whether rows that start with
 * the prefix belong to the range.
 */
static void
add_row_comparison(NvmkvKeyArm *arm, const KeyCondition *c, ExprContext *econtext)
{
	bool greater = strategy_is_greater(c->strategy);
	bool inclusive = strategy_is_inclusive(c->strategy);
	StringInfoData buf;

	add_not_null_bounds(arm, &arm->cols[c->column]);
	init_bytes(arm, &buf);
	for (int i = 0; i < c->nvalues; i++)
	{
		const NvmkvKeyColumn *col = &arm->cols[c->column + i];
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
		add_bound(arm, greater, inclusive, &buf);
	else if (!inclusive)
		arm->empty = true;
}

/* A comparison of the column with one value. */
static void
evaluate_comparison(NvmkvKeyArm *arm, const KeyCondition *c, ExprContext *econtext)
{
	const NvmkvKeyColumn *col = &arm->cols[c->column];
	bool isnull;
	Datum value = ExecEvalExprSwitchContext(c->values[0], econtext, &isnull);
	NvmkvOperand op;

	if (isnull)
		arm->empty = true;
	else if (c->kind == NVMKV_CONDITION_EQUAL)
		set_equal(arm, c, value);
	else if (c->kind == NVMKV_CONDITION_ANY)
		set_elements(arm, c, value);
	else
	{
		op = nvmkv_operand_convert(col, c->types[0], value);
		add_not_null_bounds(arm, col);
		add_comparison(arm, col, c->strategy, &op);
	}
}

static void
evaluate_condition(NvmkvKeyArm *arm, const KeyCondition *c, ExprContext *econtext)
{
	switch (c->kind)
	{
		case NVMKV_CONDITION_EQUAL:
		case NVMKV_CONDITION_ANY:
		case NVMKV_CONDITION_COMPARE:
			evaluate_comparison(arm, c, econtext);
			break;
		case NVMKV_CONDITION_ROW:
			add_row_comparison(arm, c, econtext);
			break;
		case NVMKV_CONDITION_NULL:
			set_null(arm, c->column);
			break;
		case NVMKV_CONDITION_NOT_NULL:
			add_not_null_bounds(arm, &arm->cols[c->column]);
			break;
	}
}

void
nvmkv_keyarm_evaluate(NvmkvKeyArm *arm, const NvmkvTable *table, ExprContext *econtext)
{
	MemoryContext oldcontext;

	MemoryContextReset(arm->context);
	arm->table = table;
	arm->cols = nvmkv_key_columns(table, &arm->ncols);
	arm->empty = false;
	arm->nequal = arm->first;
	arm->has_lower = false;
	arm->has_upper = false;

	/* Arrays and their elements are garbage soon; the bytes go to arm->context. */
	oldcontext = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	for (int i = 0; i < arm->nconditions && !arm->empty; i++)
		evaluate_condition(arm, &arm->conditions[i], econtext);
	MemoryContextSwitchTo(oldcontext);

	if (arm->has_lower && arm->has_upper && slice_compare(arm->lower, arm->upper) >= 0)
		arm->empty = true;
	nvmkv_keyarm_rewind(arm);
}

void
nvmkv_keyarm_rewind(NvmkvKeyArm *arm)
{
	arm->started = false;
	arm->finished = false;
}

void
nvmkv_keyarm_set_prefix(NvmkvKeyArm *arm, NvmkvSlice prefix)
{
	nvmkv_buffer_set(&arm->prefix, prefix);
	nvmkv_keyarm_rewind(arm);
}

bool
nvmkv_keyarm_has_arrays(const NvmkvKeyArm *arm)
{
	for (int i = 0; i < arm->nconditions; i++)
	{
		if (arm->conditions[i].kind == NVMKV_CONDITION_ANY)
			return true;
	}
	return false;
}

/* The next combination of elements; false when all have been seen. */
static bool
advance(NvmkvKeyArm *arm)
{
	if (arm->empty || arm->finished)
		return false;
	if (!arm->started)
	{
		for (int i = arm->first; i < arm->nequal; i++)
			arm->equal[i].current = 0;
		arm->started = true;
		return true;
	}
	for (int i = arm->nequal - 1; i >= arm->first; i--)
	{
		if (++arm->equal[i].current < arm->equal[i].count)
			return true;
		arm->equal[i].current = 0;
	}
	arm->finished = true;
	return false;
}

bool
nvmkv_keyarm_next(NvmkvKeyArm *arm, NvmkvKeyRange *range_out)
{
	StringInfo lower = &arm->lower_key;
	StringInfo upper = &arm->upper_key;

	if (!advance(arm))
		return false;

	if (arm->first == 0)
		nvmkv_key_begin(arm->table, lower);
	else
	{
		resetStringInfo(lower);
		appendBinaryStringInfo(lower, arm->prefix.data, arm->prefix.len);
	}
	for (int i = arm->first; i < arm->nequal; i++)
	{
		const KeyElements *equal = &arm->equal[i];
		NvmkvSlice bytes = equal->elements[arm->backward ? equal->count - 1 - equal->current : equal->current];

		appendBinaryStringInfo(lower, (const char *) bytes.data, (int) bytes.size);
	}

	range_out->point = arm->nequal == arm->ncols;
	if (range_out->point)
	{
		range_out->lower = slice_of(lower);
		range_out->upper = nvmkv_slice(NULL, 0);
		return true;
	}

	resetStringInfo(upper);
	appendBinaryStringInfo(upper, lower->data, lower->len);
	if (arm->has_lower)
		appendBinaryStringInfo(lower, (const char *) arm->lower.data, (int) arm->lower.size);
	if (arm->has_upper)
		appendBinaryStringInfo(upper, (const char *) arm->upper.data, (int) arm->upper.size);
	else if (!nvmkv_key_successor(upper))
		resetStringInfo(upper);
	range_out->lower = slice_of(lower);
	range_out->upper = slice_of(upper);
	return true;
}
