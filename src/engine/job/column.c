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
 * Several columns may be under way at once, each beginning where the one before
 * it ends; they are installed in that order (running.h).  The course of one is in
 * compaction.h; its edit moves the drain positions, and extents below them are
 * given up with its tables.
 *
 * Starting a batch changes receiver rows, and needs the FLUSH claim.
 *
 * Where the rows' indexes cannot be searched for the cut, a column is found by
 * walking over the rows' entries, round those that cannot be read.  What is
 * between two that can be read belongs to the column of the first; as a search
 * might put the border elsewhere, such a column is alone.
 */
#include "engine/job/column.h"

#include "engine/job/compaction.h"
#include "engine/job/merge_copy.h"
#include "engine/job/value.h"
#include "engine/tree/claim.h"
#include "engine/tree/damage.h"
#include "engine/tree/install.h"
#include "engine/tree/jobs.h"
#include "engine/tree/retire.h"
#include "engine/tree/running.h"
#include "engine/tree/write_control.h"

/* A batch is worth starting when it fills this share of the pool. */
#define BATCH_POOL_SHARE 0.40

/* Between two looks whether the columns before are installed; each wakes those who wait. */
#define TURN_WAIT_MS 100

/* Tables in level 0 (no container) that start their merge. */
#define LEVEL0_TABLES_TRIGGER 4

/* Does a row stand in the way of the size that is wanted of the container? */
static bool
is_in_the_way(const NvmkvDb *db, const VersionImage *v)
{
	uint32_t i, e;

	if (db->pool->usable == db->pool->extent_count)
		return false;
	for (i = 0; i < v->nrows; i++)
	{
		NvmRowRef ref = version_row_ref(v, &v->rows[i]);

		for (e = 0; e < ref.extent_count; e++)
			if ((e == 0 || e >= ref.first_extent_live) && ref.extents[e] >= db->pool->usable)
				return true;
	}
	return false;
}

bool
column_gate(NvmkvDb *db, const VersionImage *v, bool force)
{
	double receiver = (double) version_role_bytes(v, VERSION_RECEIVER);
	double level1 = (double) v->level_bytes[1];

	if (db->pool == NULL || v->nrows == 0)
		return false;
	if (force || port_load_relaxed(&db->shm->pool_full) != 0 || port_load_relaxed(&db->shm->drain_wanted) != 0)
		return true;
	if (write_control_pool_is_low(db) || is_in_the_way(db, v))
		return true;
	return receiver >= BATCH_POOL_SHARE * (double) db_container_bytes(db) &&
		level1 <= (db->options.l0_write_amplification - 1.0) * receiver;
}

/*
 * In quiet times a smaller batch will do where there are values apart, if it is worth what it writes: what rows have
 * overwritten of them gives its space back only when they leave the container.
 */
static bool
quiet_gate(NvmkvDb *db, const VersionImage *v)
{
	double receiver = (double) version_role_bytes(v, VERSION_RECEIVER);

	return db->pool != NULL && receiver > 0.0 && v->nfiles > version_ntables(v) &&
		(double) v->level_bytes[1] <= (db->options.l0_write_amplification - 1.0) * receiver && value_is_quiet(db);
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
		port_store_relaxed(&db->shm->drain_wanted, 0);
	}
	port_free(roles);
	port_free(v);
	return st;
}

/* ---- choosing a column ---- */

/* Puts the row's part behind the columns under way into c->rows, if there is any. */
static NvmkvStatus
add_row(Compaction *c, const VersionRow *row, const Running *last)
{
	NvmRowRef ref = version_row_ref(c->v, row);

	if (last != NULL)
	{
		uint64_t start;

		NVMKV_RETURN_IF(nvm_row_upper_bound(c->db->pool, &ref, db_key_slice(&last->cut), ref.first_live, ref.entries,
											&start));
		if (start > ref.first_live)
		{
			ref.first_extent_live = nvm_row_extents_below(c->db->pool, &ref, start);
			ref.live_bytes = nvm_row_bytes_from(c->db->pool, &ref, start);
			ref.first_live = start;
		}
	}
	if (ref.first_live < ref.entries)
		c->rows[c->nrows++] = ref;
	return NVMKV_OK;
}

static NvmkvStatus
smallest_live_key(Compaction *c)
{
	NvmkvBuf scratch = {0};
	NvmkvStatus st = NVMKV_OK;
	uint32_t i;

	for (i = 0; i < c->nrows && st == NVMKV_OK; i++)
	{
		NvmkvSlice key, payload;
		uint64_t tag;

		st = nvm_row_entry(c->db->pool, &c->rows[i], c->rows[i].first_live, &scratch, &key, &tag, &payload);
		if (st == NVMKV_OK && (i == 0 || slice_compare(key, nvmkv_buf_slice(&c->low_key)) < 0))
			st = nvmkv_buf_set(&c->low_key, key);
	}
	nvmkv_buf_free(&scratch);
	c->low = nvmkv_buf_slice(&c->low_key);
	return st;
}

/* Cuts the column: up to a boundary of level 1 where there is one. */
static NvmkvStatus
cut_column(Compaction *c)
{
	const VersionImage *v = c->v;
	const VersionFile *files = version_files(v);
	NvmkvSlice *cuts = port_alloc((v->level_start[2] - v->level_start[1] + 1) * sizeof(NvmkvSlice));
	uint32_t ncuts = 0;
	uint32_t i;
	NvmkvStatus st;

	if (cuts == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	for (i = version_find_file(v, 1, c->low); i < v->level_start[2]; i++)
		cuts[ncuts++] = version_bytes(v, files[i].largest);
	st = nvm_column_pick(c->db->pool, c->rows, c->nrows, cuts, ncuts, c->db->options.target_file_bytes, &c->column);
	port_free(cuts);
	return st;
}

/* ---- by walking ---- */

typedef struct RowsWalk
{
	NvmRowIter *iters;
	NvmkvIter **children;
	MergeIter merge;
} RowsWalk;

/* Goes on to the first key that is not in the column any more: one with target_file_bytes. */
static NvmkvStatus
walk_column(Compaction *c, RowsWalk *w)
{
	NvmkvIter *m = &w->merge.base;
	uint64_t bytes = 0;
	unsigned i;

	for (m->ops->seek_first(m); m->valid; m->ops->next(m))
	{
		if (bytes >= c->db->options.target_file_bytes && !slice_equal(m->key, nvmkv_buf_slice(&c->column.cut)))
			break;
		if (c->low_key.size == 0)
			NVMKV_RETURN_IF(nvmkv_buf_set(&c->low_key, m->key));
		NVMKV_RETURN_IF(nvmkv_buf_set(&c->column.cut, m->key));
		bytes += m->key.size + m->payload.size;
	}
	NVMKV_RETURN_IF(m->status);
	c->column.last = !m->valid;
	c->column.bytes = bytes;
	for (i = 0; i < c->nrows; i++)
	{
		c->column.end_index[i] = w->iters[i].index;
		c->bytes_behind[i] = nvm_row_iter_bytes_left(&w->iters[i]);
	}
	return NVMKV_OK;
}

/* In place of smallest_live_key and cut_column. */
static NvmkvStatus
cut_column_by_walking(Compaction *c, NvmkvSlice smallest)
{
	RowsWalk w = {0};
	unsigned i;
	NvmkvStatus st;

	nvm_column_free(&c->column);
	memset(&c->column, 0, sizeof(c->column));
	c->low_key.size = 0;
	c->column.end_index = port_alloc(c->nrows * sizeof(uint64_t));
	c->bytes_behind = port_alloc(c->nrows * sizeof(uint64_t));
	w.iters = port_alloc(c->nrows * sizeof(NvmRowIter));
	w.children = port_alloc(c->nrows * sizeof(NvmkvIter *));
	if (c->column.end_index == NULL || c->bytes_behind == NULL || w.iters == NULL || w.children == NULL)
		st = NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	else
	{
		for (i = 0; i < c->nrows; i++)
		{
			nvm_row_iter_init(&w.iters[i], c->db->pool, &c->rows[i], c->rows[i].entries);
			/* What is left out here is told by the compaction itself, which reads it again. */
			w.iters[i].sink = damage_untold_sink();
			w.children[i] = &w.iters[i].base;
		}
		st = merge_iter_init(&w.merge, w.children, c->nrows);
		if (st == NVMKV_OK)
			st = walk_column(c, &w);
		merge_iter_free(&w.merge);
		for (i = 0; i < c->nrows; i++)
			w.iters[i].base.ops->destroy(&w.iters[i].base);
	}
	port_free(w.iters);
	port_free(w.children);
	c->low = c->low_key.size > 0 ? nvmkv_buf_slice(&c->low_key) : smallest;
	return st;
}

/* Drops the rows that have no entry in the column. */
static void
forget_empty_rows(Compaction *c)
{
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < c->nrows; i++)
	{
		if (c->column.end_index[i] == c->rows[i].first_live)
			continue;
		c->rows[kept] = c->rows[i];
		if (c->bytes_behind != NULL)
			c->bytes_behind[kept] = c->bytes_behind[i];
		c->column.end_index[kept++] = c->column.end_index[i];
	}
	c->nrows = kept;
}

/* The smallest of the rows' first keys, or the largest of their last ones. */
static NvmkvSlice
end_of_rows(const VersionImage *v, uint32_t first_row, bool last)
{
	NvmkvSlice end = {0};
	uint32_t i;

	for (i = first_row; i < v->nrows; i++)
	{
		NvmkvSlice other = version_bytes(v, last ? v->rows[i].largest : v->rows[i].smallest);

		if (i == first_row || (last ? slice_compare(other, end) > 0 : slice_compare(other, end) < 0))
			end = other;
	}
	return end;
}

/* By the rows' indexes.  CORRUPTION: then c->rows has all of what is left of the rows, if no other column runs. */
static NvmkvStatus
find_column(Compaction *c, uint32_t first_row, const Running *last)
{
	uint32_t i;

	for (i = first_row; i < c->v->nrows; i++)
		NVMKV_RETURN_IF(add_row(c, &c->v->rows[i], last));
	if (c->nrows == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(smallest_live_key(c));
	return cut_column(c);
}

/*
 * Which part of the rows, and up to which key.  REQUIRES the lock of running.h, and to be in an epoch.  OK with
 * c->running NULL: none can be had now.
 */
static NvmkvStatus
pick_column(Compaction *c)
{
	const VersionImage *v = c->v;
	const Running *last;
	uint32_t first_row;
	bool doomed;
	bool is_alone = false;
	NvmkvStatus st;

	last = running_last_column(c->db, &doomed);
	if (doomed || (last != NULL && (last->takes_all || last->is_alone)))
		return NVMKV_OK;
	for (first_row = 0; first_row < v->nrows && v->rows[first_row].role != VERSION_COMPACTOR; first_row++)
		;
	c->rows = port_alloc((v->nrows - first_row + 1) * sizeof(NvmRowRef));
	if (c->rows == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	st = find_column(c, first_row, last);
	if (st == NVMKV_CORRUPTION)
	{
		/* Now that nobody else has a column, or later. */
		if (last != NULL)
			return NVMKV_OK;
		is_alone = true;
		st = cut_column_by_walking(c, end_of_rows(v, first_row, false));
	}
	NVMKV_RETURN_IF(st);
	if (c->nrows == 0)
		return NVMKV_OK;
	c->high = c->column.last ? end_of_rows(v, first_row, true) : nvmkv_buf_slice(&c->column.cut);
	forget_empty_rows(c);
	if (compaction_announce(c))
	{
		running_make_column(c->db, c->running, last, c->column.last, c->high);
		c->running->is_alone = is_alone;
	}
	return NVMKV_OK;
}

/* Tables of level 0 are merged all at once: their key range is the column. */
static void
pick_level0(Compaction *c)
{
	const VersionFile *files = version_files(c->v);
	uint32_t i;

	c->first_taken = c->v->level_start[0];
	c->end_taken = c->v->level_start[1];
	for (i = c->first_taken; i < c->end_taken; i++)
	{
		NvmkvSlice smallest = version_bytes(c->v, files[i].smallest);
		NvmkvSlice largest = version_bytes(c->v, files[i].largest);

		if (i == c->first_taken || slice_compare(smallest, c->low) < 0)
			c->low = smallest;
		if (i == c->first_taken || slice_compare(largest, c->high) > 0)
			c->high = largest;
	}
	(void) compaction_announce(c);
}

/*
 * Announces the next column, or all of level 0; c->running NULL: neither can be had now.
 *
 * With a container, level 0 holds what a life without one left.  It is older than the rows: no column may pass it.
 */
static NvmkvStatus
pick(Compaction *c, bool force)
{
	NvmkvDb *db = c->db;
	NvmkvStatus st;

	running_lock(db);
	/* In one epoch the rows of the copy stay, whoever drains them. */
	db_enter(db);
	st = db_copy_image_in_epoch(db, &c->v);
	if (st == NVMKV_OK)
	{
		c->output_level = 1;
		if (c->v->level_start[1] >=
			(force || c->v->nrows > 0 || db_container_bytes(db) > 0 ? 1 : LEVEL0_TABLES_TRIGGER))
			pick_level0(c);
		else if (has_compactor(c->v))
			st = pick_column(c);
	}
	db_leave(db);
	running_unlock(db);
	return st;
}

/* ---- installing it ---- */

/* The first extent of the row not given back yet, apart from extent 0. */
static uint32_t
kept_from(uint32_t first_extent_live)
{
	return first_extent_live > 1 ? first_extent_live : 1;
}

/* The rows' part of the edit. */
static void
advance_rows(const Compaction *c, uint64_t *row_drops, MetaRowAdvance *advances, VersionEdit *edit)
{
	uint32_t i;

	for (i = 0; i < c->nrows; i++)
	{
		const NvmRowRef *row = &c->rows[i];
		uint64_t end = c->column.end_index[i];

		if (end == row->entries)
			row_drops[edit->nrow_drops++] = row->row_id;
		else
		{
			MetaRowAdvance *a = &advances[edit->nrow_advances++];

			a->row_id = row->row_id;
			a->first_live = end;
			a->live_bytes = c->bytes_behind != NULL ? c->bytes_behind[i] : nvm_row_bytes_from(c->db->pool, row, end);
			a->first_extent_live = nvm_row_extents_below(c->db->pool, row, end);
		}
	}
	edit->row_drops = row_drops;
	edit->row_advances = advances;
}

static void
retire_extents(const Compaction *c, const VersionEdit *edit)
{
	uint32_t advance = 0;
	uint32_t i;

	for (i = 0; i < c->nrows; i++)
	{
		const NvmRowRef *row = &c->rows[i];
		uint32_t from = kept_from(row->first_extent_live);

		if (c->column.end_index[i] == row->entries)
		{
			retired_add_extents(c->db, row->extents, 1);
			if (row->extent_count > from)
				retired_add_extents(c->db, row->extents + from, row->extent_count - from);
		}
		else
		{
			uint32_t to = edit->row_advances[advance++].first_extent_live;

			if (to > from)
				retired_add_extents(c->db, row->extents + from, to - from);
		}
	}
}

/* Waits until the columns before this one are installed.  CANCELLED; BUSY: one of them failed. */
static NvmkvStatus
wait_for_turn(Compaction *c)
{
	RunningTurn turn;
	NvmkvStatus st = port_fault("column.before_turn");

	port_cond_prepare(&c->db->shm->progress);
	while (st == NVMKV_OK && (turn = running_turn(c->db, c->running)) != RUNNING_TURN_NOW)
	{
		if (turn == RUNNING_TURN_NEVER)
			st = NVMKV_FAIL(NVMKV_BUSY, "the column before this one failed");
		else
			st = port_cond_wait(&c->db->shm->progress, TURN_WAIT_MS);
	}
	port_cond_finish(&c->db->shm->progress);
	return st;
}

static NvmkvStatus
install_with(Compaction *c, uint64_t *row_drops, MetaRowAdvance *advances, MetaFileDrop *drops)
{
	VersionEdit edit = {0};

	advance_rows(c, row_drops, advances, &edit);
	NVMKV_RETURN_IF(compaction_fill_edit(c, drops, &edit));
	NVMKV_RETURN_IF(wait_for_turn(c));
	job_phase(c->job, DB_PHASE_INSTALLING);
	NVMKV_RETURN_IF(port_fault("column.before_install"));
	NVMKV_RETURN_IF(db_install(c->db, &edit));
	compaction_installed(c, &edit);
	retire_extents(c, &edit);
	port_count(&c->db->shm->counters.columns, 1);
	return NVMKV_OK;
}

static NvmkvStatus
install(Compaction *c)
{
	uint64_t *row_drops = port_alloc((c->nrows + 1) * sizeof(uint64_t));
	MetaRowAdvance *advances = port_alloc((c->nrows + 1) * sizeof(MetaRowAdvance));
	MetaFileDrop *drops = port_alloc((compaction_inputs(c) + 1) * sizeof(MetaFileDrop));
	NvmkvStatus st;

	if (row_drops == NULL || advances == NULL || drops == NULL)
		st = NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	else
		st = install_with(c, row_drops, advances, drops);
	port_free(row_drops);
	port_free(advances);
	port_free(drops);
	return st;
}

/* ---- steps ---- */

/* Makes a batch of the receiver if the gate is open.  OK with *started_out false: nothing to do. */
static NvmkvStatus
try_start_batch(NvmkvDb *db, bool force, bool *started_out)
{
	NvmkvStatus st;
	bool open;

	*started_out = false;
	db_enter(db);
	open = column_gate(db, versions_current(&db->versions), force) || quiet_gate(db, versions_current(&db->versions));
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

/* Is there neither a batch nor a level 0 to drain? */
static bool
is_idle(NvmkvDb *db)
{
	const VersionImage *v;
	bool idle;

	db_enter(db);
	v = versions_current(&db->versions);
	idle = !has_compactor(v) && v->level_start[1] == 0;
	db_leave(db);
	return idle;
}

NvmkvStatus
column_step(NvmkvDb *db, bool force, bool *did_out)
{
	Compaction *c;
	NvmkvStatus st;

	*did_out = false;
	if (is_idle(db))
	{
		bool started;

		NVMKV_RETURN_IF(try_start_batch(db, force, &started));
		if (!started)
			return NVMKV_OK;
	}
	NVMKV_RETURN_IF(compaction_create(db, &c));
	st = pick(c, force);
	if (st == NVMKV_OK && c->running != NULL)
	{
		compaction_begin(c, DB_JOB_COLUMN);
		st = port_fault("column.announced");
		if (st == NVMKV_OK)
			st = merge_write(c);
		if (st == NVMKV_OK)
			st = install(c);
		*did_out = st == NVMKV_OK;
	}
	return compaction_end(c, st);
}
