/*
 * value_read.c
 *	  See value_read.h.
 */
#include "engine/sst/value_read.h"

#include <inttypes.h>

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

NvmkvStatus
value_verify(TableCache *tables, uint64_t number, uint64_t file_bytes, void (*problem)(void *ctx, const char *text),
			 void *ctx)
{
	SstTable *table;
	SstIter *it;
	NvmkvStatus st = NVMKV_OK;

	NVMKV_RETURN_IF(table_cache_get(tables, number, file_bytes, &table));
	it = port_alloc(sizeof(SstIter));
	if (it == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	sst_iter_init(it, table, SST_ITER_BULK);
	for (it->base.ops->seek_first(&it->base); it->base.valid; it->base.ops->next(&it->base))
	{
		st = ikey_is_apart(it->base.tag) ? read_value(tables, &it->base) : NVMKV_OK;
		if (st == NVMKV_CORRUPTION)
			problem(ctx, nvmkv_error()->text);
		else if (st == NVMKV_OK && port_interrupted())
			st = NVMKV_FAIL(NVMKV_CANCELLED, "verification was cancelled");
		if (st != NVMKV_OK && st != NVMKV_CORRUPTION)
			break;
	}
	/* What is wrong with the table itself is sst_verify's to tell. */
	if (!it->base.valid)
		st = it->base.status == NVMKV_CORRUPTION ? NVMKV_OK : it->base.status;
	it->base.ops->destroy(&it->base);
	port_free(it);
	return st;
}
