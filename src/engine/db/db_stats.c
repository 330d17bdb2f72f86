/*
 * db_stats.c
 *	  What the views show, and what the planner asks.
 */
#include <stdio.h>

#include "engine/db/family.h"
#include "engine/tree/shape.h"
#include "engine/tree/tree.h"
#include "engine/tree/write_control.h"
#include "engine/tree/write_rate.h"

/* Of all processes, since the beginning; of their last sequences the largest. */
static void
sum_slots(const NvmkvDb *db, DbSlotCounters *sum)
{
	unsigned i;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i <= db->options.process_slots; i++)
	{
		const DbSlotCounters *own = &db->slot_counters[i];

		sum->gets += port_load_relaxed(&own->gets);
		sum->get_hits += port_load_relaxed(&own->get_hits);
		sum->scans += port_load_relaxed(&own->scans);
		sum->filter_useful += port_load_relaxed(&own->filter_useful);
		sum->filter_passed += port_load_relaxed(&own->filter_passed);
		sum->data_reads += port_load_relaxed(&own->data_reads);
		sum->sources_skipped += port_load_relaxed(&own->sources_skipped);
		sum->writes += port_load_relaxed(&own->writes);
		sum->entries_written += port_load_relaxed(&own->entries_written);
		sum->user_bytes += port_load_relaxed(&own->user_bytes);
		sum->log_bytes += port_load_relaxed(&own->log_bytes);
		if (sum->last_sequence < port_load_relaxed(&own->last_sequence))
			sum->last_sequence = port_load_relaxed(&own->last_sequence);
	}
}

static void
tree_stats(NvmkvDb *db, NvmkvStats *out)
{
	const DbShm *shm = db->shm;
	const DbCounters *n = &shm->counters;
	DbSlotCounters base, sum;
	MemPoolStats mem;
	unsigned i;

	memset(out, 0, sizeof(*out));
	write_control_look(db, port_now_us());
	out->write_rate = port_load_relaxed(&shm->control.rate);
	mempool_stats(&db->mem, &mem);
	out->gate_open = port_load_relaxed(&shm->accepting) != 0;
	out->nvm_is_pmem = shm->nvm_is_pmem != 0;
	out->durable_seq = mempool_durable_seq(&db->mem);
	db_enter(db);
	out->version_number = versions_current(&db->versions)->number;
	out->damaged_ranges = versions_current(&db->versions)->ndamages;
	db_leave(db);
	if (db->pool != NULL)
	{
		out->extents_total = db->pool->usable;
		out->extents_free = nvm_pool_free_count(db->pool);
	}
	out->nvm_bytes = port_load_relaxed(&n->nvm_bytes);
	out->file_bytes = port_load_relaxed(&n->file_bytes);
	out->file_read_bytes = port_load_relaxed(&n->file_read_bytes);
	out->manifest_bytes = versions_manifest_bytes(&db->versions);
	/* The base first: a reset that comes in between makes the difference larger, not negative. */
	port_load_words(&base, &shm->slot_counters_base, sizeof(base));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	sum_slots(db, &sum);
	out->gets = sum.gets - base.gets;
	out->get_hits = sum.get_hits - base.get_hits;
	out->scans = sum.scans - base.scans;
	out->filter_useful = sum.filter_useful - base.filter_useful;
	out->filter_passed = sum.filter_passed - base.filter_passed;
	out->data_reads = sum.data_reads - base.data_reads;
	out->sources_skipped = sum.sources_skipped - base.sources_skipped;
	out->writes = sum.writes - base.writes;
	out->entries_written = sum.entries_written - base.entries_written;
	out->user_bytes = sum.user_bytes - base.user_bytes;
	out->log_bytes = sum.log_bytes - base.log_bytes;
	out->last_sequence = sum.last_sequence;
	out->flushes = port_load_relaxed(&n->flushes);
	out->columns = port_load_relaxed(&n->columns);
	out->batches = port_load_relaxed(&n->batches);
	out->files_written = port_load_relaxed(&n->files_written);
	out->files_deleted = port_load_relaxed(&n->files_deleted);
	out->switches = mem.switches;
	out->entries_frozen = port_load_relaxed(&n->entries_frozen);
	out->entries_dropped_aborted = port_load_relaxed(&n->entries_dropped_aborted);
	out->entries_dropped_obsolete = port_load_relaxed(&n->entries_dropped_obsolete);
	for (i = 0; i < NVMKV_STALL_CAUSES; i++)
	{
		out->stalls[i] = port_load_relaxed(&n->stalls[i]);
		out->stall_us[i] = port_load_relaxed(&n->stall_us[i]);
		out->delays[i] = port_load_relaxed(&n->delays[i]);
		out->delay_us[i] = port_load_relaxed(&n->delay_us[i]);
	}
	out->damages_passed = port_load_relaxed(&n->damages);
	out->errors = port_load_relaxed(&n->errors);
	out->last_error_status = (NvmkvStatus) port_load_relaxed(&shm->last_error_status);
	out->last_error_clock_us = port_load_relaxed(&shm->last_error_clock_us);
	(void) snprintf(out->last_error, sizeof(out->last_error), "%.*s", (int) sizeof(shm->last_error) - 1, shm->last_error);
	out->sticky = db_is_sticky(db);
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Is every container there is persistent memory? */
static bool
both_are_pmem(const NvmkvStats *a, const NvmkvStats *b)
{
	return (a->nvm_is_pmem || b->nvm_is_pmem) && (a->nvm_is_pmem || a->extents_total == 0) &&
		(b->nvm_is_pmem || b->extents_total == 0);
}

static void
add_state(NvmkvStats *sum, const NvmkvStats *tree)
{
	sum->gate_open = sum->gate_open && tree->gate_open;
	sum->sticky = sum->sticky || tree->sticky;
	sum->nvm_is_pmem = both_are_pmem(sum, tree);
	sum->extents_total += tree->extents_total;
	sum->extents_free += tree->extents_free;
	if (sum->last_sequence < tree->last_sequence)
		sum->last_sequence = tree->last_sequence;
	sum->durable_seq = least(sum->durable_seq, tree->durable_seq);
	sum->version_number += tree->version_number;
	if (tree->write_rate != 0)
		sum->write_rate = sum->write_rate == 0 ? tree->write_rate : least(sum->write_rate, tree->write_rate);
	if (tree->last_error_clock_us > sum->last_error_clock_us)
	{
		sum->last_error_status = tree->last_error_status;
		sum->last_error_clock_us = tree->last_error_clock_us;
		memcpy(sum->last_error, tree->last_error, sizeof(sum->last_error));
	}
}

static void
add_counts(NvmkvStats *sum, const NvmkvStats *tree)
{
	unsigned i;

	sum->user_bytes += tree->user_bytes;
	sum->log_bytes += tree->log_bytes;
	sum->nvm_bytes += tree->nvm_bytes;
	sum->file_bytes += tree->file_bytes;
	sum->file_read_bytes += tree->file_read_bytes;
	sum->manifest_bytes += tree->manifest_bytes;
	sum->writes += tree->writes;
	sum->entries_written += tree->entries_written;
	sum->gets += tree->gets;
	sum->get_hits += tree->get_hits;
	sum->scans += tree->scans;
	sum->filter_useful += tree->filter_useful;
	sum->filter_passed += tree->filter_passed;
	sum->data_reads += tree->data_reads;
	sum->sources_skipped += tree->sources_skipped;
	sum->flushes += tree->flushes;
	sum->columns += tree->columns;
	sum->batches += tree->batches;
	sum->files_written += tree->files_written;
	sum->files_deleted += tree->files_deleted;
	sum->switches += tree->switches;
	sum->entries_frozen += tree->entries_frozen;
	sum->entries_dropped_aborted += tree->entries_dropped_aborted;
	sum->entries_dropped_obsolete += tree->entries_dropped_obsolete;
	for (i = 0; i < NVMKV_STALL_CAUSES; i++)
	{
		sum->stalls[i] += tree->stalls[i];
		sum->stall_us[i] += tree->stall_us[i];
		sum->delays[i] += tree->delays[i];
		sum->delay_us[i] += tree->delay_us[i];
	}
	sum->damaged_ranges += tree->damaged_ranges;
	sum->damages_passed += tree->damages_passed;
	sum->errors += tree->errors;
}

void
nvmkv_stats(NvmkvDb *db, NvmkvStats *out)
{
	unsigned cursor = 0;
	NvmkvDb *tree;

	tree_stats(db, out);
	while (family_next(db, &cursor, &tree) == NVMKV_OK && tree != NULL)
	{
		NvmkvStats own;

		if (tree == db)
			continue;
		tree_stats(tree, &own);
		add_state(out, &own);
		add_counts(out, &own);
	}
}

static NvmkvStatus
reset_tree(NvmkvDb *db)
{
	static const DbCounters zeros;
	DbSlotCounters sum;

	/* Counting goes on meanwhile; a count that falls in between may survive. */
	port_store_words(&db->shm->counters, &zeros, sizeof(zeros));
	sum_slots(db, &sum);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	port_store_words(&db->shm->slot_counters_base, &sum, sizeof(sum));
	sst_cache_reset_stats(&db->blocks);
	port_store_relaxed(&db->shm->last_error[0], '\0');
	port_store_relaxed(&db->shm->last_error_status, NVMKV_OK);
	port_store_relaxed(&db->shm->last_error_clock_us, 0);
	return NVMKV_OK;
}

void
nvmkv_reset_stats(NvmkvDb *db)
{
	(void) family_each(db, reset_tree); /* it does not fail; families out of reach keep their counts */
}

void
nvmkv_cache_stats(NvmkvDb *db, NvmkvCacheStats *out)
{
	SstCacheStats blocks;

	sst_cache_stats(&db->blocks, &blocks);
	out->capacity = blocks.capacity;
	out->bytes = blocks.bytes;
	out->blocks = blocks.blocks;
	out->hits = blocks.hits;
	out->misses = blocks.misses;
	out->inserts = blocks.inserts;
	out->evictions = blocks.evictions;
	out->refused = blocks.refused;
}

unsigned
nvmkv_memtable_stats(NvmkvDb *db, NvmkvMemtableStats *out, unsigned max)
{
	MemPoolStats pool;
	unsigned i;

	mempool_stats(&db->mem, &pool);
	for (i = 0; i < pool.buffers && i < max; i++)
	{
		MemBufferStats buffer;

		mempool_buffer_stats(&db->mem, i, &buffer);
		out[i].buffer = i;
		out[i].state = mempool_state_name(buffer.state);
		out[i].bytes = buffer.bytes;
		out[i].capacity = buffer.capacity;
		out[i].entries = buffer.entries;
		out[i].first_sequence = buffer.first_sequence;
		out[i].last_sequence = buffer.last_sequence;
	}
	return i;
}

unsigned
nvmkv_row_stats(NvmkvDb *db, NvmkvRowStats *out, unsigned max)
{
	const VersionImage *v;
	unsigned i;

	db_enter(db);
	v = versions_current(&db->versions);
	for (i = 0; i < v->nrows && i < max; i++)
	{
		const VersionRow *row = &v->rows[i];
		uint32_t given = row->first_extent_live > 1 ? row->first_extent_live - 1 : 0;

		out[i].row_id = row->row_id;
		out[i].role = row->role == VERSION_COMPACTOR ? "compactor" : "receiver";
		out[i].entries = row->entries;
		out[i].live_entries = row->entries - row->first_live;
		out[i].bytes = row->data_bytes;
		out[i].live_bytes = row->live_bytes;
		out[i].extents = row->extent_count - given;
		out[i].has_hints = row->older_row_id != 0;
	}
	db_leave(db);
	return i;
}

unsigned
nvmkv_level_stats(NvmkvDb *db, NvmkvLevelStats *out, unsigned max)
{
	const DbCounters *n = &db->shm->counters;
	const VersionImage *v;
	unsigned level;

	db_enter(db);
	v = versions_current(&db->versions);
	for (level = 0; level < VERSION_LEVELS && level < max; level++)
	{
		NvmkvLevelStats *l = &out[level];
		uint64_t taken = port_load_relaxed(&n->level_bytes_taken[level]);

		memset(l, 0, sizeof(*l));
		l->level = level;
		l->files = v->level_start[level + 1] - v->level_start[level];
		l->bytes = v->level_bytes[level];
		l->value_bytes = v->level_value_bytes[level];
		l->target_bytes = level_target(db, level);
		l->score = level_score(db, v, level);
		l->bytes_read = port_load_relaxed(&n->level_bytes_read[level]);
		l->bytes_written = port_load_relaxed(&n->level_bytes_written[level]);
		l->write_amplification = taken > 0 ? (double) l->bytes_written / (double) taken : 0.0;
	}
	db_leave(db);
	return level;
}

unsigned
nvmkv_value_stats(NvmkvDb *db, NvmkvValueStats *out, unsigned max)
{
	const VersionImage *v;

	if (max == 0)
		return 0;
	db_enter(db);
	v = versions_current(&db->versions);
	out->files = v->nfiles - version_ntables(v);
	out->bytes = v->level_bytes[VERSION_VALUES];
	out->bytes_in_use = v->level_value_bytes[VERSION_VALUES];
	db_leave(db);
	return 1;
}

/* ---- estimates ---- */

/*
 * What cannot be read counts whole: an estimate is no place to complain, and the reader whom it is for may want
 * something else.
 */
static bool
is_unreadable(NvmkvStatus status)
{
	return status == NVMKV_CORRUPTION || status == NVMKV_VERSION || status == NVMKV_IO;
}

/* The row's entries [*from_out, *to_out) are between the keys. */
static NvmkvStatus
row_share(NvmkvDb *db, const NvmRowRef *row, NvmkvSlice lower, NvmkvSlice upper, uint64_t *from_out, uint64_t *to_out)
{
	*from_out = row->first_live;
	*to_out = row->entries;
	NVMKV_RETURN_IF(
		nvm_row_lower_bound(db->pool, row, lower, NVMKV_TAG_MAX, row->first_live, row->entries, from_out));
	if (upper.size > 0)
		NVMKV_RETURN_IF(
			nvm_row_lower_bound(db->pool, row, upper, NVMKV_TAG_MAX, row->first_live, row->entries, to_out));
	return NVMKV_OK;
}

static NvmkvStatus
estimate_row(NvmkvDb *db, const VersionImage *v, const VersionRow *row, NvmkvSlice lower, NvmkvSlice upper,
			 NvmkvEstimate *e)
{
	NvmRowRef ref;
	uint64_t from, to;
	NvmkvStatus st;

	if ((upper.size > 0 && slice_compare(version_bytes(v, row->smallest), upper) >= 0) ||
		slice_compare(version_bytes(v, row->largest), lower) < 0)
		return NVMKV_OK;
	ref = version_row_ref(v, row);
	st = row_share(db, &ref, lower, upper, &from, &to);
	if (is_unreadable(st))
	{
		e->entries += (double) (ref.entries - ref.first_live);
		e->bytes += (double) row->live_bytes;
		e->sources += 1.0;
		return NVMKV_OK;
	}
	NVMKV_RETURN_IF(st);
	if (to <= from)
		return NVMKV_OK;
	e->entries += (double) (to - from);
	e->bytes += (double) nvm_row_bytes_between(db->pool, &ref, from, to);
	e->sources += 1.0;
	return NVMKV_OK;
}

/* Share of a table between two keys, by the offsets of its index. */
static NvmkvStatus
estimate_file(NvmkvDb *db, const VersionImage *v, const VersionFile *file, NvmkvSlice lower, NvmkvSlice upper,
			  NvmkvEstimate *e)
{
	uint64_t from = 0;
	uint64_t to = file->bytes;
	double share;

	if (slice_compare(version_bytes(v, file->smallest), lower) < 0 ||
		(upper.size > 0 && slice_compare(version_bytes(v, file->largest), upper) >= 0))
	{
		SstTable *table;
		NvmkvStatus st = table_cache_get(db->tables, file->number, file->bytes, &table);

		if (st == NVMKV_OK)
			st = sst_table_offset_of(table, lower, &from);
		if (st == NVMKV_OK && upper.size > 0)
			st = sst_table_offset_of(table, upper, &to);
		if (is_unreadable(st))
		{
			from = 0;
			to = file->bytes;
		}
		else
			NVMKV_RETURN_IF(st);
	}
	if (to < from)
		to = from;
	share = file->bytes > 0 ? (double) (to - from) / (double) file->bytes : 0.0;
	e->entries += share * (double) file->entries;
	e->bytes += (double) (to - from) + share * (double) file->value_bytes;
	return NVMKV_OK;
}

static NvmkvStatus
estimate_files(NvmkvDb *db, const VersionImage *v, NvmkvSlice lower, NvmkvSlice upper, NvmkvEstimate *e)
{
	const VersionFile *files = version_files(v);
	unsigned level;
	uint32_t i;

	for (level = 0; level < VERSION_LEVELS; level++)
	{
		bool any = false;

		i = level == 0 ? v->level_start[0] : version_find_file(v, level, lower);
		for (; i < v->level_start[level + 1]; i++)
		{
			if (upper.size > 0 && slice_compare(version_bytes(v, files[i].smallest), upper) >= 0)
			{
				if (level == 0)
					continue;
				break;
			}
			if (slice_compare(version_bytes(v, files[i].largest), lower) < 0)
				continue;
			NVMKV_RETURN_IF(estimate_file(db, v, &files[i], lower, upper, e));
			any = true;
		}
		if (any)
			e->sources += 1.0;
	}
	return NVMKV_OK;
}

static NvmkvStatus
estimate_sources(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, NvmkvEstimate *e)
{
	const VersionImage *v;
	MemList list;
	unsigned i;

	mempool_list(&db->mem, &list);
	v = versions_current(&db->versions);
	for (i = 0; i < list.count; i++)
	{
		uint64_t all = memtable_entries(list.memtable[i]);
		uint64_t in_range = memtable_range_estimate(list.memtable[i], lower, upper);

		if (all == 0 || in_range == 0)
			continue;
		if (in_range > all)
			in_range = all;
		e->entries += (double) in_range;
		e->bytes += (double) memtable_bytes_used(list.memtable[i]) * (double) in_range / (double) all;
		e->sources += 1.0;
	}
	for (i = 0; i < v->nrows; i++)
		NVMKV_RETURN_IF(estimate_row(db, v, &v->rows[i], lower, upper, e));
	return estimate_files(db, v, lower, upper, e);
}

NvmkvStatus
nvmkv_estimate(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, NvmkvEstimate *estimate_out)
{
	NvmkvStatus st;

	memset(estimate_out, 0, sizeof(*estimate_out));
	db_enter(db);
	st = estimate_sources(db, lower, upper, estimate_out);
	db_leave(db);
	return st;
}
