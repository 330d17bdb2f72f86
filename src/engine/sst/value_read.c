/*
 * value_read.c
 *	  See value_read.h.
 */
#include "engine/sst/value_read.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/sst/sst_iter.h"

/* The block is one entry: this one's value. */
static NvmkvStatus
find_value(ValueBlock *v, NvmkvSlice key, uint64_t tag, uint64_t offset)
{
	SstBlockCursor c;

	if (!sst_block_cursor_open(&c, v->block.data, v->block.size, NULL) || !sst_block_cursor_first(&c))
		return sst_table_malformed(v->table, offset);
	if (c.tag != ikey_tag(ikey_sequence(tag), NVMKV_TYPE_VALUE) || !slice_equal(c.key, key))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: block at %" PRIu64 " has the value of another key",
						  sst_table_path(v->table), offset);
	v->value = c.payload;
	return NVMKV_OK;
}

NvmkvStatus
value_open(TableCache *tables, NvmkvSlice key, uint64_t tag, NvmkvSlice reference, SstBlockUse use, ValueBlock *out)
{
	SstReference r;
	NvmkvStatus st;

	NVMKV_RETURN_IF(sst_reference_decode(reference, &r));
	NVMKV_RETURN_IF(table_cache_get_values(tables, r.number, &out->table));
	NVMKV_RETURN_IF(sst_table_block(out->table, r.block, use, &out->block));
	sst_table_ref(out->table);
	st = find_value(out, key, tag, r.block.offset);
	if (st != NVMKV_OK)
		value_close(out);
	return st;
}

NvmkvStatus
value_open_or_lost(TableCache *tables, NvmkvSlice key, uint64_t tag, NvmkvSlice reference, ValueBlock *out,
				   bool *lost_out)
{
	NvmkvStatus st = value_open(tables, key, tag, reference, SST_BLOCK_PRIVATE, out);
	SstReference r;
	SstTable *table;
	uint8_t byte;

	*lost_out = false;
	if (st != NVMKV_CORRUPTION && st != NVMKV_IO)
		return st;
	if (sst_reference_decode(reference, &r) == NVMKV_OK)
	{
		NVMKV_RETURN_IF(table_cache_get_values(tables, r.number, &table));
		(void) sst_table_reread(table, r.block.offset, &byte, 1);
		st = sst_table_judge(table, value_open(tables, key, tag, reference, SST_BLOCK_PRIVATE, out));
	}
	*lost_out = st == NVMKV_CORRUPTION;
	return *lost_out ? NVMKV_OK : st;
}

void
value_close(ValueBlock *value)
{
	sst_table_release_block(value->table, &value->block);
	sst_table_unref(value->table);
}

/* ---- verification ---- */

static NvmkvStatus
read_value(TableCache *tables, const NvmkvIter *it)
{
	NvmkvTxnTag txn;
	NvmkvSlice reference;
	ValueBlock value;

	NVMKV_RETURN_IF(ikey_split_payload(it->tag, it->payload, &txn, &reference));
	NVMKV_RETURN_IF(value_open(tables, it->key, it->tag, reference, SST_BLOCK_PRIVATE, &value));
	value_close(&value);
	return NVMKV_OK;
}

/* Entries one behind the other whose values cannot be read. */
typedef struct LostRun
{
	ValueLost *lost;
	uint64_t entries; /* 0: none now */
	NvmkvBuf low, last;
	char text[NVMKV_ERROR_TEXT_MAX]; /* of the first */
} LostRun;

/* nvmkv_error() says why the entry's value cannot be read. */
static NvmkvStatus
run_extend(LostRun *run, NvmkvSlice key)
{
	if (run->entries == 0)
	{
		NVMKV_RETURN_IF(nvmkv_buf_set(&run->low, key));
		(void) snprintf(run->text, sizeof(run->text), "%s", nvmkv_error()->text);
	}
	run->entries++;
	return nvmkv_buf_set(&run->last, key);
}

static void
run_end(LostRun *run)
{
	if (run->entries > 0)
		run->lost->tell(run->lost, run->text, run->entries, nvmkv_buf_slice(&run->low), nvmkv_buf_slice(&run->last));
	run->entries = 0;
}

/* All entries; a failure that is no damage ends it. */
static NvmkvStatus
read_values(TableCache *tables, NvmkvIter *it, LostRun *run)
{
	for (it->ops->seek_first(it); it->valid; it->ops->next(it))
	{
		NvmkvStatus st = ikey_is_apart(it->tag) ? read_value(tables, it) : NVMKV_OK;

		if (st == NVMKV_CORRUPTION)
			st = run_extend(run, it->key);
		else if (st == NVMKV_OK)
			run_end(run);
		NVMKV_RETURN_IF(st);
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "verification was cancelled");
	}
	/* What is wrong with the table itself is sst_verify's to tell. */
	return it->status == NVMKV_CORRUPTION ? NVMKV_OK : it->status;
}

NvmkvStatus
value_verify(TableCache *tables, uint64_t number, uint64_t file_bytes, ValueLost *lost)
{
	SstTable *table;
	SstIter *it;
	LostRun *run;
	NvmkvStatus st;

	NVMKV_RETURN_IF(table_cache_get(tables, number, file_bytes, &table));
	it = port_alloc(sizeof(SstIter));
	run = port_alloc_zero(sizeof(LostRun));
	if (it == NULL || run == NULL)
	{
		port_free(it);
		port_free(run);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	}
	run->lost = lost;
	sst_iter_init(it, table, SST_ITER_BULK);
	st = read_values(tables, &it->base, run);
	run_end(run);
	it->base.ops->destroy(&it->base);
	nvmkv_buf_free(&run->low);
	nvmkv_buf_free(&run->last);
	port_free(run);
	port_free(it);
	return st;
}
