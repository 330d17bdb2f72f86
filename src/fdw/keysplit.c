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
 * A cut need not be anyone's key; it only has to lie between the bounds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bswap.h"

#include "fdw/engine.h"
#include "fdw/keysplit.h"

#define DIGIT_BYTES 8

/* A half is good enough within this part of the whole. */
#define TOLERANCE 0.1

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

/*
 * A key strictly between the bounds with about half of "total" entries below it; false when there is no telling.
 */
static bool
find_middle(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, double total, NvmkvSlice *middle_out)
{
	uint8 key[NVMKV_KEY_BYTES_MAX + DIGIT_BYTES];
	size_t common = 0;
	uint64 low;
	uint64 high;

	while (common < lower.size && common < upper.size && lower.data[common] == upper.data[common])
		common++;
	if (common > NVMKV_KEY_BYTES_MAX)
		return false;
	memcpy(key, lower.data, common);
	low = digit_at(lower, common);
	high = digit_at(upper, common);

	for (;;)
	{
		while (high - low > 1)
		{
			uint64 digit = low + (high - low) / 2;
			double below;

			set_digit(key, common, digit);
			below = entries_between(db, lower, nvmkv_slice(key, common + DIGIT_BYTES));
			if (below >= total * (0.5 - TOLERANCE) && below <= total * (0.5 + TOLERANCE))
			{
				uint8 *copy = palloc(common + DIGIT_BYTES);

				memcpy(copy, key, common + DIGIT_BYTES);
				*middle_out = nvmkv_slice(copy, common + DIGIT_BYTES);
				return true;
			}
			if (below < total * 0.5)
				low = digit;
			else
				high = digit;
		}

		/* Most entries begin with "low". */
		if (common + 2 * DIGIT_BYTES > NVMKV_KEY_BYTES_MAX)
			return false;
		set_digit(key, common, low);
		common += DIGIT_BYTES;
		if (slice_compare(lower, nvmkv_slice(key, common)) < 0)
			low = 0;
		else
			low = digit_at(lower, common);
		high = PG_UINT64_MAX;
		if (entries_between(db, nvmkv_slice(key, common), upper) < total * TOLERANCE)
			return false;
	}
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
	return split(db, lower, upper, nparts, cuts);
}
