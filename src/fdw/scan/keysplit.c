/*-------------------------------------------------------------------------
 *
 * keysplit.c
 *	  Cuts a range of keys into parts of about the same size.
 *
 * The engine estimates how many entries lie between two keys but does not
 * hand out keys to cut at.  As keys are ordered by their bytes, a key with
 * about half of the entries below it is found by bisection: what the bounds
 * have in common stays, the eight bytes that follow are halved like a number.
 * When even neighbouring numbers leave most entries between them, they become
 * part of what is common and the next eight bytes are halved.
 *
 * Estimates of files are as coarse as their blocks, so a perfect half may not
 * exist: the best cut seen is good enough as long as it leaves something on both
 * sides.  A cut need not be anyone's key; it only has to lie between the bounds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "port/pg_bswap.h"

#include "fdw/host/status.h"
#include "fdw/scan/keysplit.h"

#define DIGIT_BYTES 8

/* A cut this near to the half ends the search; one that leaves less than this on a side is no cut. */
#define TOLERANCE 0.15
#define LEAST_SHARE 0.1

/* How far behind what the bounds have in common a cut is looked for. */
#define DIGITS_MAX 4

static double
entries_between(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper)
{
	NvmkvEstimate estimate;

	nvmkv_check_status(nvmkv_estimate(db, lower, upper, &estimate), "estimating the size of a range of keys of", "nvmkv");
	return estimate.entries;
}

/* The eight bytes behind the first "offset" ones, as a number; bytes that are not there count as zero. */
static uint64
digit_at(NvmkvSlice key, size_t offset)
{
	uint64 big = 0;

	if (key.size > offset)
		memcpy(&big, key.data + offset, Min(key.size - offset, DIGIT_BYTES));
	return pg_ntoh64(big);
}

static void
set_digit(uint8 *key, size_t offset, uint64 digit)
{
	uint64 big = pg_hton64(digit);

	memcpy(key + offset, &big, DIGIT_BYTES);
}

/* A cut under examination. */
typedef struct Cut
{
	uint8 key[NVMKV_KEY_BYTES_MAX + DIGITS_MAX * DIGIT_BYTES];
	size_t size;
	double error; /* distance from the half, as a share of all */
} Cut;

/* Halves the digit at "common" of cut->key between low and high; *best is the best cut so far. Returns the last low. */
static uint64
bisect(NvmkvDb *db, NvmkvSlice lower, double total, size_t common, uint64 low, uint64 high, Cut *cut, Cut *best)
{
	while (high - low > 1 && best->error > TOLERANCE)
	{
		uint64 digit = low + (high - low) / 2;
		double share;

		set_digit(cut->key, common, digit);
		cut->size = common + DIGIT_BYTES;
		share = entries_between(db, lower, nvmkv_slice(cut->key, cut->size)) / total;
		cut->error = fabs(share - 0.5);
		if (cut->error < best->error)
			*best = *cut;
		if (share < 0.5)
			low = digit;
		else
			high = digit;
	}
	return low;
}

/*
 * A key strictly between the bounds with about half of "total" entries below it; false when there is no telling.
 */
static bool
find_middle(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, double total, NvmkvSlice *middle_out)
{
	Cut cut;
	Cut best;
	size_t common = 0;
	uint64 low;
	uint64 high;
	uint8 *copy;

	while (common < lower.size && common < upper.size && lower.data[common] == upper.data[common])
		common++;
	if (common > NVMKV_KEY_BYTES_MAX)
		return false;
	memcpy(cut.key, lower.data, common);
	best.size = 0;
	best.error = 1;
	low = digit_at(lower, common);
	high = digit_at(upper, common);

	for (int i = 0; i < DIGITS_MAX && best.error > 0.5 - LEAST_SHARE; i++)
	{
		low = bisect(db, lower, total, common, low, high, &cut, &best);

		/* Most entries begin with "low". */
		set_digit(cut.key, common, low);
		common += DIGIT_BYTES;
		low = slice_compare(lower, nvmkv_slice(cut.key, common)) < 0 ? 0 : digit_at(lower, common);
		high = PG_UINT64_MAX;
	}
	if (best.error > 0.5 - LEAST_SHARE)
		return false;

	copy = palloc(best.size);
	memcpy(copy, best.key, best.size);
	*middle_out = nvmkv_slice(copy, best.size);
	return true;
}

static int
split(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, int nparts, NvmkvSlice *cuts)
{
	NvmkvSlice middle;
	double total;
	int count;

	if (nparts < 2)
		return 0;
	total = entries_between(db, lower, upper);
	if (total < 2 || !find_middle(db, lower, upper, total, &middle))
		return 0;
	count = split(db, lower, middle, nparts / 2, cuts);
	cuts[count++] = middle;
	return count + split(db, middle, upper, nparts - nparts / 2, cuts + count);
}

int
nvmkv_key_split(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, int nparts, NvmkvSlice *cuts)
{
	if (upper.size == 0)
		return 0;
	return split(db, lower, upper, nparts, cuts);
}
