/*
 * shape.c
 *	  Targets and scores of levels.
 *
 *	  Level 1's target is the container's size, each deeper level's ten times the
 *	  one above (the flattened shape: column compaction keeps the work of a step
 *	  independent of level 1's width).  The last level has no target.
 */
#include "engine/tree/shape.h"

#define LEVEL_FACTOR 10

/* Level 1 where there is no container, or a tiny one: so many tables. */
#define LEVEL1_TABLES_MIN 8

uint64_t
level_target(const NvmkvDb *db, unsigned level)
{
	uint64_t target = LEVEL1_TABLES_MIN * db->options.target_file_bytes;
	unsigned l;

	if (level == 0 || level >= VERSION_LEVELS - 1)
		return 0;
	if (db_container_bytes(db) > target)
		target = db_container_bytes(db);
	for (l = 1; l < level; l++)
		target *= LEVEL_FACTOR;
	return target;
}

double
level_score(const NvmkvDb *db, const VersionImage *v, unsigned level)
{
	uint64_t target = level_target(db, level);

	return target == 0 ? 0.0 : (double) version_level_size(v, level) / (double) target;
}

double
level_highest_score(const NvmkvDb *db, const VersionImage *v, unsigned *level_out)
{
	double best = 0.0;
	unsigned level;

	*level_out = 0;
	for (level = 1; level < VERSION_LEVELS - 1; level++)
	{
		double score = level_score(db, v, level);

		if (score > best)
		{
			best = score;
			*level_out = level;
		}
	}
	return best;
}

/* ---- tables of a level ---- */

void
shape_overlapping(const VersionImage *v, unsigned level, NvmkvSlice low, NvmkvSlice high, uint32_t *first_out,
				  uint32_t *end_out)
{
	const VersionFile *files = version_files(v);
	uint32_t i = version_find_file(v, level, low);

	*first_out = i;
	while (i < v->level_start[level + 1] && slice_compare(version_bytes(v, files[i].smallest), high) <= 0)
		i++;
	*end_out = i;
}

bool
shape_is_bottom(const VersionImage *v, unsigned level, NvmkvSlice low, NvmkvSlice high)
{
	unsigned below;

	for (below = level + 1; below < VERSION_LEVELS; below++)
	{
		uint32_t first, end;

		shape_overlapping(v, below, low, high, &first, &end);
		if (first < end)
			return false;
	}
	return true;
}

uint64_t
shape_files_bytes(const VersionImage *v, uint32_t first, uint32_t end)
{
	const VersionFile *files = version_files(v);
	uint64_t bytes = 0;
	uint32_t i;

	for (i = first; i < end; i++)
		bytes += files[i].bytes;
	return bytes;
}
