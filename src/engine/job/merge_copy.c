/*
 * merge_copy.c
 *	  What column and level compaction share.
 */
#include "engine/job/merge_copy.h"

#include "engine/job/gc.h"
#include "engine/job/table_output.h"
#include "engine/sst/value_read.h"
#include "engine/tree/damage.h"
#include "engine/tree/install.h"
#include "engine/tree/jobs.h"
#include "engine/tree/running.h"
#include "engine/tree/tree.h"

/* Entries and bytes between two looks at progress and interruption. */
#define MERGE_STRIDE 4096
#define MERGE_STRIDE_BYTES UINT64_C(262144)

#define STORAGE_BYTES 8

/* Beyond the storage of the current entry.  Nothing there: *has_next_out false. */
static NvmkvStatus
skip_storage(NvmkvIter *m, bool *has_next_out)
{
	uint8_t next[STORAGE_BYTES];
	unsigned i = STORAGE_BYTES;

	memcpy(next, m->key.data, STORAGE_BYTES);
	while (i > 0 && next[i - 1] == UINT8_MAX)
		i--;
	*has_next_out = i > 0;
	if (i > 0)
	{
		next[i - 1]++;
		m->ops->seek(m, nvmkv_slice(next, i), NVMKV_TAG_MAX);
	}
	return m->status;
}

/* A look around now and then. */
static NvmkvStatus
look(const Compaction *c, uint64_t keys, uint64_t bytes)
{
	job_progress(c->job, keys, bytes);
	if (port_interrupted())
		return NVMKV_FAIL(NVMKV_CANCELLED, "compaction interrupted");
	if (running_turn(c->db, c->running) == RUNNING_TURN_NEVER)
		return NVMKV_FAIL(NVMKV_BUSY, "the column before this one failed");
	return NVMKV_OK;
}

/*
 * Is the entry's value lost, and that accepted?  With it go the key's older versions, which it hid.  Not where there
 * may be more of those below.
 */
static NvmkvStatus
is_forgotten(Compaction *c, NvmkvSlice key, uint64_t tag, NvmkvSlice payload, NvmkvBuf *forgotten, bool *is_out)
{
	const DamageRange *range = c->db->root->forgetting;
	NvmkvTxnTag txn;
	NvmkvSlice reference;
	ValueBlock value;

	*is_out = false;
	if (!c->gc.bottom || slice_compare(key, range->lower) < 0 ||
		(range->upper.size > 0 && slice_compare(key, range->upper) >= 0))
		return NVMKV_OK;
	*is_out = forgotten->size > 0 && slice_equal(nvmkv_buf_slice(forgotten), key);
	if (*is_out || !ikey_is_apart(tag))
		return NVMKV_OK;
	NVMKV_RETURN_IF(ikey_split_payload(tag, payload, &txn, &reference));
	NVMKV_RETURN_IF(value_open_or_lost(c->db->tables, key, tag, reference, &value, is_out));
	if (!*is_out)
		value_close(&value);
	return *is_out ? nvmkv_buf_set(forgotten, key) : NVMKV_OK;
}

static NvmkvStatus
merge_copy(Compaction *c)
{
	NvmkvIter *m = &c->merge.base;
	uint64_t keys = 0;
	uint64_t bytes = 0;
	uint64_t look_at = MERGE_STRIDE_BYTES;
	bool has_next = true;

	m->ops->seek_first(m);
	while (has_next && m->valid)
	{
		uint64_t tag = m->tag;
		NvmkvSlice payload = m->payload;
		bool keep;

		NVMKV_RETURN_IF(gc_next(&c->gc, m->key, &tag, &payload, &keep));
		if (keep && __builtin_expect(c->db->root->forgetting != NULL, 0))
		{
			bool is_lost;

			NVMKV_RETURN_IF(is_forgotten(c, m->key, tag, payload, &c->forgotten, &is_lost));
			keep = !is_lost;
		}
		if (keep)
			NVMKV_RETURN_IF(table_output_add(&c->output, m->key, tag, payload));
		bytes += m->key.size + m->payload.size;
		if (++keys % MERGE_STRIDE == 0 || bytes >= look_at)
		{
			look_at = bytes + MERGE_STRIDE_BYTES;
			NVMKV_RETURN_IF(look(c, keys, bytes));
		}
		if (!keep && c->gc.storage_dropped && m->key.size > STORAGE_BYTES)
			NVMKV_RETURN_IF(skip_storage(m, &has_next));
		else
			m->ops->next(m);
	}
	job_progress(c->job, keys, bytes);
	return m->status;
}

static NvmkvStatus
open_inputs(Compaction *c)
{
	/* Tables of level 0 overlap; those of other levels are one sequence. */
	uint32_t ntaken = c->level == 0 ? c->end_taken - c->first_taken : c->first_taken < c->end_taken;
	unsigned n = 0;
	uint32_t i;

	c->row_iters = port_alloc((c->nrows + 1) * sizeof(NvmRowIter));
	c->file_iters = port_alloc((ntaken + 1) * sizeof(LevelIter));
	c->children = port_alloc((c->nrows + ntaken + 1) * sizeof(NvmkvIter *));
	if (c->row_iters == NULL || c->file_iters == NULL || c->children == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a compaction of %u rows", c->nrows);
	for (i = 0; i < c->nrows; i++)
	{
		nvm_row_iter_init(&c->row_iters[i], c->db->pool, &c->rows[i], c->column.end_index[i]);
		c->row_iters[i].sink = &c->damage.sink;
		c->children[n++] = &c->row_iters[i].base;
	}
	for (i = 0; i < ntaken; i++)
	{
		uint32_t first = c->first_taken + i;

		level_iter_init(&c->file_iters[i], c->db->tables, c->v, first, c->level == 0 ? first + 1 : c->end_taken,
						SST_ITER_BULK);
		c->file_iters[i].sink = &c->damage.sink;
		c->children[n++] = &c->file_iters[i].base;
	}
	level_iter_init(&c->file_iters[ntaken], c->db->tables, c->v, c->first_merged, c->end_merged, SST_ITER_BULK);
	c->file_iters[ntaken].sink = &c->damage.sink;
	c->children[n++] = &c->file_iters[ntaken].base;
	c->nchildren = n;
	NVMKV_RETURN_IF(merge_iter_init(&c->merge, c->children, n));
	c->is_merging = true;
	return NVMKV_OK;
}

NvmkvStatus
merge_write(Compaction *c)
{
	NvmkvStatus st = open_inputs(c);

	if (st == NVMKV_OK)
		st = merge_copy(c);
	compaction_close_inputs(c);
	NVMKV_RETURN_IF(st);
	job_phase(c->job, DB_PHASE_SYNCING);
	NVMKV_RETURN_IF(db_flush_log(c->db, NVMKV_SEQUENCE_MAX));
	return table_output_finish(&c->output);
}
