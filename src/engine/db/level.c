/*
 * level.c
 *	  Level compaction: a table of level n goes to level n + 1, for n >= 1.
 *
 * Which level: the one with the highest score, bytes / target, from 1 on.
 * Level 1's target is the container's size, each deeper level's ten times the
 * one above (the flattened shape: column compaction keeps the work of a step
 * independent of level 1's width).  The last level has no target.
 * Which table: round robin over the key space, by a pointer kept in shared
 * memory; after a restart it begins anew.
 *
 * A table that overlaps nothing below moves by an edit alone, unless it
 * overlaps so much two levels down that its later merge would be expensive.
 * For the same reason an output table ends where it overlaps too much of the
 * next level ("grandparents"; LevelDB, version_set.cc).
 *
 * All versions of a user key are in one table of a level, so tables need no
 * company to keep versions together.
 *
 * Crash outcome as for a column (column.c): before the edit nothing has
 * happened, after it all has.  REQUIRES the COMPACT claim.
 */
#include "engine/base/assert.h"
#include "engine/db/db_int.h"
#include "engine/db/merge_copy.h"
#include "engine/iter/level.h"
#include "engine/iter/merge.h"

#define LEVEL_FACTOR 10

/* Level 1 where there is no container, or a tiny one: so many tables. */
#define LEVEL1_TABLES_MIN 8

/* A table may overlap so many target sizes of its grandparents. */
#define GRANDPARENT_FACTOR 10

uint64_t
level_target(const NvmkvDb *db, unsigned level)
{
	uint64_t target = LEVEL1_TABLES_MIN * db->options.target_file_bytes;
	unsigned l;

	if (level == 0 || level >= VERSION_LEVELS - 1)
		return 0;
	if (db->pool != NULL && (uint64_t) db->pool->extent_count * NVM_EXTENT_BYTES > target)
		target = (uint64_t) db->pool->extent_count * NVM_EXTENT_BYTES;
	for (l = 1; l < level; l++)
		target *= LEVEL_FACTOR;
	return target;
}

double
level_score(const NvmkvDb *db, const VersionImage *v, unsigned level)
{
	uint64_t target = level_target(db, level);

	return target == 0 ? 0.0 : (double) v->level_bytes[level] / (double) target;
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

typedef struct LevelJob
{
	NvmkvDb *db;
	DbJob *job;
	VersionImage *v; /* private copy */
	unsigned level;	 /* from here to level + 1 */
	uint32_t file;	 /* the table, index in v */
	NvmkvSlice low, high;
	uint32_t first_below, end_below;
	uint32_t first_grandparent, end_grandparent;
	TableOutput output;
	GcFilter gc;
} LevelJob;

/* The first table behind the pointer, or the level's first. */
static uint32_t
pick_file(const LevelJob *l)
{
	const DbCompactPointer *pointer = &l->db->shm->compact_pointers[l->level];
	const VersionFile *files = version_files(l->v);
	NvmkvSlice behind = nvmkv_slice(pointer->key, pointer->size);
	uint32_t i;

	for (i = l->v->level_start[l->level]; i < l->v->level_start[l->level + 1]; i++)
		if (slice_compare(version_bytes(l->v, files[i].largest), behind) > 0)
			return i;
	return l->v->level_start[l->level];
}

static void
advance_pointer(LevelJob *l)
{
	DbCompactPointer *pointer = &l->db->shm->compact_pointers[l->level];

	NVMKV_ASSERT(l->high.size <= sizeof(pointer->key));
	memcpy(pointer->key, l->high.data, l->high.size);
	pointer->size = (uint32_t) l->high.size;
}

static void
pick(LevelJob *l)
{
	const VersionFile *files = version_files(l->v);

	l->file = pick_file(l);
	l->low = version_bytes(l->v, files[l->file].smallest);
	l->high = version_bytes(l->v, files[l->file].largest);
	merge_overlapping(l->v, l->level + 1, l->low, l->high, &l->first_below, &l->end_below);
	if (l->level + 2 < VERSION_LEVELS)
		merge_overlapping(l->v, l->level + 2, l->low, l->high, &l->first_grandparent, &l->end_grandparent);
}

static uint64_t
grandparent_limit(const NvmkvDb *db)
{
	return GRANDPARENT_FACTOR * db->options.target_file_bytes;
}

static bool
is_trivial_move(const LevelJob *l)
{
	return l->first_below == l->end_below &&
		merge_files_bytes(l->v, l->first_grandparent, l->end_grandparent) <= grandparent_limit(l->db);
}

/* An edit that takes the inputs out; the caller adds what comes in.  drops: room for all inputs. */
static void
drop_inputs(const LevelJob *l, MetaFileDrop *drops, VersionEdit *edit)
{
	const VersionFile *files = version_files(l->v);
	uint32_t i;

	drops[0].level = l->level;
	drops[0].number = files[l->file].number;
	edit->nfile_drops = 1;
	for (i = l->first_below; i < l->end_below; i++)
	{
		drops[edit->nfile_drops].level = l->level + 1;
		drops[edit->nfile_drops++].number = files[i].number;
	}
	edit->file_drops = drops;
}

static NvmkvStatus
move_file(LevelJob *l)
{
	const VersionFile *file = &version_files(l->v)[l->file];
	VersionEdit edit = {0};
	MetaFileDrop drop;
	MetaFile moved;

	memset(&moved, 0, sizeof(moved));
	moved.number = file->number;
	moved.bytes = file->bytes;
	moved.entries = file->entries;
	moved.min_sequence = file->min_sequence;
	moved.max_sequence = file->max_sequence;
	moved.min_unresolved_fxid = file->min_unresolved_fxid;
	moved.level = l->level + 1;
	moved.smallest = l->low;
	moved.largest = l->high;
	drop_inputs(l, &drop, &edit);
	edit.file_adds = &moved;
	edit.nfile_adds = 1;
	job_phase(l->job, DB_PHASE_INSTALLING);
	NVMKV_RETURN_IF(port_fault("level.before_install"));
	return db_install(l->db, &edit);
}

static NvmkvStatus
merge_files(LevelJob *l)
{
	LevelIter *levels = port_alloc(2 * sizeof(LevelIter));
	NvmkvIter *children[2];
	MergeIter merge;
	NvmkvStatus st;

	if (levels == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a compaction");
	level_iter_init(&levels[0], l->db->tables, l->v, l->file, l->file + 1, SST_ITER_BULK);
	level_iter_init(&levels[1], l->db->tables, l->v, l->first_below, l->end_below, SST_ITER_BULK);
	children[0] = &levels[0].base;
	children[1] = &levels[1].base;
	st = merge_iter_init(&merge, children, 2);
	if (st == NVMKV_OK)
	{
		st = merge_copy(l->job, &l->gc, &merge.base, &l->output);
		merge_iter_free(&merge);
	}
	children[0]->ops->destroy(children[0]);
	children[1]->ops->destroy(children[1]);
	port_free(levels);
	return st;
}

static NvmkvStatus
install(LevelJob *l)
{
	NvmkvDb *db = l->db;
	VersionEdit edit = {0};
	MetaFileDrop *drops = port_alloc((l->end_below - l->first_below + 1) * sizeof(MetaFileDrop));
	uint32_t i;
	NvmkvStatus st;

	if (drops == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	drop_inputs(l, drops, &edit);
	edit.file_adds = l->output.files;
	edit.nfile_adds = l->output.nfiles;
	edit.has_next_file = true;
	edit.next_file = port_load_seq(&db->root->shm->next_file);
	st = port_fault("level.before_install");
	if (st == NVMKV_OK)
		st = db_install_with_running(db, &edit, &l->gc);
	for (i = 0; st == NVMKV_OK && i < edit.nfile_drops; i++)
		retired_add_file(db, drops[i].number);
	port_free(drops);
	return st;
}

static void
announce(LevelJob *l)
{
	const VersionFile *files = version_files(l->v);
	uint64_t keys = files[l->file].entries;
	uint32_t i;

	for (i = l->first_below; i < l->end_below; i++)
		keys += files[i].entries;
	job_totals(l->job, keys, files[l->file].bytes + merge_files_bytes(l->v, l->first_below, l->end_below), 0,
			   l->end_below - l->first_below + 1);
	job_takes(l->job, files[l->file].bytes);
	job_range(l->job, l->low, l->high);
	job_phase(l->job, DB_PHASE_MERGING);
}

static NvmkvStatus
run(LevelJob *l)
{
	NvmkvDb *db = l->db;
	uint64_t taken = version_files(l->v)[l->file].bytes;
	uint64_t read = merge_files_bytes(l->v, l->first_below, l->end_below);
	NvmkvStatus st;

	announce(l);
	if (is_trivial_move(l))
		return move_file(l);
	table_output_grandparents(&l->output, l->v, l->first_grandparent, l->end_grandparent, grandparent_limit(db));
	st = merge_files(l);
	if (st == NVMKV_OK)
	{
		job_phase(l->job, DB_PHASE_SYNCING);
		st = db_flush_log(db, NVMKV_SEQUENCE_MAX);
	}
	if (st == NVMKV_OK)
		st = table_output_finish(&l->output);
	if (st == NVMKV_OK)
	{
		job_phase(l->job, DB_PHASE_INSTALLING);
		st = install(l);
	}
	if (st == NVMKV_OK)
	{
		DbCounters *n = &db->shm->counters;

		port_count(&n->file_read_bytes, taken + read);
		port_count(&n->level_bytes_taken[l->level + 1], taken);
		port_count(&n->level_bytes_read[l->level + 1], taken + read);
		port_count(&n->level_bytes_written[l->level + 1], l->output.bytes);
		db_count_gc(db, &l->gc);
		port_store_relaxed(&db->shm->no_space, 0);
	}
	return st;
}

NvmkvStatus
level_step(NvmkvDb *db, double from_score, bool *did_out)
{
	LevelJob l;
	NvmkvStatus st;

	*did_out = false;
	memset(&l, 0, sizeof(l));
	l.db = db;
	NVMKV_RETURN_IF(db_copy_image(db, &l.v));
	if (level_highest_score(db, l.v, &l.level) < from_score || l.level == 0)
	{
		port_free(l.v);
		return NVMKV_OK;
	}
	pick(&l);
	l.job = job_begin(db, DB_JOB_LEVEL);
	table_output_init(&l.output, db, l.level + 1);
	gc_init(&l.gc, db->has_txn ? &db->txn : NULL,
			merge_is_bottom(l.v, l.level + 1, l.low, l.high, l.first_below, l.end_below), db_storage_dropped,
			db_recorded_outcome, db);
	st = run(&l);
	if (st == NVMKV_OK)
		advance_pointer(&l);
	else
		(void) db_note_failure(db, st);
	*did_out = st == NVMKV_OK;
	job_end(l.job, st == NVMKV_OK, l.output.nfiles);
	/* After a failed sync the manifest may name the tables or not. */
	table_output_free(&l.output, st == NVMKV_OK || db_is_sticky(db));
	gc_free(&l.gc);
	port_free(l.v);
	return st;
}
