/*-------------------------------------------------------------------------
 *
 * skip.c
 *	  Scans with conditions behind key columns that have none: these are skipped.
 *
 * With a key (a, b) and b = 5 there is a small range for each value of a that
 * there is: what a B-tree of PostgreSQL 18 calls a skip scan.  The values come
 * up while the range is read that the columns before them bound: a key that is
 * met tells the bytes of the skipped columns (the prefix), and behind it the
 * conditions' ranges are known.  From there it is a question of how to get to
 * the next key that is meant: by reading on, which takes what lies between, or
 * by starting anew behind it, which costs as much as some tens of rows.
 *
 * That depends on how many rows a prefix has, which nobody knows in advance:
 * some rows are read in vain first, and the fewer the longer it has been worth
 * while to leap.  So where prefixes have few rows the range is read as if
 * nothing was skipped.
 *
 * Prefixes are compared as bytes, so columns are skipped, too, whose order is
 * not that of their bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/key/keycode.h"
#include "fdw/plan/cost.h"
#include "fdw/scan/keyarm.h"
#include "fdw/scan/skip.h"

/* Rows to read in vain before a leap: at first, and as long as it was right to leap.  The latter are one batch. */
#define PATIENCE 24
#define PATIENCE_OF_LEAPER NVMKV_SKIP_ROWS_IN_VAIN

struct NvmkvSkip
{
	NvmkvKeyArm *behind; /* the ranges behind the prefix */
	int skip_to;
	bool backward;
	const NvmkvTable *table;
	bool nothing; /* is meant behind any prefix */

	/* What is read. */
	StringInfoData lower;
	StringInfoData upper; /* empty: no bound */

	/* Where it is. */
	bool has_prefix;
	StringInfoData prefix;
	bool has_range; /* else all ranges of the prefix have been passed */
	NvmkvKeyRange range;
	int in_vain; /* rows in succession */
	int patience;
	bool leapt; /* within the prefix, or out of it */

	StringInfoData to; /* the bound that a leap moves */
};

NvmkvSkip *
nvmkv_skip_create(List *clauses, List *conditions, int skip_to, bool backward, PlanState *parent)
{
	NvmkvSkip *skip = palloc0(sizeof(NvmkvSkip));

	skip->behind = nvmkv_keyarm_create(clauses, conditions, backward, parent);
	skip->skip_to = skip_to;
	skip->backward = backward;
	initStringInfo(&skip->lower);
	initStringInfo(&skip->upper);
	initStringInfo(&skip->prefix);
	initStringInfo(&skip->to);
	return skip;
}

void
nvmkv_skip_evaluate(NvmkvSkip *skip, const NvmkvTable *table, ExprContext *econtext)
{
	skip->table = table;
	nvmkv_keyarm_evaluate(skip->behind, table, econtext);
	nvmkv_keyarm_set_prefix(skip->behind, nvmkv_slice(NULL, 0));
	skip->nothing = !nvmkv_keyarm_next(skip->behind, &skip->range);
	skip->has_prefix = false;
}

void
nvmkv_skip_begin(NvmkvSkip *skip, const NvmkvKeyRange *range)
{
	Assert(!range->point);
	nvmkv_buffer_set(&skip->lower, range->lower);
	nvmkv_buffer_set(&skip->upper, range->upper);
	skip->has_prefix = false;
	skip->in_vain = 0;
	skip->patience = PATIENCE;
	skip->leapt = false;
}

/* The key has another prefix than the last one. */
static void
enter_prefix(NvmkvSkip *skip, NvmkvSlice prefix)
{
	/* The last one ended before patience did: leaping would not have been faster. */
	if (skip->has_prefix && !skip->leapt)
		skip->patience = PATIENCE;
	skip->leapt = false;
	skip->has_prefix = true;
	skip->in_vain = 0;
	nvmkv_buffer_set(&skip->prefix, prefix);
	nvmkv_keyarm_set_prefix(skip->behind, prefix);
	skip->has_range = nvmkv_keyarm_next(skip->behind, &skip->range);
}

static bool
is_before_lower(const NvmkvKeyRange *range, NvmkvSlice key)
{
	return slice_compare(key, range->lower) < 0;
}

static bool
is_behind_upper(const NvmkvKeyRange *range, NvmkvSlice key)
{
	if (range->point)
		return slice_compare(key, range->lower) > 0;
	return range->upper.size > 0 && slice_compare(key, range->upper) >= 0;
}

/* Is the key in one of the prefix's ranges?  Passes those that the scan has behind it. */
static bool
is_meant(NvmkvSkip *skip, NvmkvSlice key)
{
	while (skip->has_range)
	{
		bool below = is_before_lower(&skip->range, key);
		bool above = is_behind_upper(&skip->range, key);

		if (!below && !above)
			return true;
		if (skip->backward ? above : below)
			return false;
		skip->has_range = nvmkv_keyarm_next(skip->behind, &skip->range);
	}
	return false;
}

/* Forwards: where the next key that may be meant is at the earliest.  False: there is none. */
static bool
leap_forwards(NvmkvSkip *skip, NvmkvKeyRange *range_out)
{
	nvmkv_buffer_set(&skip->to, skip->has_range ? skip->range.lower : nvmkv_buffer_slice(&skip->prefix));
	if (!skip->has_range && !nvmkv_key_successor(&skip->to))
		return false;
	range_out->lower = nvmkv_buffer_slice(&skip->to);
	range_out->upper = nvmkv_buffer_slice(&skip->upper);
	return range_out->upper.size == 0 || slice_compare(range_out->lower, range_out->upper) < 0;
}

/* Backwards; a single key ends before the one that has a zero behind it. */
static bool
leap_backwards(NvmkvSkip *skip, NvmkvKeyRange *range_out)
{
	if (!skip->has_range)
		nvmkv_buffer_set(&skip->to, nvmkv_buffer_slice(&skip->prefix));
	else if (skip->range.point)
	{
		nvmkv_buffer_set(&skip->to, skip->range.lower);
		appendStringInfoChar(&skip->to, '\0');
	}
	else
		nvmkv_buffer_set(&skip->to, skip->range.upper);
	range_out->lower = nvmkv_buffer_slice(&skip->lower);
	range_out->upper = nvmkv_buffer_slice(&skip->to);
	return slice_compare(range_out->lower, range_out->upper) < 0;
}

NvmkvSkipVerdict
nvmkv_skip_judge(NvmkvSkip *skip, NvmkvSlice key, NvmkvKeyRange *range_out)
{
	NvmkvSlice prefix;

	if (skip->nothing)
		return NVMKV_SKIP_END;
	prefix = nvmkv_slice(key.data, nvmkv_key_prefix_size(skip->table, key, skip->skip_to));
	if (!skip->has_prefix || !slice_equal(prefix, nvmkv_buffer_slice(&skip->prefix)))
		enter_prefix(skip, prefix);
	if (is_meant(skip, key))
	{
		skip->in_vain = 0;
		return NVMKV_SKIP_SHOW;
	}
	if (++skip->in_vain < skip->patience)
		return NVMKV_SKIP_PASS;

	skip->in_vain = 0;
	skip->patience = PATIENCE_OF_LEAPER;
	skip->leapt = true;
	range_out->point = false;
	if (skip->backward ? leap_backwards(skip, range_out) : leap_forwards(skip, range_out))
		return NVMKV_SKIP_LEAP;
	return NVMKV_SKIP_END;
}
