/*
 * row_iter.c
 *	  A row as an iterator: live entries [first_live, end), both ways.
 *
 * Lives in the memory of whoever reads; merges, scans and compactions embed it.
 * Key and payload point into the pool, which the caller's epoch keeps.
 */
#include "engine/nvm/row.h"

static NvmRowIter *
row_iter_of(NvmkvIter *base)
{
	return (NvmRowIter *) (void *) base;
}

static void
set_failed(NvmRowIter *it, NvmkvStatus status)
{
	it->base.valid = false;
	it->base.status = status;
}

static void
set_end(NvmRowIter *it)
{
	it->base.valid = false;
	it->base.status = NVMKV_OK;
}

/* Reads the entry at index, which is in [first_live, end). */
static void
load(NvmRowIter *it)
{
	NvmkvStatus status =
		nvm_row_entry(it->pool, &it->row, it->index, &it->scratch, &it->base.key, &it->base.tag, &it->base.payload);

	if (status != NVMKV_OK)
	{
		set_failed(it, status);
		return;
	}
	it->base.valid = true;
	it->base.status = NVMKV_OK;
}

static void
load_or_end(NvmRowIter *it)
{
	if (it->index < it->end)
		load(it);
	else
		set_end(it);
}

void
nvm_row_iter_seek_window(NvmRowIter *it, NvmkvSlice key, uint64_t tag, uint64_t left, uint64_t right)
{
	NvmkvStatus status = nvm_row_lower_bound(it->pool, &it->row, key, tag, left, right, &it->index);

	if (status != NVMKV_OK)
		set_failed(it, status);
	else
		load_or_end(it);
}

static void
row_seek(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	NvmRowIter *it = row_iter_of(base);

	nvm_row_iter_seek_window(it, key, tag, it->row.first_live, it->end);
}

/* Steps to the entry before index. */
static void
load_before(NvmRowIter *it)
{
	if (it->index > it->row.first_live)
	{
		it->index--;
		load(it);
	}
	else
		set_end(it);
}

/* The last entry <= (key, tag) is the one before the first > (key, tag), and that is the first >= (key, tag - 1). */
static void
row_seek_for_prev(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	NvmRowIter *it = row_iter_of(base);
	NvmkvStatus status;

	if (tag > 0)
		status = nvm_row_lower_bound(it->pool, &it->row, key, tag - 1, it->row.first_live, it->end, &it->index);
	else
		status = nvm_row_upper_bound(it->pool, &it->row, key, it->row.first_live, it->end, &it->index);
	if (status != NVMKV_OK)
		set_failed(it, status);
	else
		load_before(it);
}

static void
row_seek_first(NvmkvIter *base)
{
	NvmRowIter *it = row_iter_of(base);

	it->index = it->row.first_live;
	load_or_end(it);
}

static void
row_seek_last(NvmkvIter *base)
{
	NvmRowIter *it = row_iter_of(base);

	it->index = it->end;
	load_before(it);
}

static void
row_next(NvmkvIter *base)
{
	NvmRowIter *it = row_iter_of(base);

	it->index++;
	load_or_end(it);
}

static void
row_prev(NvmkvIter *base)
{
	load_before(row_iter_of(base));
}

static void
row_destroy(NvmkvIter *base)
{
	NvmRowIter *it = row_iter_of(base);

	nvmkv_buf_free(&it->scratch);
	it->base.valid = false;
}

static const NvmkvIterOps row_iter_ops = {
	row_seek,
	row_seek_for_prev,
	row_seek_first,
	row_seek_last,
	row_next,
	row_prev,
	row_destroy};

void
nvm_row_iter_init(NvmRowIter *it, const NvmPool *pool, const NvmRowRef *row, uint64_t end)
{
	memset(it, 0, sizeof(*it));
	it->base.ops = &row_iter_ops;
	it->base.status = NVMKV_OK;
	it->pool = pool;
	it->row = *row;
	it->end = end < row->entries ? end : row->entries;
	if (it->end < row->first_live)
		it->end = row->first_live;
	it->index = it->end;
}
