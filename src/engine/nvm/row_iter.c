/*
 * row_iter.c
 *	  A row as an iterator: live entries [first_live, end), both ways.
 *
 * Lives in the memory of whoever reads; merges, scans and compactions embed it.
 * Key and payload point into the pool, which the caller's epoch keeps.
 *
 * With a sink it goes round entries that cannot be read, forwards.
 */
#include "engine/nvm/row_access.h"

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

/* An entry that cannot be read by the index: by what is found without it. */
static NvmkvStatus
read_without_index(NvmRowIter *it, uint64_t index, NvmkvSlice *key, uint64_t *tag, NvmkvSlice *payload)
{
	const NvmkvError cause = *nvmkv_error();
	NvmRowStretch *stretch = &it->stretch;
	uint64_t offset;

	if (stretch->offsets == NULL || index < stretch->first || index >= stretch->end)
	{
		nvm_row_stretch_free(stretch);
		NVMKV_RETURN_IF(nvm_row_find_stretch(it->pool, &it->row, index, stretch));
	}
	offset = stretch->offsets != NULL ? stretch->offsets[index - stretch->first] : 0;
	if (offset == 0)
		return nvmkv_fail_at(cause.status, cause.sys_errno, cause.file, cause.line, "%s", cause.text);
	return nvm_row_entry_at(it->pool, &it->row, offset, &it->scratch, key, tag, payload);
}

static inline NvmkvStatus
read_entry(NvmRowIter *it, uint64_t index, NvmkvSlice *key, uint64_t *tag, NvmkvSlice *payload)
{
	NvmkvStatus status = nvm_row_entry(it->pool, &it->row, index, &it->scratch, key, tag, payload);

	if (__builtin_expect(status == NVMKV_CORRUPTION, 0) && it->sink != NULL)
		status = read_without_index(it, index, key, tag, payload);
	return status;
}

/* Reads the entry at index, which is in [first_live, end). */
static void
load(NvmRowIter *it)
{
	NvmkvStatus status = read_entry(it, it->index, &it->base.key, &it->base.tag, &it->base.payload);

	if (status != NVMKV_OK)
	{
		set_failed(it, status);
		return;
	}
	it->base.valid = true;
	it->base.status = NVMKV_OK;
}

/* ---- round damage ---- */

/* Is the entry readable?  Its key is in *key then. */
static bool
read_key(NvmRowIter *it, uint64_t index, NvmkvSlice *key)
{
	NvmkvSlice payload;
	uint64_t tag;

	return read_entry(it, index, key, &tag, &payload) == NVMKV_OK;
}

/* Of entries [first, end), none of which can be read: *low <= their keys < *upper.  Of size 0: nothing is known. */
static NvmkvStatus
find_bounds(NvmRowIter *it, uint64_t first, uint64_t end, NvmkvBuf *low, NvmkvBuf *upper)
{
	NvmkvBuf other = {0};
	NvmkvBuf next = {0};
	NvmkvSlice key;
	NvmkvStatus st = nvm_row_key_bounds(it->pool, &it->row, first, low, &other);

	if (st == NVMKV_OK)
		st = nvm_row_key_bounds(it->pool, &it->row, end - 1, &other, upper);
	if (st == NVMKV_OK && first > it->row.first_live && read_key(it, first - 1, &key) &&
		slice_compare(key, nvmkv_buf_slice(low)) > 0)
		st = nvmkv_buf_set(low, key);
	/* The next one may be beyond the iterator's end. */
	while (end < it->row.entries && !read_key(it, end, &key))
		end++;
	if (st == NVMKV_OK && end < it->row.entries)
		st = ikey_successor(key, &next);
	if (st == NVMKV_OK && next.size > 0 &&
		(upper->size == 0 || slice_compare(nvmkv_buf_slice(&next), nvmkv_buf_slice(upper)) < 0))
		st = nvmkv_buf_set(upper, nvmkv_buf_slice(&next));
	nvmkv_buf_free(&other);
	nvmkv_buf_free(&next);
	return st;
}

/* From an entry that is damaged to the next one that is not. */
static void
go_round(NvmRowIter *it)
{
	uint64_t first = it->index;
	NvmkvBuf low = {0};
	NvmkvBuf upper = {0};
	uint64_t end;
	NvmkvStatus st = NVMKV_OK;

	do
	{
		if (++it->index < it->end)
			load(it);
		else
			iter_stand_nowhere(&it->base);
	} while (it->base.status == NVMKV_CORRUPTION);
	end = it->index;
	if (it->base.status == NVMKV_OK)
		st = find_bounds(it, first, end, &low, &upper);
	if (it->base.status == NVMKV_OK && st == NVMKV_OK)
		st = it->sink->lost(it->sink, true, it->row.row_id, first, nvmkv_buf_slice(&low), nvmkv_buf_slice(&upper));
	nvmkv_buf_free(&low);
	nvmkv_buf_free(&upper);
	if (st != NVMKV_OK)
		set_failed(it, st);
	else if (it->base.valid)
		load(it); /* the scratch was used meanwhile */
}

static void
load_or_end(NvmRowIter *it)
{
	if (it->index >= it->end)
	{
		iter_stand_nowhere(&it->base);
		return;
	}
	load(it);
	if (__builtin_expect(it->base.status == NVMKV_CORRUPTION, 0) && it->sink != NULL)
		go_round(it);
}

/* Without the index.  From where the iterator stands, as entries in front of it were told of already. */
static void
seek_one_by_one(NvmRowIter *it, NvmkvSlice key, uint64_t tag)
{
	if (!it->base.valid)
		it->index = it->row.first_live;
	for (load_or_end(it); it->base.valid && ikey_compare(it->base.key, it->base.tag, key, tag) < 0; load_or_end(it))
		it->index++;
}

void
nvm_row_iter_seek_window(NvmRowIter *it, NvmkvSlice key, uint64_t tag, uint64_t left, uint64_t right)
{
	NvmkvStatus status = nvm_row_lower_bound(it->pool, &it->row, key, tag, left, right, &it->index);

	if (status == NVMKV_CORRUPTION && it->sink != NULL)
		seek_one_by_one(it, key, tag);
	else if (status != NVMKV_OK)
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
		iter_stand_nowhere(&it->base);
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
	nvm_row_stretch_free(&it->stretch);
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

uint64_t
nvm_row_iter_bytes_left(const NvmRowIter *it)
{
	const NvmRowStretch *stretch = &it->stretch;

	if (it->index >= it->row.entries)
		return 0;
	if (stretch->offsets != NULL && it->index >= stretch->first && it->index < stretch->end &&
		stretch->offsets[it->index - stretch->first] != 0)
		return nvm_row_data_end(it->row.data_bytes) - stretch->offsets[it->index - stretch->first];
	return nvm_row_bytes_from(it->pool, &it->row, it->index);
}

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
