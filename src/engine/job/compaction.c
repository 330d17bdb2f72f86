/*
 * compaction.c
 *	  The common course of compactions (see compaction.h).
 */
#include "engine/job/compaction.h"

#include "engine/base/assert.h"
#include "engine/job/value.h"
#include "engine/read/dropped.h"
#include "engine/tree/claim.h"
#include "engine/tree/failure.h"
#include "engine/tree/jobs.h"
#include "engine/tree/retire.h"
#include "engine/tree/running.h"
#include "engine/tree/shape.h"

#define STORAGE_BYTES 8

NvmkvStatus
compaction_create(NvmkvDb *db, Compaction **c_out)
{
	Compaction *c = port_alloc_zero(sizeof(Compaction));

	NVMKV_ASSERT(db->compaction == NULL);
	if (c == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a compaction");
	c->db = db;
	c->output.db = db;
	db->compaction = c;
	*c_out = c;
	return NVMKV_OK;
}

static void
widen(const VersionImage *v, uint32_t first, uint32_t end, NvmkvSlice *low, NvmkvSlice *high)
{
	const VersionFile *files = version_files(v);
	uint32_t i;

	for (i = first; i < end; i++)
	{
		NvmkvSlice smallest = version_bytes(v, files[i].smallest);
		NvmkvSlice largest = version_bytes(v, files[i].largest);

		if (slice_compare(smallest, *low) < 0)
			*low = smallest;
		if (slice_compare(largest, *high) > 0)
			*high = largest;
	}
}

/* Of the tables, as version_level_size has it. */
static uint64_t
taken_size(const Compaction *c)
{
	const VersionFile *files = version_files(c->v);
	uint64_t bytes = 0;
	uint32_t i;

	for (i = c->first_taken; i < c->end_taken; i++)
		bytes += files[i].bytes + files[i].value_bytes;
	return bytes;
}

bool
compaction_announce(Compaction *c)
{
	NvmkvSlice low = c->low;
	NvmkvSlice high = c->high;

	if (c->output_level != c->level)
		shape_overlapping(c->v, c->output_level, low, high, &c->first_merged, &c->end_merged);
	widen(c->v, c->first_taken, c->end_taken, &low, &high);
	widen(c->v, c->first_merged, c->end_merged, &low, &high);
	if (running_conflicts(c->db, c->level, c->output_level, low, high))
		return false;
	c->running = running_add(c->db, c->level, c->output_level, low, high);
	if (c->running == NULL)
		return false;
	c->running->taken_bytes = taken_size(c);
	return true;
}

uint64_t
compaction_taken_bytes(const Compaction *c)
{
	return c->column.bytes + shape_files_bytes(c->v, c->first_taken, c->end_taken);
}

uint64_t
compaction_merged_bytes(const Compaction *c)
{
	return shape_files_bytes(c->v, c->first_merged, c->end_merged);
}

/* ---- entries that say that a storage is dropped ---- */

/* Is there an entry of the storage in this table? */
static NvmkvStatus
table_has(NvmkvDb *db, const VersionFile *file, NvmkvSlice storage, bool *has_out)
{
	SstTable *table;
	SstIter *it;
	NvmkvStatus st;

	NVMKV_RETURN_IF(table_cache_get(db->tables, file->number, file->bytes, &table));
	it = port_alloc(sizeof(SstIter));
	if (it == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	sst_iter_init(it, table, SST_ITER_BULK);
	it->base.ops->seek(&it->base, storage, NVMKV_TAG_MAX);
	st = it->base.status;
	*has_out = st == NVMKV_OK && it->base.valid && it->base.key.size >= STORAGE_BYTES &&
		memcmp(it->base.key.data, storage.data, STORAGE_BYTES) == 0;
	it->base.ops->destroy(&it->base);
	port_free(it);
	return st;
}

static bool
is_input(const Compaction *c, uint64_t number)
{
	const VersionFile *files = version_files(c->v);
	uint32_t i;

	for (i = c->first_taken; i < c->end_taken; i++)
		if (files[i].number == number)
			return true;
	for (i = c->first_merged; i < c->end_merged; i++)
		if (files[i].number == number)
			return true;
	return false;
}

/* Entries of the row that this compaction takes; 0 when it takes none. */
static uint64_t
taken_of_row(const Compaction *c, uint64_t row_id)
{
	uint32_t i;

	for (i = 0; i < c->nrows; i++)
		if (c->rows[i].row_id == row_id)
			return c->column.end_index[i];
	return 0;
}

static NvmkvStatus
row_has(const Compaction *c, const VersionImage *v, const VersionRow *row, NvmkvSlice storage, bool *has_out)
{
	NvmRowRef ref = version_row_ref(v, row);
	uint64_t taken = taken_of_row(c, row->row_id);
	NvmkvBuf scratch = {0};
	uint64_t index;
	NvmkvStatus st;

	*has_out = false;
	if (taken > ref.first_live)
		ref.first_live = taken;
	st = nvm_row_lower_bound(c->db->pool, &ref, storage, NVMKV_TAG_MAX, ref.first_live, ref.entries, &index);
	if (st == NVMKV_OK && index < ref.entries)
	{
		NvmkvSlice key, payload;
		uint64_t tag;

		st = nvm_row_entry(c->db->pool, &ref, index, &scratch, &key, &tag, &payload);
		*has_out = st == NVMKV_OK && key.size >= STORAGE_BYTES && memcmp(key.data, storage.data, STORAGE_BYTES) == 0;
	}
	nvmkv_buf_free(&scratch);
	return st;
}

/*
 * GcFilter's question: does anything of the storage exist beside this compaction's inputs?  Looked for in one version,
 * the current one: what other compactions carry is in it where they took it from, or where they put it.  Memtables need
 * no look: nobody has written to the storage since it was dropped, and the entry that says so was written last.
 */
static NvmkvStatus
is_elsewhere(void *ctx, NvmkvSlice storage, bool *elsewhere_out)
{
	NvmkvDb *db = ctx;
	uint8_t end[STORAGE_BYTES];
	DamageRange range = damage_storage_range(storage, end);
	const VersionImage *v;
	const VersionFile *files;
	bool found = false;
	bool damaged;
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	db_enter(db);
	v = versions_current(&db->versions);
	damaged = damage_is_in(v, &range);
	files = version_files(v);
	for (i = 0; st == NVMKV_OK && !found && i < v->nrows; i++)
		st = row_has(db->compaction, v, &v->rows[i], storage, &found);
	for (i = 0; st == NVMKV_OK && !found && i < version_ntables(v); i++)
	{
		NvmkvSlice smallest = version_bytes(v, files[i].smallest);
		NvmkvSlice largest = version_bytes(v, files[i].largest);

		if (slice_compare(largest, storage) >= 0 &&
			memcmp(smallest.data, storage.data, smallest.size < STORAGE_BYTES ? smallest.size : STORAGE_BYTES) <= 0 &&
			!is_input(db->compaction, files[i].number))
			st = table_has(db, &files[i], storage, &found);
	}
	db_leave(db);
	/* What cannot be read may hold some. */
	*elsewhere_out = found || st != NVMKV_OK;
	/* With the last of the storage, what it has lost. */
	if (!*elsewhere_out && damaged)
		NVMKV_RETURN_IF(compaction_clear_damage(db->compaction, &range));
	return st == NVMKV_CORRUPTION || st == NVMKV_VERSION || st == NVMKV_IO ? NVMKV_OK : st;
}

NvmkvStatus
compaction_clear_damage(Compaction *c, const DamageRange *range)
{
	size_t bytes = range->lower.size + range->upper.size;
	MetaDamageClear *clears = port_realloc(c->clears, (c->nclears + 1) * sizeof(MetaDamageClear));
	uint8_t *keys;

	if (clears == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	c->clears = clears;
	keys = port_alloc(bytes + 1);
	if (keys == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	if (range->lower.size > 0)
		memcpy(keys, range->lower.data, range->lower.size);
	if (range->upper.size > 0)
		memcpy(keys + range->lower.size, range->upper.data, range->upper.size);
	clears[c->nclears].lower = nvmkv_slice(keys, range->lower.size);
	clears[c->nclears++].upper = nvmkv_slice(keys + range->lower.size, range->upper.size);
	return NVMKV_OK;
}

static void
free_clears(Compaction *c)
{
	uint32_t i;

	for (i = 0; i < c->nclears; i++)
		port_free((void *) (uintptr_t) c->clears[i].lower.data);
	port_free(c->clears);
}

/* GcFilter's question: is it this deletion that tells that the key is not there, rather than damaged? */
static bool
is_needed(void *ctx, NvmkvSlice key, uint64_t sequence)
{
	return damage_is_below(&((NvmkvDb *) ctx)->compaction->damage, key, sequence);
}

/* ---- the course ---- */

/* Is the output level the last one with anything, and not about to give tables to the next? */
static bool
output_is_last(const Compaction *c)
{
	return c->v->level_start[c->output_level + 1] == c->v->level_start[VERSION_LEVELS] &&
		level_score(c->db, c->v, c->output_level) < 1.0;
}

void
compaction_begin(Compaction *c, DbJobKind kind)
{
	NvmkvDb *db = c->db;
	const VersionFile *files = version_files(c->v);
	uint64_t keys = 0;
	uint32_t i;

	c->job = job_begin(db, kind);
	for (i = 0; i < c->nrows; i++)
		keys += c->column.end_index[i] - c->rows[i].first_live;
	for (i = c->first_taken; i < c->end_taken; i++)
		keys += files[i].entries;
	for (i = c->first_merged; i < c->end_merged; i++)
		keys += files[i].entries;
	job_totals(c->job, keys, compaction_taken_bytes(c) + compaction_merged_bytes(c), c->nrows, compaction_inputs(c));
	job_levels(c->job, c->level, c->output_level);
	job_takes(c->job, c->column.bytes + taken_size(c));
	job_range(c->job, c->low, c->high);
	table_output_init(&c->output, db, c->output_level, output_is_last(c));
	c->output.inputs = c->v;
	gc_init(&c->gc, db->has_txn ? &db->txn : NULL,
			shape_is_bottom(c->v, c->output_level, db_key_slice(&c->running->low), db_key_slice(&c->running->high)),
			db_storage_dropped, db);
	c->gc.elsewhere = is_elsewhere;
	c->gc.needed = is_needed;
	damage_list_init(&c->damage, db, c->v);
	job_phase(c->job, DB_PHASE_MERGING);
}

void
compaction_close_inputs(Compaction *c)
{
	unsigned i;

	if (c->is_merging)
		merge_iter_free(&c->merge);
	c->is_merging = false;
	for (i = 0; i < c->nchildren; i++)
		c->children[i]->ops->destroy(c->children[i]);
	c->nchildren = 0;
	port_free(c->row_iters);
	port_free(c->file_iters);
	port_free(c->children);
	c->row_iters = NULL;
	c->file_iters = NULL;
	c->children = NULL;
}

uint32_t
compaction_inputs(const Compaction *c)
{
	return c->end_taken - c->first_taken + c->end_merged - c->first_merged;
}

/* What the inputs refer to and the outputs do not. */
static NvmkvStatus
release_values(Compaction *c, VersionEdit *edit)
{
	const VersionFile *files = version_files(c->v);
	uint64_t lost = 0;
	uint32_t i;

	for (i = c->first_taken; i < c->end_taken; i++)
		NVMKV_RETURN_IF(value_refs_or_lost(c->db, &files[i], &c->released, &lost));
	for (i = c->first_merged; i < c->end_merged; i++)
		NVMKV_RETURN_IF(value_refs_or_lost(c->db, &files[i], &c->released, &lost));
	if (lost > 0)
		NVMKV_RETURN_IF(value_refs_lost(c->db, lost, &c->released, &c->holds_lost_refs));
	NVMKV_RETURN_IF(value_release(&c->released, &c->output.refs, c->output.files, c->output.nfiles));
	edit->value_releases = c->released.shares;
	edit->nvalue_releases = c->released.count;
	return NVMKV_OK;
}

NvmkvStatus
compaction_fill_edit(Compaction *c, MetaFileDrop *drops, VersionEdit *edit)
{
	const VersionFile *files = version_files(c->v);
	uint32_t i;

	NVMKV_RETURN_IF(release_values(c, edit));
	for (i = c->first_taken; i < c->end_taken; i++)
	{
		drops[edit->nfile_drops].level = c->level;
		drops[edit->nfile_drops++].number = files[i].number;
	}
	for (i = c->first_merged; i < c->end_merged; i++)
	{
		drops[edit->nfile_drops].level = c->output_level;
		drops[edit->nfile_drops++].number = files[i].number;
	}
	edit->damage_clears = c->clears;
	edit->ndamage_clears = c->nclears;
	edit->damages = c->damage.damages;
	edit->ndamages = c->damage.count;
	edit->file_drops = drops;
	edit->file_adds = c->output.files;
	edit->nfile_adds = c->output.nfiles;
	edit->has_next_file = true;
	edit->next_file = port_load_seq(&c->db->root->shm->next_file);
	return NVMKV_OK;
}

void
compaction_installed(Compaction *c, const VersionEdit *edit)
{
	DbCounters *n = &c->db->shm->counters;
	uint64_t taken_files = shape_files_bytes(c->v, c->first_taken, c->end_taken);
	unsigned level = c->output_level;
	uint32_t i;

	running_end(c->db, c->running, true);
	c->running = NULL;
	for (i = 0; i < edit->nfile_drops; i++)
		retired_add_file(c->db, edit->file_drops[i].number);
	port_count(&n->file_read_bytes, taken_files + compaction_merged_bytes(c));
	port_count(&n->level_bytes_taken[level], compaction_taken_bytes(c));
	port_count(&n->level_bytes_read[level], compaction_merged_bytes(c) + (c->level > 0 ? taken_files : 0));
	port_count(&n->level_bytes_written[level], c->output.bytes);
	gc_count(c->db, &c->gc);
	damage_list_installed(&c->damage);
	if (c->nclears > 0)
		damage_release_files(c->db, c->v);
	port_store_relaxed(&c->db->shm->no_space, 0);
}

/* Lets go of everything. */
static void
free_all(Compaction *c, bool installed)
{
	NvmkvDb *db = c->db;

	compaction_close_inputs(c);
	if (c->job != NULL)
		job_end(c->job, installed, c->output.nfiles);
	/* After a failed sync the manifest may name the tables or not. */
	table_output_free(&c->output, installed || db_is_sticky(db));
	gc_free(&c->gc);
	if (c->running != NULL)
		running_end(db, c->running, false);
	nvm_column_free(&c->column);
	port_free(c->bytes_behind);
	nvmkv_buf_free(&c->low_key);
	nvmkv_buf_free(&c->forgotten);
	value_refs_free(&c->released);
	damage_list_free(&c->damage);
	free_clears(c);
	if (c->holds_lost_refs)
		db_unclaim(db, DB_CLAIM_LOST_REFS);
	port_free(c->rows);
	port_free(c->drops);
	port_free(c->row_drops);
	port_free(c->v);
	db->compaction = NULL;
	port_free(c);
}

NvmkvStatus
compaction_end(Compaction *c, NvmkvStatus status)
{
	NvmkvDb *db = c->db;

	if (status != NVMKV_OK)
		(void) db_note_failure(db, status);
	free_all(c, status == NVMKV_OK);
	return status;
}

void
compaction_abandon(NvmkvDb *db)
{
	if (db->compaction != NULL)
		free_all(db->compaction, false);
}
