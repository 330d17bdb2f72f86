/*
 * compact_range.c
 *	  Compaction on demand, of a key range: everything to the lowest level that
 *	  has any of it.
 *
 * The container is drained as a whole: its columns go by the order of keys.
 * Then each level above the lowest is gone through once, in the order of keys,
 * so that the work ends however much is written meanwhile.  At the lowest level,
 * tables that were there before are rewritten in place: they may hold entries
 * that have become garbage since, and only writing them anew gives their space
 * back.
 *
 * A table a step; between steps nothing is held.  Values apart are written anew
 * where that gives space back (value.h).
 */
#include "engine/db/family.h"
#include "engine/job/level.h"
#include "engine/job/value_collect.h"
#include "engine/tree/claim.h"
#include "engine/tree/retire.h"
#include "engine/tree/tree.h"
#include "engine/tree/work_limit.h"

/* The lowest level with a table in the range; 0: none below level 0. */
static unsigned
lowest_level(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper)
{
	const VersionImage *v;
	unsigned level;

	db_enter(db);
	v = versions_current(&db->versions);
	for (level = VERSION_LEVELS - 1; level > 0; level--)
	{
		uint32_t file = version_find_file(v, level, lower);

		if (file < v->level_start[level + 1] &&
			(upper.size == 0 || slice_compare(version_bytes(v, version_files(v)[file].smallest), upper) < 0))
			break;
	}
	db_leave(db);
	return level;
}

static NvmkvStatus
go_through(NvmkvDb *db, LevelRange *range, NvmkvBuf *behind)
{
	for (;;)
	{
		bool did;
		NvmkvStatus st;

		work_limit_urge(db);
		st = level_range_step(db, range, behind, &did);
		if (st == NVMKV_BUSY)
			st = db_wait_progress(db);
		else if (st == NVMKV_OK && !did)
			return NVMKV_OK;
		NVMKV_RETURN_IF(st);
		if (did)
		{
			range->lower = nvmkv_buf_slice(behind);
			range->behind = true;
			NVMKV_RETURN_IF(value_sweep(db, &did));
			(void) retired_reclaim(db);
		}
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "compaction interrupted");
	}
}

static NvmkvStatus
compact_level(NvmkvDb *db, unsigned level, unsigned output_level, NvmkvSlice lower, NvmkvSlice upper,
			  uint64_t below_number)
{
	LevelRange range = {level, output_level, lower, false, upper, below_number};
	NvmkvBuf behind = {0};
	NvmkvStatus st = go_through(db, &range, &behind);

	nvmkv_buf_free(&behind);
	return st;
}

static NvmkvStatus
compact_tree(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper)
{
	/* What is written from here on needs no second time. */
	uint64_t below_number = port_load_seq(&db->root->shm->next_file);
	unsigned lowest = lowest_level(db, lower, upper);
	unsigned level;

	if (lowest == 0)
		return NVMKV_OK;
	for (level = 1; level < lowest; level++)
		NVMKV_RETURN_IF(compact_level(db, level, level + 1, lower, upper, UINT64_MAX));
	NVMKV_RETURN_IF(compact_level(db, lowest, lowest, lower, upper, below_number));
	return value_free_all(db, lower, upper);
}

NvmkvStatus
nvmkv_compact_range(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper)
{
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	if (upper.size > 0 && slice_compare(lower, upper) >= 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(nvmkv_flush_all(db));
	NVMKV_RETURN_IF(nvmkv_compact_all(db));
	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		st = compact_tree(tree, lower, upper);
		if (st != NVMKV_OK)
		{
			family_leave(db, cursor);
			break;
		}
	}
	return st;
}
