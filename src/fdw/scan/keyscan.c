/*-------------------------------------------------------------------------
 *
 * keyscan.c
 *	  The ranges of keys a scan visits.
 *
 * Conditions joined by AND make an arm, whose ranges come one by one in key
 * order and do not overlap.  Arms are joined by OR: with more than one their
 * ranges are collected, sorted, and merged where they overlap, so that a row
 * that several arms mean is read once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "fdw/plan/quals.h"
#include "fdw/scan/keyarm.h"
#include "fdw/scan/keyscan.h"

struct NvmkvKeyScan
{
	bool backward;
	int narms;
	NvmkvKeyArm **arms;

	/* The merged ranges of several arms. */
	MemoryContext context; /* of the ranges and their bytes; NULL with one arm */
	NvmkvKeyRange *ranges;
	int nranges;
	int next; /* counted in the direction of the scan */
};

static int
arm_of(List *conditions, int i)
{
	return list_nth_int(list_nth(conditions, i), NVMKV_CONDITION_FIELD_ARM);
}

NvmkvKeyScan *
nvmkv_keyscan_create(List *clauses, List *conditions, bool backward, PlanState *parent)
{
	NvmkvKeyScan *ks = palloc0(sizeof(NvmkvKeyScan));
	int nconditions = list_length(conditions);
	int i = 0;

	ks->backward = backward;
	ks->narms = nconditions == 0 ? 1 : arm_of(conditions, nconditions - 1) + 1;
	ks->arms = palloc(sizeof(NvmkvKeyArm *) * ks->narms);
	for (int arm = 0; arm < ks->narms; arm++)
	{
		List *arm_clauses = NIL;
		List *arm_conditions = NIL;

		for (; i < nconditions && arm_of(conditions, i) == arm; i++)
		{
			arm_clauses = lappend(arm_clauses, list_nth(clauses, i));
			arm_conditions = lappend(arm_conditions, list_nth(conditions, i));
		}
		ks->arms[arm] = nvmkv_keyarm_create(arm_clauses, arm_conditions, backward && ks->narms == 1, parent);
	}
	if (ks->narms > 1)
		ks->context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv merged ranges", ALLOCSET_DEFAULT_SIZES);
	return ks;
}

static NvmkvSlice
copy_slice(NvmkvSlice s)
{
	uint8 *copy = palloc(Max(s.size, 1));

	if (s.size > 0)
		memcpy(copy, s.data, s.size);
	return nvmkv_slice(copy, s.size);
}

/* The ranges of all arms, as they come. */
static void
collect_ranges(NvmkvKeyScan *ks)
{
	int capacity = 16;

	ks->nranges = 0;
	ks->ranges = palloc(sizeof(NvmkvKeyRange) * capacity);
	for (int arm = 0; arm < ks->narms; arm++)
	{
		NvmkvKeyRange range;

		while (nvmkv_keyarm_next(ks->arms[arm], &range))
		{
			NvmkvKeyRange *copy;

			if (ks->nranges == capacity)
			{
				capacity *= 2;
				ks->ranges = repalloc_huge(ks->ranges, sizeof(NvmkvKeyRange) * capacity);
			}
			copy = &ks->ranges[ks->nranges++];
			copy->point = range.point;
			copy->lower = copy_slice(range.lower);
			copy->upper = copy_slice(range.upper);
		}
	}
}

static int
compare_ranges(const void *a, const void *b)
{
	const NvmkvKeyRange *ra = a;
	const NvmkvKeyRange *rb = b;
	int c = slice_compare(ra->lower, rb->lower);

	/* Of those that begin together a point comes last: the others contain it. */
	return c != 0 ? c : (int) ra->point - (int) rb->point;
}

static bool
contains(const NvmkvKeyRange *range, NvmkvSlice key)
{
	if (range->point)
		return slice_equal(range->lower, key);
	return range->upper.size == 0 || slice_compare(key, range->upper) < 0;
}

/* Sorts, and leaves of ranges that overlap what they cover together. */
static void
merge_ranges(NvmkvKeyScan *ks)
{
	int count = 0;

	qsort(ks->ranges, (size_t) ks->nranges, sizeof(NvmkvKeyRange), compare_ranges);
	for (int i = 0; i < ks->nranges; i++)
	{
		const NvmkvKeyRange *range = &ks->ranges[i];
		NvmkvKeyRange *last = count > 0 ? &ks->ranges[count - 1] : NULL;

		if (last == NULL || !contains(last, range->lower))
			ks->ranges[count++] = *range;
		else if (!range->point && last->upper.size > 0 &&
				 (range->upper.size == 0 || slice_compare(range->upper, last->upper) > 0))
			last->upper = range->upper;
	}
	ks->nranges = count;
}

void
nvmkv_keyscan_evaluate(NvmkvKeyScan *ks, const NvmkvTable *table, ExprContext *econtext)
{
	MemoryContext oldcontext;

	for (int arm = 0; arm < ks->narms; arm++)
		nvmkv_keyarm_evaluate(ks->arms[arm], table, econtext);
	ks->next = 0;
	if (ks->narms == 1)
		return;

	MemoryContextReset(ks->context);
	oldcontext = MemoryContextSwitchTo(ks->context);
	collect_ranges(ks);
	merge_ranges(ks);
	MemoryContextSwitchTo(oldcontext);
}

void
nvmkv_keyscan_rewind(NvmkvKeyScan *ks)
{
	if (ks->narms == 1)
		nvmkv_keyarm_rewind(ks->arms[0]);
	ks->next = 0;
}

bool
nvmkv_keyscan_is_one_range(const NvmkvKeyScan *ks)
{
	return ks->narms == 1 && !nvmkv_keyarm_has_arrays(ks->arms[0]);
}

bool
nvmkv_keyscan_next(NvmkvKeyScan *ks, NvmkvKeyRange *range_out)
{
	if (ks->narms == 1)
		return nvmkv_keyarm_next(ks->arms[0], range_out);
	if (ks->next >= ks->nranges)
		return false;
	*range_out = ks->ranges[ks->backward ? ks->nranges - 1 - ks->next : ks->next];
	ks->next++;
	return true;
}
