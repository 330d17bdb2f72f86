/*
 * column.c
 *	  Choosing the next column by binary search, without walking keys.
 *
 * Used by the compaction before it starts, on a pinned version, without a
 * lock.  What a key range weighs costs one search and two loads a row, so cuts
 * are compared by halving: first the given ones, then, where two neighbours
 * are too far apart, keys sampled from the row that weighs most between them.
 *
 * Invariant of the search: everything up to "low" weighs less than low_bytes,
 * everything up to "high" at least that much.
 */
#include "engine/nvm/column.h"

#include <inttypes.h>

#include "engine/base/assert.h"

/* One end of the search: a user key and, per row, the index behind all its versions. */
typedef struct Bound
{
	bool unbounded; /* no key: start or end of everything */
	NvmkvSlice key; /* into the caller's cuts or into "own" */
	NvmkvBuf own;
	uint64_t *ends;
	uint64_t bytes;
} Bound;

typedef struct Pick
{
	const NvmPool *pool;
	const NvmRowRef *rows;
	uint32_t nrows;
	Bound low;
	Bound high;
	Bound try;
	uint64_t *below; /* per row: first index of high's key; entries when unbounded */
	uint64_t *memory;
} Pick;

/* Replaces "bound" by what is being tried; the old one's memory is reused for the next try. */
static void
adopt(Pick *p, Bound *bound)
{
	Bound old = *bound;

	*bound = p->try;
	p->try = old;
	p->try.unbounded = false;
}

/* Fills p->try for everything up to and including the key, which lies between low and high. */
static NvmkvStatus
weigh(Pick *p, NvmkvSlice key, const uint64_t *right)
{
	uint32_t r;

	p->try.unbounded = false;
	p->try.key = key;
	p->try.bytes = 0;
	for (r = 0; r < p->nrows; r++)
	{
		const NvmRowRef *row = &p->rows[r];

		NVMKV_RETURN_IF(nvm_row_upper_bound(p->pool, row, key, p->low.ends[r], right[r], &p->try.ends[r]));
		p->try.bytes += nvm_row_bytes_between(p->pool, row, row->first_live, p->try.ends[r]);
	}
	return NVMKV_OK;
}

/* high becomes the first of the cuts that weighs enough, or stays the end; low the cut before. */
static NvmkvStatus
narrow_by_cuts(Pick *p, const NvmkvSlice *cuts, uint32_t ncuts, uint64_t low_bytes)
{
	uint32_t from = 0;
	uint32_t to = ncuts;

	while (from < to)
	{
		uint32_t middle = from + (to - from) / 2;

		NVMKV_RETURN_IF(weigh(p, cuts[middle], p->high.ends));
		if (p->try.bytes >= low_bytes)
		{
			adopt(p, &p->high);
			to = middle;
		}
		else
		{
			adopt(p, &p->low);
			from = middle + 1;
		}
	}
	return NVMKV_OK;
}

/* The row that weighs most strictly between low and high; nrows when there is nothing between. */
static uint32_t
fattest(const Pick *p)
{
	uint32_t best = p->nrows;
	uint64_t best_bytes = 0;
	uint32_t r;

	for (r = 0; r < p->nrows; r++)
	{
		uint64_t bytes = nvm_row_bytes_between(p->pool, &p->rows[r], p->low.ends[r], p->below[r]);

		if (bytes > best_bytes)
		{
			best = r;
			best_bytes = bytes;
		}
	}
	return best;
}

/* The entry in the middle, by bytes, of [from, to), which is not empty. */
static uint64_t
middle_entry(const NvmPool *pool, const NvmRowRef *row, uint64_t from, uint64_t to)
{
	uint64_t start = from;
	uint64_t half = nvm_row_bytes_between(pool, row, from, to) / 2;

	NVMKV_ASSERT(from < to);
	while (to - from > 1)
	{
		uint64_t middle = from + (to - from) / 2;

		if (nvm_row_bytes_between(pool, row, start, middle) <= half)
			from = middle;
		else
			to = middle;
	}
	return from;
}

static NvmkvStatus
find_below(Pick *p)
{
	uint32_t r;

	for (r = 0; r < p->nrows; r++)
	{
		if (p->high.unbounded)
			p->below[r] = p->rows[r].entries;
		else
			NVMKV_RETURN_IF(nvm_row_lower_bound(p->pool, &p->rows[r], p->high.key, NVMKV_TAG_MAX, p->low.ends[r],
												p->high.ends[r], &p->below[r]));
	}
	return NVMKV_OK;
}

/* A sound row is halved by every step: where an index is damaged the steps would not end. */
static NvmkvStatus
no_step(const NvmRowRef *row, uint64_t index)
{
	return NVMKV_FAIL(NVMKV_CORRUPTION, "row %" PRIu64 ": a search for the key of entry %" PRIu64 " does not find it", row->row_id, index);
}

/* Moves low and high together over keys of the rows until high weighs at most high_bytes, or no key is between them. */
static NvmkvStatus
narrow_by_keys(Pick *p, uint64_t low_bytes, uint64_t high_bytes, NvmkvBuf *scratch)
{
	NVMKV_RETURN_IF(find_below(p));
	while (p->high.bytes > high_bytes)
	{
		uint32_t r = fattest(p);
		uint64_t middle;
		NvmkvSlice key;
		NvmkvSlice payload;
		uint64_t tag;

		if (r == p->nrows)
			break;
		middle = middle_entry(p->pool, &p->rows[r], p->low.ends[r], p->below[r]);
		NVMKV_RETURN_IF(nvm_row_entry(p->pool, &p->rows[r], middle, scratch, &key, &tag, &payload));
		NVMKV_RETURN_IF(nvmkv_buf_set(&p->try.own, key));
		NVMKV_RETURN_IF(weigh(p, nvmkv_buf_slice(&p->try.own), p->below));
		if (p->try.ends[r] <= middle)
			return no_step(&p->rows[r], middle);
		if (p->try.bytes < low_bytes)
			adopt(p, &p->low);
		else
		{
			adopt(p, &p->high);
			NVMKV_RETURN_IF(find_below(p));
			if (p->below[r] > middle)
				return no_step(&p->rows[r], middle);
		}
	}
	return NVMKV_OK;
}

static NvmkvStatus
give_out(const Pick *p, const Bound *bound, NvmColumn *out)
{
	uint32_t r;

	out->last = true;
	out->bytes = bound->bytes;
	out->end_index = port_alloc(p->nrows * sizeof(uint64_t));
	if (out->end_index == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for a column of %u rows", p->nrows);
	for (r = 0; r < p->nrows; r++)
	{
		out->end_index[r] = bound->ends[r];
		if (bound->ends[r] < p->rows[r].entries)
			out->last = false;
	}
	return out->last ? NVMKV_OK : nvmkv_buf_set(&out->cut, bound->key);
}

static NvmkvStatus
pick(Pick *p, const NvmkvSlice *cuts, uint32_t ncuts, uint64_t low_bytes, NvmkvBuf *scratch, NvmColumn *out)
{
	uint64_t high_bytes = low_bytes * 2;
	const Bound *chosen = &p->high;

	if (p->high.bytes == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "a column of %u rows that are drained", p->nrows);
	if (p->high.bytes >= low_bytes)
	{
		NVMKV_RETURN_IF(narrow_by_cuts(p, cuts, ncuts, low_bytes));
		if (p->high.bytes > high_bytes)
			NVMKV_RETURN_IF(narrow_by_keys(p, low_bytes, high_bytes, scratch));

		/* One user key weighs it all: without it if what remains is worth a column. */
		if (p->high.bytes > high_bytes && p->low.bytes >= low_bytes - low_bytes / 2)
			chosen = &p->low;
	}
	return give_out(p, chosen, out);
}

NvmkvStatus
nvm_column_pick(const NvmPool *pool, const NvmRowRef *rows, uint32_t nrows, const NvmkvSlice *cuts, uint32_t ncuts,
				uint64_t low_bytes, NvmColumn *out)
{
	Pick p = {0};
	NvmkvBuf scratch = {0};
	NvmkvStatus status;
	uint32_t r;

	memset(out, 0, sizeof(*out));
	if (nrows == 0 || low_bytes == 0 || low_bytes > UINT64_MAX / 2)
		return NVMKV_FAIL(NVMKV_INVALID, "a column of %u rows and at least %llu bytes", nrows, (unsigned long long) low_bytes);
	p.memory = port_alloc((size_t) nrows * 4 * sizeof(uint64_t));
	if (p.memory == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to choose a column of %u rows", nrows);
	p.pool = pool;
	p.rows = rows;
	p.nrows = nrows;
	p.low.ends = p.memory;
	p.high.ends = p.memory + nrows;
	p.try.ends = p.memory + (size_t) nrows * 2;
	p.below = p.memory + (size_t) nrows * 3;
	p.low.unbounded = true;
	p.high.unbounded = true;
	for (r = 0; r < nrows; r++)
	{
		p.low.ends[r] = rows[r].first_live;
		p.high.ends[r] = rows[r].entries;
		p.high.bytes += nvm_row_bytes_between(pool, &rows[r], rows[r].first_live, rows[r].entries);
	}
	status = pick(&p, cuts, ncuts, low_bytes, &scratch, out);
	nvmkv_buf_free(&p.low.own);
	nvmkv_buf_free(&p.high.own);
	nvmkv_buf_free(&p.try.own);
	nvmkv_buf_free(&scratch);
	port_free(p.memory);
	return status;
}

void
nvm_column_free(NvmColumn *column)
{
	nvmkv_buf_free(&column->cut);
	port_free(column->end_index);
	column->end_index = NULL;
}
