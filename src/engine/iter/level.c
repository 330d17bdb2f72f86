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

static void
stand_nowhere(LevelIter *it)
{
	it->base.valid = false;
	it->base.status = NVMKV_OK;
}

/* From the end of one table to the start of the next that has something. */
static void
skip_forward(LevelIter *it)
{
	while (!it->table.base.valid && it->table.base.status == NVMKV_OK && it->at + 1 < it->end)
	{
		if (!open_table(it, it->at + 1))
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
		stand_nowhere(it);
		return;
	}
	if (!open_table(it, at))
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
		stand_nowhere(it);
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
		stand_nowhere(it);
		return;
	}
	if (!open_table(it, it->first))
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
		stand_nowhere(it);
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
}
