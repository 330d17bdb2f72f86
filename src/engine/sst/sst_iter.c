/*
 * sst_iter.c
 *	  The three-level cursor of an SSTable: top index, index block, data block.
 *
 * A seek that ends in the block where the iterator already is reads and looks
 * up nothing.  Moving on inside a data block touches neither the index nor the
 * cache.
 */
#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/sst/sst_codec.h"
#include "engine/sst/sst_iter.h"

/* One read of a bulk iterator, and the longest of one that reads ahead; that begins with less, and doubles it. */
#define CHUNK_BYTES ((size_t) 256 * 1024)
#define AHEAD_BYTES_MIN ((size_t) 32 * 1024)

/* So many blocks in a row are a long scan. */
#define AHEAD_RUN 4

static void
drop_data(SstIter *it)
{
	sst_table_release_block(it->table, &it->data_block);
	it->data_handle.size = 0;
	sst_block_cursor_close(&it->data);
}

static void
drop_index(SstIter *it)
{
	sst_table_release_block(it->table, &it->index_block);
	it->index_handle.size = 0;
	sst_block_cursor_close(&it->index);
}

/* Not on an entry any more; "status" says whether that is the end or a failure. */
static void
stop(SstIter *it, NvmkvStatus status)
{
	it->base.valid = false;
	it->base.status = status;

	/* After a failure the blocks are not to be trusted to be the ones the cursors stand in. */
	if (status != NVMKV_OK)
	{
		drop_data(it);
		drop_index(it);
	}
}

/* Shows the data cursor's entry. */
static inline void
show(SstIter *it)
{
	it->base.valid = true;
	it->base.key = it->data.key;
	it->base.tag = it->data.tag;
	it->base.payload = it->data.payload;
}

/* A second time, from the file itself: what fails again is damaged. */
static NvmkvStatus
reread_index(SstIter *it, SstHandle handle)
{
	uint8_t byte;

	/* All further reads are by calls. */
	(void) sst_table_reread(it->table, handle.offset, &byte, 1);
	return sst_table_judge(it->table, sst_table_block(it->table, handle, SST_BLOCK_PRIVATE, &it->index_block));
}

static NvmkvStatus
load_index(SstIter *it, SstHandle handle)
{
	SstBlockUse use = it->mode == SST_ITER_BULK ? SST_BLOCK_PRIVATE : SST_BLOCK_INDEX;
	NvmkvStatus status;

	if (it->index_handle.size != 0 && it->index_handle.offset == handle.offset)
		return NVMKV_OK;
	drop_index(it);
	status = sst_table_block(it->table, handle, use, &it->index_block);
	if (status != NVMKV_OK && it->sink != NULL)
		status = reread_index(it, handle);
	NVMKV_RETURN_IF(status);
	if (!sst_block_cursor_open(&it->index, it->index_block.data, it->index_block.size, NULL))
		return sst_table_malformed(it->table, handle.offset);
	it->index_handle = handle;
	return NVMKV_OK;
}

/* Does the chunk have all of the block? */
static bool
is_in_chunk(const SstIter *it, SstHandle handle)
{
	return handle.offset >= it->chunk_offset &&
		handle.offset + handle.size + SST_TRAILER_BYTES <= it->chunk_offset + it->chunk.size;
}

/* How much to read for a block of so many bytes, from there on. */
static size_t
chunk_bytes(const SstIter *it, uint64_t offset, size_t need)
{
	uint64_t left = sst_table_limit(it->table) - offset;
	size_t want = CHUNK_BYTES;

	if (it->mode == SST_ITER_CACHED)
	{
		want = it->chunk.size > 0 && offset == it->chunk_offset + it->chunk.size ? 2 * it->chunk.size : AHEAD_BYTES_MIN;
		if (want > CHUNK_BYTES)
			want = CHUNK_BYTES;
	}
	if (left < want)
		want = (size_t) left;
	/* Backwards nothing behind the block will be asked for. */
	return want > need && offset >= it->chunk_offset ? want : need;
}

static NvmkvStatus
read_chunk(SstIter *it, uint64_t offset, size_t bytes)
{
	it->chunk.size = 0;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&it->chunk, bytes));
	NVMKV_RETURN_IF(sst_table_read(it->table, offset, it->chunk.data, bytes));
	it->chunk.size = bytes;
	it->chunk_offset = offset;
	return NVMKV_OK;
}

/* Checks the block in the chunk; a compressed one is expanded beside it. */
static NvmkvStatus
open_in_chunk(SstIter *it, SstHandle handle, NvmkvSlice *block_out)
{
	const char *path = sst_table_path(it->table);
	unsigned codec;
	uint32_t bytes;

	*block_out = nvmkv_slice(it->chunk.data + (handle.offset - it->chunk_offset), handle.size);
	NVMKV_RETURN_IF(sst_trailer_check(block_out->data, handle.size, path, handle.offset, &codec));
	if (codec == SST_CODEC_NONE)
		return NVMKV_OK;
	NVMKV_RETURN_IF(sst_expanded_bytes(*block_out, path, handle.offset, &bytes));
	it->expanded.size = 0;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&it->expanded, bytes));
	NVMKV_RETURN_IF(sst_table_expand(it->table, codec, *block_out, handle.offset, it->expanded.data, bytes));
	*block_out = nvmkv_slice(it->expanded.data, bytes);
	return NVMKV_OK;
}

/* The block alone, a second time, from the file itself: what fails again is damaged. */
static NvmkvStatus
reread_block(SstIter *it, SstHandle handle, NvmkvSlice *block_out)
{
	size_t need = (size_t) handle.size + SST_TRAILER_BYTES;
	NvmkvStatus status;

	it->chunk.size = 0;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&it->chunk, need));
	status = sst_table_reread(it->table, handle.offset, it->chunk.data, need);
	if (status != NVMKV_OK)
		return sst_table_judge(it->table, status);
	it->chunk.size = need;
	it->chunk_offset = handle.offset;
	return open_in_chunk(it, handle, block_out);
}

/* Makes the block's bytes stand in the chunk, and checks them. */
static NvmkvStatus
load_chunk(SstIter *it, SstHandle handle, NvmkvSlice *block_out)
{
	size_t need = (size_t) handle.size + SST_TRAILER_BYTES;
	NvmkvStatus status = NVMKV_OK;

	if (!is_in_chunk(it, handle))
	{
		size_t want = chunk_bytes(it, handle.offset, need);

		status = read_chunk(it, handle.offset, want);
		/* What nobody asked for may be unreadable. */
		if (status == NVMKV_IO && it->mode == SST_ITER_CACHED && want > need)
			status = read_chunk(it, handle.offset, need);
	}
	if (status == NVMKV_OK)
		status = open_in_chunk(it, handle, block_out);
	if ((status == NVMKV_CORRUPTION || status == NVMKV_IO) && it->sink != NULL)
		status = reread_block(it, handle, block_out);
	return status;
}

/* By way of the cache, or ahead and past it. */
static NvmkvStatus
load_cached(SstIter *it, SstHandle handle, NvmkvSlice *bytes_out)
{
	if (handle.offset != it->behind)
		it->run = 0;
	it->behind = handle.offset + handle.size + SST_TRAILER_BYTES;
	if (is_in_chunk(it, handle))
		return load_chunk(it, handle, bytes_out);
	if (!sst_table_find_block(it->table, handle, &it->data_block))
	{
		if (!sst_table_cache_has_room(it->table, handle) && ++it->run > AHEAD_RUN)
			return load_chunk(it, handle, bytes_out);
		NVMKV_RETURN_IF(sst_table_load_block(it->table, handle, SST_BLOCK_DATA, &it->data_block));
	}
	*bytes_out = nvmkv_slice(it->data_block.data, it->data_block.size);
	return NVMKV_OK;
}

/* Opens the data block the index cursor names. */
static NvmkvStatus
load_data(SstIter *it)
{
	NvmkvSlice bytes;
	SstHandle handle;

	NVMKV_RETURN_IF(sst_table_data_handle(it->table, it->index.payload, &handle));
	if (it->data_handle.size != 0 && it->data_handle.offset == handle.offset)
		return NVMKV_OK;
	drop_data(it);
	it->data_blocks++;
	if (it->mode == SST_ITER_BULK)
		NVMKV_RETURN_IF(load_chunk(it, handle, &bytes));
	else
		NVMKV_RETURN_IF(load_cached(it, handle, &bytes));
	if (!sst_block_cursor_open(&it->data, bytes.data, (uint32_t) bytes.size, it->key_buffer))
		return sst_table_malformed(it->table, handle.offset);
	it->data_handle = handle;
	return NVMKV_OK;
}

/* Opens the index block the top cursor names. */
static NvmkvStatus
load_partition(SstIter *it)
{
	SstHandle index;
	SstHandle filter;

	NVMKV_RETURN_IF(sst_table_top_handles(it->table, it->top.payload, &index, &filter));
	return load_index(it, index);
}

/* The iterator is on the data cursor's entry, or fails: a block that is not empty has an entry where we went. */
static void
settle(SstIter *it, bool on_entry)
{
	if (on_entry)
		show(it);
	else
		stop(it, sst_table_malformed(it->table, it->data_handle.offset));
}

/* ---- forwards, round damage if there is a sink ---- */

/* What cannot be read. */
typedef enum Unit
{
	UNIT_BLOCK,		 /* the data block the index cursor names, from its start or from where the data cursor stands */
	UNIT_PARTITION,	 /* that of the top cursor, or what is behind the index cursor's block */
	UNIT_TABLE		 /* the top index */
} Unit;

/* The separator before the unit; false: it is the table's first. */
static bool
separator_before(const SstIter *it, Unit unit, NvmkvSlice *key_out, uint64_t *tag_out)
{
	SstBlockCursor cursor = it->index;
	bool found = unit == UNIT_BLOCK && sst_block_cursor_prev(&cursor);

	if (!found)
	{
		cursor = it->top;
		found = sst_block_cursor_prev(&cursor);
	}
	*key_out = cursor.key;
	*tag_out = cursor.tag;
	return found;
}

/* The least key that the unit may have. */
static NvmkvStatus
find_low(const SstIter *it, Unit unit, NvmkvBuf *low)
{
	NvmkvSlice key;
	uint64_t tag;

	/* Somewhere in it. */
	if (unit == UNIT_BLOCK && it->data_handle.size != 0 && it->data.corrupt && it->base.valid)
		return nvmkv_buf_set(low, it->data.key);
	if (unit == UNIT_PARTITION && it->index_handle.size != 0 && it->index.corrupt)
		return nvmkv_buf_set(low, it->index.key);
	if (!separator_before(it, unit, &key, &tag))
		return nvmkv_buf_set(low, sst_table_props(it->table)->smallest);
	return tag == 0 ? ikey_successor(key, low) : nvmkv_buf_set(low, key);
}

static uint64_t
unit_offset(const SstIter *it, Unit unit)
{
	SstHandle handle = {0, 0};
	SstHandle filter;

	if (unit == UNIT_BLOCK)
		(void) sst_table_data_handle(it->table, it->index.payload, &handle);
	else
		(void) sst_table_top_handles(it->table, it->top.payload, &handle, &filter);
	return handle.offset;
}

/*
 * The unit has failed so: leaves it out, if that can be.  from: the keys below are not asked for.  OK: next_data goes
 * on behind it.
 */
static NvmkvStatus
leave_out(SstIter *it, Unit unit, NvmkvStatus status, NvmkvSlice from)
{
	uint64_t offset;
	NvmkvBuf low = {0};
	NvmkvBuf upper = {0};

	if (it->sink == NULL || status != NVMKV_CORRUPTION || unit == UNIT_TABLE)
		return status;
	offset = unit_offset(it, unit);
	status = find_low(it, unit, &low);
	if (status == NVMKV_OK && slice_compare(nvmkv_buf_slice(&low), from) < 0)
		status = nvmkv_buf_set(&low, from);
	if (status == NVMKV_OK)
		status = ikey_successor(unit == UNIT_BLOCK ? it->index.key : it->top.key, &upper);
	if (status == NVMKV_OK && slice_compare(nvmkv_buf_slice(&low), nvmkv_buf_slice(&upper)) < 0)
		status = it->sink->lost(it->sink, false, sst_table_number(it->table), offset, nvmkv_buf_slice(&low),
								nvmkv_buf_slice(&upper));
	nvmkv_buf_free(&low);
	nvmkv_buf_free(&upper);
	drop_data(it);
	if (unit == UNIT_PARTITION)
		drop_index(it);
	return status;
}

/* The first entry of the block the index cursor names. */
static NvmkvStatus
first_of_block(SstIter *it)
{
	NVMKV_RETURN_IF(load_data(it));
	return sst_block_cursor_first(&it->data) ? NVMKV_OK : sst_table_malformed(it->table, it->data_handle.offset);
}

/* The first block of the partition the top cursor names. */
static NvmkvStatus
first_of_partition(SstIter *it)
{
	NVMKV_RETURN_IF(load_partition(it));
	return sst_block_cursor_first(&it->index) ? NVMKV_OK : sst_table_malformed(it->table, it->index_handle.offset);
}

/* To the first entry of the next data block; NOT_FOUND: there is none.  Otherwise *unit_out is what has failed. */
static NvmkvStatus
next_data(SstIter *it, Unit *unit_out)
{
	*unit_out = UNIT_PARTITION;
	if (it->index_handle.size == 0 || !sst_block_cursor_next(&it->index))
	{
		if (it->index_handle.size != 0 && it->index.corrupt)
			return sst_table_malformed(it->table, it->index_handle.offset);
		*unit_out = UNIT_TABLE;
		if (!sst_block_cursor_next(&it->top))
			return it->top.corrupt ? sst_table_malformed(it->table, sst_table_limit(it->table)) : NVMKV_NOT_FOUND;
		*unit_out = UNIT_PARTITION;
		NVMKV_RETURN_IF(first_of_partition(it));
	}
	*unit_out = UNIT_BLOCK;
	return first_of_block(it);
}

/* One data block forwards from where the index cursor stands. */
static void
next_block(SstIter *it)
{
	const NvmkvSlice all = {NULL, 0};
	NvmkvStatus status;
	Unit unit;

	it->base.valid = false;
	do
	{
		status = next_data(it, &unit);
		if (status == NVMKV_OK)
		{
			show(it);
			return;
		}
	} while (status != NVMKV_NOT_FOUND && (status = leave_out(it, unit, status, all)) == NVMKV_OK);
	stop(it, status == NVMKV_NOT_FOUND ? NVMKV_OK : status);
}

/* The unit has failed so when it was sought: goes on behind it, if that can be. */
static void
pass(SstIter *it, Unit unit, NvmkvStatus status, NvmkvSlice from)
{
	it->base.valid = false;
	status = leave_out(it, unit, status, from);
	if (status == NVMKV_OK)
		next_block(it);
	else
		stop(it, status);
}

/* One data block backwards from where the index cursor stands. */
static void
prev_block(SstIter *it)
{
	NvmkvStatus status = NVMKV_OK;

	if (!sst_block_cursor_prev(&it->index))
	{
		if (it->index.corrupt)
		{
			stop(it, sst_table_malformed(it->table, it->index_handle.offset));
			return;
		}
		if (!sst_block_cursor_prev(&it->top))
		{
			stop(it, it->top.corrupt ? sst_table_malformed(it->table, sst_table_limit(it->table)) : NVMKV_OK);
			return;
		}
		status = load_partition(it);
		if (status == NVMKV_OK && !sst_block_cursor_last(&it->index))
			status = sst_table_malformed(it->table, it->index_handle.offset);
	}
	if (status == NVMKV_OK)
		status = load_data(it);
	if (status == NVMKV_OK)
		settle(it, sst_block_cursor_last(&it->data));
	else
		stop(it, status);
}

/*
 * Index and data cursor to the first entry >= (key, tag), from where the top
 * cursor stands.  It is in the block the separators name, or begins the next
 * one; then it has another user key, which "same_key" callers do not want.
 */
static void
seek_below_top(SstIter *it, NvmkvSlice key, uint64_t tag, bool same_key)
{
	NvmkvStatus status;

	if (!sst_block_cursor_seek(&it->index, key, tag))
	{
		pass(it, UNIT_PARTITION, sst_table_malformed(it->table, it->index_handle.offset), key);
		return;
	}
	status = load_data(it);
	if (status != NVMKV_OK)
		pass(it, UNIT_BLOCK, status, key);
	else if (sst_block_cursor_seek(&it->data, key, tag))
		show(it);
	else if (it->data.corrupt)
		pass(it, UNIT_BLOCK, sst_table_malformed(it->table, it->data_handle.offset), key);
	else if (same_key)
		stop(it, NVMKV_OK);
	else
		next_block(it);
}

/* The top cursor to the partition of (key, tag); false: stopped, it is behind the last entry or the index is broken. */
static bool
seek_top(SstIter *it, NvmkvSlice key, uint64_t tag)
{
	it->base.status = NVMKV_OK;
	if (sst_block_cursor_seek(&it->top, key, tag))
		return true;
	stop(it, it->top.corrupt ? sst_table_malformed(it->table, sst_table_limit(it->table)) : NVMKV_OK);
	return false;
}

static void
iter_seek(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	SstIter *it = (SstIter *) base;
	NvmkvStatus status;

	if (!seek_top(it, key, tag))
		return;
	status = load_partition(it);
	if (status == NVMKV_OK)
		seek_below_top(it, key, tag, false);
	else
		pass(it, UNIT_PARTITION, status, key);
}

void
sst_iter_seek_key(SstIter *it, NvmkvSlice key, uint64_t tag, uint64_t hash)
{
	NvmkvStatus status;
	SstHandle index;
	SstHandle filter;
	bool may = true;

	if (!seek_top(it, key, tag))
		return;

	/* The filter before the index block: most keys asked for in vain need no more. */
	status = sst_table_top_handles(it->table, it->top.payload, &index, &filter);
	if (status == NVMKV_OK)
		status = sst_table_filter_probe(it->table, filter, hash, &may);
	if (status == NVMKV_OK && may)
		status = load_index(it, index);
	if (status != NVMKV_OK || !may)
	{
		stop(it, status);
		return;
	}
	seek_below_top(it, key, tag, true);
	if (it->base.valid && !slice_equal(it->base.key, key))
		it->base.valid = false;
}

static void
iter_seek_first(NvmkvIter *base)
{
	const NvmkvSlice all = {NULL, 0};
	SstIter *it = (SstIter *) base;
	Unit unit = UNIT_TABLE;
	NvmkvStatus status = NVMKV_OK;

	it->base.status = NVMKV_OK;
	if (!sst_block_cursor_first(&it->top))
		status = sst_table_malformed(it->table, sst_table_limit(it->table));
	if (status == NVMKV_OK)
	{
		unit = UNIT_PARTITION;
		status = first_of_partition(it);
	}
	if (status == NVMKV_OK)
	{
		unit = UNIT_BLOCK;
		status = first_of_block(it);
	}
	if (status == NVMKV_OK)
		show(it);
	else
		pass(it, unit, status, all);
}

static void
iter_seek_last(NvmkvIter *base)
{
	SstIter *it = (SstIter *) base;
	NvmkvStatus status = NVMKV_OK;

	it->base.status = NVMKV_OK;
	if (!sst_block_cursor_last(&it->top))
		status = sst_table_malformed(it->table, sst_table_limit(it->table));
	if (status == NVMKV_OK)
		status = load_partition(it);
	if (status == NVMKV_OK && !sst_block_cursor_last(&it->index))
		status = sst_table_malformed(it->table, it->index_handle.offset);
	if (status == NVMKV_OK)
		status = load_data(it);
	if (status == NVMKV_OK)
		settle(it, sst_block_cursor_last(&it->data));
	else
		stop(it, status);
}

static void
iter_next(NvmkvIter *base)
{
	SstIter *it = (SstIter *) base;
	const NvmkvSlice all = {NULL, 0};

	NVMKV_ASSERT(base->valid);
	if (sst_iter_step(it))
		return;
	if (it->data.corrupt)
	{
		NvmkvStatus status =
			leave_out(it, UNIT_BLOCK, sst_table_malformed(it->table, it->data_handle.offset), all);

		if (status != NVMKV_OK)
		{
			stop(it, status);
			return;
		}
	}
	next_block(it);
}

static void
iter_prev(NvmkvIter *base)
{
	SstIter *it = (SstIter *) base;

	NVMKV_ASSERT(base->valid);
	if (sst_block_cursor_prev(&it->data))
		show(it);
	else if (it->data.corrupt)
		stop(it, sst_table_malformed(it->table, it->data_handle.offset));
	else
		prev_block(it);
}

static void
iter_seek_for_prev(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	iter_seek(base, key, tag);
	if (base->valid)
	{
		if (base->tag != tag || !slice_equal(base->key, key))
			iter_prev(base);
	}
	else if (base->status == NVMKV_OK)
		iter_seek_last(base);
}

static void
iter_destroy(NvmkvIter *base)
{
	SstIter *it = (SstIter *) base;

	base->valid = false;
	if (it->table == NULL)
		return;
	drop_data(it);
	drop_index(it);
	nvmkv_buf_free(&it->chunk);
	nvmkv_buf_free(&it->expanded);
	sst_table_unref(it->table);
	it->table = NULL;
}

bool
sst_iter_renew(SstIter *it)
{
	if (sst_table_block_is_current(it->table, it->index_handle, &it->index_block) &&
		sst_table_block_is_current(it->table, it->data_handle, &it->data_block))
		return true;

	/* A seek must not take them for the blocks it needs. */
	drop_data(it);
	drop_index(it);
	it->base.valid = false;
	return false;
}

static const NvmkvIterOps sst_iter_ops = {
	.seek = iter_seek,
	.seek_for_prev = iter_seek_for_prev,
	.seek_first = iter_seek_first,
	.seek_last = iter_seek_last,
	.next = iter_next,
	.prev = iter_prev,
	.destroy = iter_destroy,
};

void
sst_iter_init(SstIter *it, SstTable *table, SstIterMode mode)
{
	memset(it, 0, offsetof(SstIter, key_buffer));
	it->base.ops = &sst_iter_ops;
	it->base.status = NVMKV_OK;
	it->table = table;
	it->mode = mode;
	it->top = sst_table_top_cursor(table);
	sst_table_ref(table);
}
