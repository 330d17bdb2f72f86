/*
 * level.c
 *	  Iterator over the tables of a level.
 */
#include "engine/iter/level.h"

static void
close_table(LevelIter *it)
{
	if (it->open)
		it->table.base.ops->destroy(&it->table.base);
	it->open = false;
}

/* Opening file "at" has failed so, when keys from "from" on were asked for: leaves it out, if that can be. */
static NvmkvStatus
leave_out(LevelIter *it, uint32_t at, NvmkvStatus status, NvmkvSlice from)
{
	const NvmkvError cause = *nvmkv_error();
	const VersionFile *file = &version_files(it->version)[at];
	NvmkvSlice low = version_bytes(it->version, file->smallest);
	char path[SST_PATH_BYTES_MAX];
	NvmkvBuf upper = {0};

	if (it->sink == NULL)
		return status;
	NVMKV_RETURN_IF(table_cache_file_name(it->tables, file->number, path, sizeof(path)));
	if (!sst_file_is_damaged(path, file->bytes, status))
		return nvmkv_fail_at(status, cause.sys_errno, cause.file, cause.line, "%s", cause.text);
	if (slice_compare(low, from) < 0)
		low = from;
	status = ikey_successor(version_bytes(it->version, file->largest), &upper);
	if (status == NVMKV_OK)
		status = it->sink->lost(it->sink, false, file->number, NVMKV_DAMAGE_ALL, low, nvmkv_buf_slice(&upper));
	nvmkv_buf_free(&upper);
	return status;
}

/* Opens file "at"; the iterator then stands nowhere in it. */
static bool
open_table(LevelIter *it, uint32_t at)
{
	const VersionFile *file = &version_files(it->version)[at];
	SstTable *table;

	it->base.status = NVMKV_OK;
	if (it->open && it->at == at)
		return true;
	close_table(it);
	it->base.status = table_cache_get(it->tables, file->number, file->bytes, &table);
	if (it->base.status != NVMKV_OK)
	{
		it->base.valid = false;
		return false;
	}
	sst_iter_init(&it->table, table, it->mode);
	it->table.sink = it->sink;
	it->at = at;
	it->open = true;
	return true;
}

static void
take_position(LevelIter *it)
{
	it->base.valid = it->table.base.valid;
	it->base.status = it->table.base.status;
	it->base.key = it->table.base.key;
	it->base.tag = it->table.base.tag;
	it->base.payload = it->table.base.payload;
}

/* Opens file "at", or the next one of the run that can be opened; false: stands nowhere, or has failed. */
static bool
open_from(LevelIter *it, uint32_t at, NvmkvSlice from)
{
	while (!open_table(it, at))
	{
		it->base.status = leave_out(it, at, it->base.status, from);
		if (it->base.status != NVMKV_OK || ++at == it->end)
			return false;
	}
	return true;
}

/* From the end of one table to the start of the next that has something. */
static void
skip_forward(LevelIter *it)
{
	const NvmkvSlice all = {NULL, 0};

	while (!it->table.base.valid && it->table.base.status == NVMKV_OK && it->at + 1 < it->end)
	{
		if (!open_from(it, it->at + 1, all))
			return;
		it->table.base.ops->seek_first(&it->table.base);
	}
	take_position(it);
}

static void
skip_backward(LevelIter *it)
{
	while (!it->table.base.valid && it->table.base.status == NVMKV_OK && it->at > it->first)
	{
		if (!open_table(it, it->at - 1))
			return;
		it->table.base.ops->seek_last(&it->table.base);
	}
	take_position(it);
}

/* First file of the run whose largest key is >= key. */
static uint32_t
find_file(const LevelIter *it, NvmkvSlice key)
{
	const VersionFile *files = version_files(it->version);
	uint32_t lo = it->first;
	uint32_t hi = it->end;

	while (lo < hi)
	{
		uint32_t mid = lo + (hi - lo) / 2;

		if (slice_compare(version_bytes(it->version, files[mid].largest), key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
level_seek(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	LevelIter *it = (LevelIter *) base;
	uint32_t at = find_file(it, key);

	if (at == it->end)
	{
		iter_stand_nowhere(&it->base);
		return;
	}
	if (!open_from(it, at, key))
		return;
	it->table.base.ops->seek(&it->table.base, key, tag);
	skip_forward(it);
}

static void
level_seek_for_prev(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	LevelIter *it = (LevelIter *) base;
	uint32_t at = find_file(it, key);

	if (it->first == it->end)
	{
		iter_stand_nowhere(&it->base);
		return;
	}
	if (at == it->end)
		at--; /* all keys are smaller: the last table's last entry */
	if (!open_table(it, at))
		return;
	it->table.base.ops->seek_for_prev(&it->table.base, key, tag);
	skip_backward(it);
}

static void
level_seek_first(NvmkvIter *base)
{
	LevelIter *it = (LevelIter *) base;

	if (it->first == it->end)
	{
		iter_stand_nowhere(&it->base);
		return;
	}
	if (!open_from(it, it->first, nvmkv_slice(NULL, 0)))
		return;
	it->table.base.ops->seek_first(&it->table.base);
	skip_forward(it);
}

static void
level_seek_last(NvmkvIter *base)
{
	LevelIter *it = (LevelIter *) base;

	if (it->first == it->end)
	{
		iter_stand_nowhere(&it->base);
		return;
	}
	if (!open_table(it, it->end - 1))
		return;
	it->table.base.ops->seek_last(&it->table.base);
	skip_backward(it);
}

static void
level_next(NvmkvIter *base)
{
	LevelIter *it = (LevelIter *) base;

	if (level_iter_step(it))
		return;
	it->table.base.ops->next(&it->table.base);
	skip_forward(it);
}

static void
level_prev(NvmkvIter *base)
{
	LevelIter *it = (LevelIter *) base;

	it->table.base.ops->prev(&it->table.base);
	skip_backward(it);
}

static void
level_destroy(NvmkvIter *base)
{
	LevelIter *it = (LevelIter *) base;

	close_table(it);
	it->base.valid = false;
}

static const NvmkvIterOps level_ops = {
	level_seek,
	level_seek_for_prev,
	level_seek_first,
	level_seek_last,
	level_next,
	level_prev,
	level_destroy,
};

bool
level_iter_renew(LevelIter *it)
{
	return !it->open || sst_iter_renew(&it->table);
}

void
level_iter_init(LevelIter *it, TableCache *tables, const VersionImage *version, uint32_t first, uint32_t end,
				SstIterMode mode)
{
	memset(&it->base, 0, sizeof(it->base));
	it->base.ops = &level_ops;
	it->tables = tables;
	it->version = version;
	it->first = first;
	it->end = end;
	it->at = first;
	it->open = false;
	it->mode = mode;
	it->sink = NULL;
}
