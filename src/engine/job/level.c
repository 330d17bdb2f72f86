/*
 * level.c
 *	  Level compaction: a table of level n goes to level n + 1, for n >= 1.
 *
 * Which level: the one with the highest score, bytes / target, from 1 on (shape.h).
 * Which table: round robin over the key space, by a pointer kept in shared
 * memory; after a restart it begins anew.  Tables that others work on, or whose
 * range others work on, are passed over.
 *
 * A table that overlaps nothing below moves by an edit alone, unless it
 * overlaps so much two levels down that its later merge would be expensive.
 * For the same reason an output table ends where it overlaps too much of the
 * next level ("grandparents"; LevelDB, version_set.cc).
 *
 * All versions of a user key are in one table of a level, so tables need no
 * company to keep versions together.
 *
 * nvmkv_compact_range goes through a key range in the same way, level by level;
 * at the last it rewrites tables in place.
 *
 * For the course of it and what a crash leaves see compaction.h.
 */
#include "engine/job/level.h"

#include "engine/job/compaction.h"
#include "engine/job/merge_copy.h"
#include "engine/job/table_output.h"
#include "engine/tree/install.h"
#include "engine/tree/jobs.h"
#include "engine/tree/running.h"
#include "engine/tree/shape.h"

/* A table may overlap so many target sizes of its grandparents. */
#define GRANDPARENT_FACTOR 10

/* ---- choosing a table ---- */

/* Announces the compaction of a table; false: others are at it. */
static bool
announce(Compaction *c, unsigned level, unsigned output_level, uint32_t file)
{
	const VersionFile *f = &version_files(c->v)[file];

	c->level = level;
	c->output_level = output_level;
	c->first_taken = file;
	c->end_taken = file + 1;
	c->low = version_bytes(c->v, f->smallest);
	c->high = version_bytes(c->v, f->largest);
	return compaction_announce(c);
}

/* The first table behind the pointer, or the level's first. */
static uint32_t
file_behind_pointer(const Compaction *c, unsigned level)
{
	const VersionFile *files = version_files(c->v);
	NvmkvSlice behind = db_key_slice(&c->db->shm->compact_pointers[level]);
	uint32_t i;

	for (i = c->v->level_start[level]; i < c->v->level_start[level + 1]; i++)
		if (slice_compare(version_bytes(c->v, files[i].largest), behind) > 0)
			return i;
	return c->v->level_start[level];
}

/* Announces the next table of the level that nobody works on, and moves the pointer behind it. */
static bool
pick_of_level(Compaction *c, unsigned level)
{
	uint32_t start = c->v->level_start[level];
	uint32_t n = c->v->level_start[level + 1] - start;
	uint32_t first = file_behind_pointer(c, level) - start;
	uint32_t i;

	for (i = 0; i < n; i++)
		if (announce(c, level, level + 1, start + (first + i) % n))
		{
			db_key_set(&c->db->shm->compact_pointers[level], c->high);
			return true;
		}
	return false;
}

/* The level with the highest score of those not tried yet, what is on its way out not counted; 0: none reaches it. */
static unsigned
highest_untried(const Compaction *c, double from_score, unsigned tried)
{
	double best = from_score;
	unsigned found = 0;
	unsigned level;

	for (level = 1; level < VERSION_LEVELS - 1; level++)
	{
		uint64_t bytes = version_level_size(c->v, level);
		uint64_t leaving = running_taken(c->db, level);
		double score = (double) (bytes > leaving ? bytes - leaving : 0) / (double) level_target(c->db, level);

		if ((tried & 1u << level) == 0 && bytes > leaving && score >= best)
		{
			best = score;
			found = level;
		}
	}
	return found;
}

/* REQUIRES the lock of running.h. */
static void
pick_by_score(Compaction *c, double from_score)
{
	unsigned tried = 0;
	unsigned level;

	while ((level = highest_untried(c, from_score, tried)) != 0 && !pick_of_level(c, level))
		tried |= 1u << level;
}

/* The first table of the range, in the level; the level's end when there is none. */
static uint32_t
first_in_range(const VersionImage *v, const LevelRange *range)
{
	const VersionFile *files = version_files(v);
	uint32_t end = v->level_start[range->level + 1];
	uint32_t i;

	for (i = version_find_file(v, range->level, range->lower); i < end; i++)
	{
		if (range->upper.size > 0 && slice_compare(version_bytes(v, files[i].smallest), range->upper) >= 0)
			return end;
		if ((!range->behind || slice_compare(version_bytes(v, files[i].largest), range->lower) > 0) &&
			files[i].number < range->below_number)
			return i;
	}
	return end;
}

/* ---- the work ---- */

static uint64_t
grandparent_limit(const NvmkvDb *db)
{
	return GRANDPARENT_FACTOR * db->options.target_file_bytes;
}

/* It overlaps nothing below, nor too much two levels down. */
static bool
is_trivial_move(const Compaction *c, uint64_t grandparent_bytes)
{
	return c->output_level != c->level && c->first_merged == c->end_merged &&
		grandparent_bytes <= grandparent_limit(c->db);
}

static NvmkvStatus
move_file(Compaction *c)
{
	const VersionFile *file = &version_files(c->v)[c->first_taken];
	VersionEdit edit = {0};
	MetaFileDrop drop;
	MetaFile moved = meta_file_of(c->v, file);

	moved.level = c->output_level;
	drop.level = c->level;
	drop.number = file->number;
	edit.file_drops = &drop;
	edit.nfile_drops = 1;
	edit.file_adds = &moved;
	edit.nfile_adds = 1;
	job_phase(c->job, DB_PHASE_INSTALLING);
	NVMKV_RETURN_IF(port_fault("level.before_install"));
	NVMKV_RETURN_IF(db_install(c->db, &edit));
	running_end(c->db, c->running, true);
	c->running = NULL;
	return NVMKV_OK;
}

static NvmkvStatus
install(Compaction *c)
{
	VersionEdit edit = {0};
	MetaFileDrop *drops = port_alloc(compaction_inputs(c) * sizeof(MetaFileDrop));
	NvmkvStatus st;

	if (drops == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	st = compaction_fill_edit(c, drops, &edit);
	job_phase(c->job, DB_PHASE_INSTALLING);
	if (st == NVMKV_OK)
		st = port_fault("level.before_install");
	if (st == NVMKV_OK)
		st = db_install(c->db, &edit);
	if (st == NVMKV_OK)
		compaction_installed(c, &edit);
	port_free(drops);
	return st;
}

/* What was announced. */
static NvmkvStatus
run(Compaction *c)
{
	uint32_t first = 0;
	uint32_t end = 0;

	compaction_begin(c, DB_JOB_LEVEL);
	c->output.frees_all = c->frees_all;
	NVMKV_RETURN_IF(port_fault("level.announced"));
	if (c->output_level + 1 < VERSION_LEVELS)
		shape_overlapping(c->v, c->output_level + 1, db_key_slice(&c->running->low), db_key_slice(&c->running->high),
						  &first, &end);
	if (is_trivial_move(c, shape_files_bytes(c->v, first, end)))
		return move_file(c);
	table_output_grandparents(&c->output, c->v, first, end, grandparent_limit(c->db));
	NVMKV_RETURN_IF(merge_write(c));
	return install(c);
}

NvmkvStatus
level_step(NvmkvDb *db, double from_score, bool *did_out)
{
	Compaction *c;
	unsigned level;
	bool reached;
	NvmkvStatus st;

	*did_out = false;
	db_enter(db);
	reached = level_highest_score(db, versions_current(&db->versions), &level) >= from_score && level != 0;
	db_leave(db);
	if (!reached)
		return NVMKV_OK;
	NVMKV_RETURN_IF(compaction_create(db, &c));
	running_lock(db);
	st = db_copy_image(db, &c->v);
	if (st == NVMKV_OK)
		pick_by_score(c, from_score);
	running_unlock(db);
	if (st == NVMKV_OK && c->running != NULL)
	{
		st = run(c);
		*did_out = st == NVMKV_OK;
	}
	return compaction_end(c, st);
}

NvmkvStatus
level_range_step(NvmkvDb *db, const LevelRange *range, NvmkvBuf *largest_out, bool *did_out)
{
	Compaction *c;
	bool found = false;
	NvmkvStatus st;

	*did_out = false;
	NVMKV_RETURN_IF(compaction_create(db, &c));
	running_lock(db);
	st = db_copy_image(db, &c->v);
	if (st == NVMKV_OK)
	{
		uint32_t file = first_in_range(c->v, range);

		found = file < c->v->level_start[range->level + 1];
		c->frees_all = range->level == range->output_level;
		if (found)
			(void) announce(c, range->level, range->output_level, file);
	}
	running_unlock(db);
	if (st == NVMKV_OK && found && c->running == NULL)
		st = NVMKV_FAIL(NVMKV_BUSY, "another process compacts this range");
	if (st == NVMKV_OK && found)
		st = nvmkv_buf_set(largest_out, c->high);
	if (st == NVMKV_OK && found)
	{
		st = run(c);
		*did_out = st == NVMKV_OK;
	}
	return compaction_end(c, st);
}

/* The file of this number in the level; false: it is not there. */
static bool
find_number(const VersionImage *v, unsigned level, uint64_t number, uint32_t *file_out)
{
	uint32_t i;

	for (i = v->level_start[level]; i < v->level_start[level + 1]; i++)
		if (version_files(v)[i].number == number)
		{
			*file_out = i;
			return true;
		}
	return false;
}

NvmkvStatus
level_rewrite(NvmkvDb *db, unsigned level, uint64_t number, bool frees_all, bool *did_out)
{
	Compaction *c;
	uint32_t file;
	NvmkvStatus st;

	*did_out = false;
	NVMKV_RETURN_IF(compaction_create(db, &c));
	running_lock(db);
	st = db_copy_image(db, &c->v);
	c->frees_all = frees_all;
	if (st == NVMKV_OK && find_number(c->v, level, number, &file))
		(void) announce(c, level, level, file);
	running_unlock(db);
	if (st == NVMKV_OK && c->running != NULL)
	{
		st = run(c);
		*did_out = st == NVMKV_OK;
	}
	return compaction_end(c, st);
}
