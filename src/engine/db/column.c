/*
 * column.c
 *	  Column compaction: one narrow key range of the batch goes to level 1.
 *
 * Roles.  Rows are added to the receiver.  When the gate opens, all receiver
 * rows become the compactor: a fixed batch, recorded in the manifest, drained
 * column by column from its smallest key to its largest; new rows never join.
 *
 * The gate.  Merging a batch of B bytes into a level 1 of L bytes writes about
 * B + L, whatever the column's size, so write amplification is 1 + L/B: a batch
 * starts when that is within the target, or when free extents run low.
 *
 * Steps of a column, and what a crash after each leaves:
 *	  1 merged entries in new tables of level 1, filtered (gc.h)	files no version names: removed at the next open
 *	  2 log flushed (outcomes stored in step 1), tables synced		the same
 *	  3 edit installed: drain positions, tables in and out			done; extents below the positions are free again
 *	  4 extents and files retired until no reader can look at them
 *
 * The holder of the COMPACT claim alone changes compactor rows and level 1.
 * Starting a batch changes receiver rows, and needs the FLUSH claim.
 */
#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/db/db_int.h"
#include "engine/db/merge_copy.h"
#include "engine/db/write_control.h"
#include "engine/iter/level.h"
#include "engine/iter/merge.h"
#include "engine/nvm/column.h"

/* A batch is worth starting when it fills this share of the pool. */
#define BATCH_POOL_SHARE 0.40

/* A level with this score is compacted before the next column. */
#define LEVEL_URGENT_SCORE 1.5

/* Tables in level 0 (no container) that start their merge. */
#define LEVEL0_TABLES_TRIGGER 4

static uint64_t
pool_bytes(const NvmkvDb *db)
{
	return (uint64_t) db->pool->extent_count * NVM_EXTENT_BYTES;
}

bool
column_gate(NvmkvDb *db, const VersionImage *v, bool force)
{
	double receiver = (double) version_role_bytes(v, VERSION_RECEIVER);
	double level1 = (double) v->level_bytes[1];

	if (db->pool == NULL || v->nrows == 0)
		return false;
	if (force || port_load_relaxed(&db->shm->pool_full) != 0)
		return true;
	if (write_control_pool_is_low(db))
		return true;
	return receiver >= BATCH_POOL_SHARE * (double) pool_bytes(db) &&
		level1 <= (db->options.l0_write_amplification - 1.0) * receiver;
}

static bool
has_compactor(const VersionImage *v)
{
	return v->nrows > 0 && v->rows[v->nrows - 1].role == VERSION_COMPACTOR;
}

NvmkvStatus
column_start_batch(NvmkvDb *db)
{
	VersionImage *v;
	MetaRowRole *roles;
	VersionEdit edit = {0};
	uint32_t i;
	NvmkvStatus st;

	NVMKV_RETURN_IF(db_copy_image(db, &v));
	if (v->nrows == 0 || has_compactor(v))
	{
		port_free(v);
		return NVMKV_OK;
	}
	roles = port_alloc(v->nrows * sizeof(MetaRowRole));
	if (roles == NULL)
	{
		port_free(v);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	}
	for (i = 0; i < v->nrows; i++)
	{
		roles[i].row_id = v->rows[i].row_id;
		roles[i].role = VERSION_COMPACTOR;
	}
	edit.row_roles = roles;
	edit.nrow_roles = v->nrows;
	st = db_install(db, &edit);
	if (st == NVMKV_OK)
	{
		port_count(&db->shm->counters.batches, 1);
		port_store_relaxed(&db->shm->batch_wanted, 0);
	}
	port_free(roles);
	port_free(v);
	return st;
}

/* ---- one column ---- */

typedef struct ColumnJob
{
	NvmkvDb *db;
	DbJob *job;
	VersionImage *v; /* private copy */
	NvmRowRef *rows; /* the compactor, newest first */
	uint32_t first_row; /* in v->rows */
	uint32_t nrows;
	NvmColumn column;
	NvmkvBuf low; /* smallest live key of the rows */
	NvmkvSlice high; /* largest key the column may hold */
	uint32_t first_file, end_file; /* level-1 inputs in v */
	uint32_t first_level0, end_level0; /* level-0 tables, where there is no container */
	TableOutput output;
	GcFilter gc;
} ColumnJob;

static NvmkvStatus
smallest_live_key(ColumnJob *c)
{
	NvmkvBuf scratch = {0};
	NvmkvStatus st = NVMKV_OK;
	uint32_t i;

	for (i = 0; i < c->nrows && st == NVMKV_OK; i++)
	{
		NvmkvSlice key, payload;
		uint64_t tag;

		st = nvm_row_entry(c->db->pool, &c->rows[i], c->rows[i].first_live, &scratch, &key, &tag, &payload);
		if (st == NVMKV_OK && (i == 0 || slice_compare(key, nvmkv_buf_slice(&c->low)) < 0))
			st = nvmkv_buf_set(&c->low, key);
	}
	nvmkv_buf_free(&scratch);
	return st;
}

/* Which part of the rows, and up to which key. */
static NvmkvStatus
pick_column(ColumnJob *c)
{
	const VersionImage *v = c->v;
	const VersionFile *files = version_files(v);
	NvmkvSlice *cuts;
	uint32_t ncuts = 0;
	uint32_t i;
	NvmkvStatus st;

	for (i = 0; i < v->nrows && v->rows[i].role != VERSION_COMPACTOR; i++)
		;
	c->first_row = i;
	c->nrows = v->nrows - i;
	c->rows = port_alloc(c->nrows * sizeof(NvmRowRef));
	cuts = port_alloc((v->level_start[2] - v->level_start[1] + 1) * sizeof(NvmkvSlice));
	if (c->rows == NULL || cuts == NULL)
	{
		port_free(cuts);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	}
	for (i = 0; i < c->nrows; i++)
		c->rows[i] = version_row_ref(v, &v->rows[c->first_row + i]);
	st = smallest_live_key(c);
	if (st == NVMKV_OK)
	{
		for (i = version_find_file(v, 1, nvmkv_buf_slice(&c->low)); i < v->level_start[2]; i++)
			cuts[ncuts++] = version_bytes(v, files[i].largest);
		st = nvm_column_pick(c->db->pool, c->rows, c->nrows, cuts, ncuts, c->db->options.target_file_bytes, &c->column);
	}
	port_free(cuts);
	NVMKV_RETURN_IF(st);
	if (c->column.last)
	{
		c->high = version_bytes(v, v->rows[c->first_row].largest);
		for (i = 1; i < c->nrows; i++)
		{
			NvmkvSlice largest = version_bytes(v, v->rows[c->first_row + i].largest);

			if (slice_compare(largest, c->high) > 0)
				c->high = largest;
		}
	}
	else
		c->high = nvmkv_buf_slice(&c->column.cut);
	return NVMKV_OK;
}

/* Level 0 tables are merged all at once: their key range is the column. */
static NvmkvStatus
pick_level0(ColumnJob *c)
{
	const VersionFile *files = version_files(c->v);
	uint32_t i;

	c->first_level0 = c->v->level_start[0];
	c->end_level0 = c->v->level_start[1];
	for (i = c->first_level0; i < c->end_level0; i++)
	{
		NvmkvSlice smallest = version_bytes(c->v, files[i].smallest);
		NvmkvSlice largest = version_bytes(c->v, files[i].largest);

		if (i == c->first_level0 || slice_compare(smallest, nvmkv_buf_slice(&c->low)) < 0)
			NVMKV_RETURN_IF(nvmkv_buf_set(&c->low, smallest));
		if (i == c->first_level0 || slice_compare(largest, c->high) > 0)
			c->high = largest;
	}
	return NVMKV_OK;
}

static uint64_t
taken_bytes(const ColumnJob *c)
{
	return c->column.bytes + merge_files_bytes(c->v, c->first_level0, c->end_level0);
}

static uint64_t
level1_bytes(const ColumnJob *c)
{
	return merge_files_bytes(c->v, c->first_file, c->end_file);
}

static void
announce(ColumnJob *c)
{
	const VersionFile *files = version_files(c->v);
	uint64_t keys = 0;
	uint32_t i;

	for (i = 0; i < c->nrows; i++)
		keys += c->column.end_index[i] - c->rows[i].first_live;
	for (i = c->first_level0; i < c->end_level0; i++)
		keys += files[i].entries;
	for (i = c->first_file; i < c->end_file; i++)
		keys += files[i].entries;
	job_totals(c->job, keys, taken_bytes(c) + level1_bytes(c), c->nrows,
			   c->end_file - c->first_file + c->end_level0 - c->first_level0);
	job_takes(c->job, taken_bytes(c));
	job_range(c->job, nvmkv_buf_slice(&c->low), c->high);
	job_phase(c->job, DB_PHASE_MERGING);
}

static NvmkvStatus
merge_column(ColumnJob *c)
{
	uint32_t nlevel0 = c->end_level0 - c->first_level0;
	NvmRowIter *rows = port_alloc((c->nrows + 1) * sizeof(NvmRowIter));
	LevelIter *levels = port_alloc((nlevel0 + 1) * sizeof(LevelIter));
	NvmkvIter **children = port_alloc((c->nrows + nlevel0 + 1) * sizeof(NvmkvIter *));
	MergeIter merge;
	unsigned n = 0;
	uint32_t i;
	NvmkvStatus st;

	if (rows == NULL || levels == NULL || children == NULL)
	{
		port_free(rows);
		port_free(levels);
		port_free(children);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a compaction of %u rows", c->nrows);
	}
	for (i = 0; i < c->nrows; i++)
	{
		nvm_row_iter_init(&rows[i], c->db->pool, &c->rows[i], c->column.end_index[i]);
		children[n++] = &rows[i].base;
	}
	for (i = 0; i < nlevel0; i++)
	{
		level_iter_init(&levels[i], c->db->tables, c->v, c->first_level0 + i, c->first_level0 + i + 1, SST_ITER_BULK);
		children[n++] = &levels[i].base;
	}
	level_iter_init(&levels[nlevel0], c->db->tables, c->v, c->first_file, c->end_file, SST_ITER_BULK);
	children[n++] = &levels[nlevel0].base;
	st = merge_iter_init(&merge, children, n);
	if (st == NVMKV_OK)
	{
		st = merge_copy(c->job, &c->gc, &merge.base, &c->output);
		merge_iter_free(&merge);
	}
	for (i = 0; i < n; i++)
		children[i]->ops->destroy(children[i]);
	port_free(rows);
	port_free(levels);
	port_free(children);
	return st;
}

/* The first extent of the row not given back yet, apart from extent 0. */
static uint32_t
kept_from(uint32_t first_extent_live)
{
	return first_extent_live > 1 ? first_extent_live : 1;
}

static NvmkvStatus
install_column(ColumnJob *c)
{
	NvmkvDb *db = c->db;
	const VersionFile *files = version_files(c->v);
	VersionEdit edit = {0};
	uint32_t ndrops = c->end_file - c->first_file + c->end_level0 - c->first_level0;
	uint64_t *row_drops = port_alloc((c->nrows + 1) * sizeof(uint64_t));
	MetaRowAdvance *advances = port_alloc((c->nrows + 1) * sizeof(MetaRowAdvance));
	MetaFileDrop *drops = port_alloc((ndrops + 1) * sizeof(MetaFileDrop));
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	if (row_drops == NULL || advances == NULL || drops == NULL)
		st = NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	for (i = 0; st == NVMKV_OK && i < c->nrows; i++)
	{
		const NvmRowRef *row = &c->rows[i];
		uint64_t end = c->column.end_index[i];

		if (end == row->entries)
			row_drops[edit.nrow_drops++] = row->row_id;
		else if (end > row->first_live)
		{
			MetaRowAdvance *a = &advances[edit.nrow_advances++];

			a->row_id = row->row_id;
			a->first_live = end;
			a->live_bytes = nvm_row_bytes_between(db->pool, row, end, row->entries);
			a->first_extent_live = nvm_row_extents_below(db->pool, row, end);
		}
	}
	if (st == NVMKV_OK)
	{
		for (i = c->first_level0; i < c->end_level0; i++)
		{
			drops[edit.nfile_drops].level = 0;
			drops[edit.nfile_drops++].number = files[i].number;
		}
		for (i = c->first_file; i < c->end_file; i++)
		{
			drops[edit.nfile_drops].level = 1;
			drops[edit.nfile_drops++].number = files[i].number;
		}
		edit.row_drops = row_drops;
		edit.row_advances = advances;
		edit.file_drops = drops;
		edit.file_adds = c->output.files;
		edit.nfile_adds = c->output.nfiles;
		edit.has_next_file = true;
		edit.next_file = port_load_seq(&db->root->shm->next_file);
		st = port_fault("column.before_install");
	}
	if (st == NVMKV_OK)
		st = db_install_with_running(db, &edit, &c->gc);
	if (st == NVMKV_OK)
	{
		uint32_t advance = 0;

		for (i = 0; i < c->nrows; i++)
		{
			const NvmRowRef *row = &c->rows[i];
			uint64_t end = c->column.end_index[i];
			uint32_t from = kept_from(row->first_extent_live);

			if (end == row->entries)
			{
				retired_add_extents(db, row->extents, 1);
				if (row->extent_count > from)
					retired_add_extents(db, row->extents + from, row->extent_count - from);
			}
			else if (end > row->first_live)
			{
				uint32_t to = advances[advance++].first_extent_live;

				if (to > from)
					retired_add_extents(db, row->extents + from, to - from);
			}
		}
		for (i = 0; i < edit.nfile_drops; i++)
			retired_add_file(db, drops[i].number);
	}
	port_free(row_drops);
	port_free(advances);
	port_free(drops);
	return st;
}

static NvmkvStatus
run_column(ColumnJob *c)
{
	NvmkvDb *db = c->db;
	NvmkvStatus st;

	merge_overlapping(c->v, 1, nvmkv_buf_slice(&c->low), c->high, &c->first_file, &c->end_file);
	c->gc.bottom = merge_is_bottom(c->v, 1, nvmkv_buf_slice(&c->low), c->high, c->first_file, c->end_file);
	announce(c);
	st = merge_column(c);
	if (st == NVMKV_OK)
	{
		job_phase(c->job, DB_PHASE_SYNCING);
		st = db_flush_log(db, NVMKV_SEQUENCE_MAX);
	}
	if (st == NVMKV_OK)
		st = table_output_finish(&c->output);
	if (st == NVMKV_OK)
	{
		job_phase(c->job, DB_PHASE_INSTALLING);
		st = install_column(c);
	}
	if (st == NVMKV_OK)
	{
		DbCounters *n = &db->shm->counters;

		port_count(&n->columns, 1);
		port_count(&n->file_read_bytes, level1_bytes(c));
		port_count(&n->level_bytes_taken[1], taken_bytes(c));
		port_count(&n->level_bytes_read[1], level1_bytes(c));
		port_count(&n->level_bytes_written[1], c->output.bytes);
		db_count_gc(db, &c->gc);
		port_store_relaxed(&db->shm->no_space, 0);
	}
	return st;
}

/* Makes a batch of the receiver if the gate is open.  OK with *started_out false: nothing to do. */
static NvmkvStatus
try_start_batch(NvmkvDb *db, bool force, bool *started_out)
{
	NvmkvStatus st;
	bool open;

	*started_out = false;
	db_enter(db);
	open = column_gate(db, versions_current(&db->versions), force);
	db_leave(db);
	if (!open)
		return NVMKV_OK;
	if (!db_claim(db, DB_CLAIM_FLUSH))
	{
		/* The flush that runs starts the batch when it is done. */
		port_store_relaxed(&db->shm->batch_wanted, 1);
		return NVMKV_BUSY;
	}
	st = column_start_batch(db);
	db_unclaim(db, DB_CLAIM_FLUSH);
	*started_out = st == NVMKV_OK;
	return st;
}

static NvmkvStatus
column_step_claimed(NvmkvDb *db, bool force, bool *did_out, bool *more_out)
{
	ColumnJob c;
	bool level0;
	NvmkvStatus st;

	memset(&c, 0, sizeof(c));
	c.db = db;
	NVMKV_RETURN_IF(db_copy_image(db, &c.v));
	/*
	 * With a container, level 0 holds what a life without one left.  It is older than the rows: no column may pass
	 * it.
	 */
	level0 = c.v->level_start[1] >= (force || db->pool != NULL ? 1 : LEVEL0_TABLES_TRIGGER);
	if (!has_compactor(c.v) && !level0)
	{
		bool started;

		port_free(c.v);
		NVMKV_RETURN_IF(try_start_batch(db, force, &started));
		if (!started)
			return NVMKV_OK;
		NVMKV_RETURN_IF(db_copy_image(db, &c.v));
		if (!has_compactor(c.v))
		{
			port_free(c.v);
			return NVMKV_OK;
		}
	}
	c.job = job_begin(db, DB_JOB_COLUMN);
	table_output_init(&c.output, db, 1);
	gc_init(&c.gc, db->has_txn ? &db->txn : NULL, false, db_storage_dropped,
			db_recorded_outcome, db);
	st = level0 ? pick_level0(&c) : pick_column(&c);
	if (st == NVMKV_OK)
		st = run_column(&c);
	*did_out = st == NVMKV_OK;
	*more_out = st == NVMKV_OK;
	if (st != NVMKV_OK)
		(void) db_note_failure(db, st);
	job_end(c.job, st == NVMKV_OK, c.output.nfiles);
	/* After a failed sync the manifest may name the tables or not. */
	table_output_free(&c.output, st == NVMKV_OK || db_is_sticky(db));
	gc_free(&c.gc);
	nvm_column_free(&c.column);
	nvmkv_buf_free(&c.low);
	port_free(c.rows);
	port_free(c.v);
	return st;
}

static bool
under_pressure(NvmkvDb *db)
{
	return db->pool != NULL && (port_load_relaxed(&db->shm->pool_full) != 0 || write_control_pool_is_low(db));
}

/*
 * Columns come first, for writers wait for them; but a level 1 far over its target makes each of them dear.
 */
static NvmkvStatus
compact_step_claimed(NvmkvDb *db, bool force, bool *did_out, bool *more_out)
{
	if (force || drop_is_due(db))
	{
		NVMKV_RETURN_IF(drop_step(db, did_out));
		*more_out = *did_out;
		if (*did_out)
			return NVMKV_OK;
	}
	if (!force && !under_pressure(db))
	{
		NVMKV_RETURN_IF(level_step(db, LEVEL_URGENT_SCORE, did_out));
		*more_out = *did_out;
		if (*did_out)
			return NVMKV_OK;
	}
	NVMKV_RETURN_IF(column_step_claimed(db, force, did_out, more_out));
	if (!*did_out)
	{
		NVMKV_RETURN_IF(level_step(db, 1.0, did_out));
		*more_out = *did_out;
	}
	return NVMKV_OK;
}

NvmkvStatus
compact_step(NvmkvDb *db, bool force, bool *did_out, bool *more_out)
{
	NvmkvStatus st;

	*did_out = false;
	*more_out = false;
	NVMKV_RETURN_IF(db_refuse_if_sticky(db));
	if (!db_claim(db, DB_CLAIM_COMPACT))
		return NVMKV_BUSY;
	st = compact_step_claimed(db, force, did_out, more_out);
	db_unclaim(db, DB_CLAIM_COMPACT);
	return st;
}
