/*
 * dump_lost.c
 *	  What transactions whose outcomes are lost have written, from files alone.
 */
#include "tools/dump_lost.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/sst/sst_iter.h"
#include "engine/tree/damage.h"

/* Keys of the server's tables begin with their storage. */
#define STORAGE_BYTES 8

static NvmkvStatus
ask_ranges(void *ctx, uint64_t fxid, bool *lost_out)
{
	const DumpLost *lost = ctx;
	uint32_t i;

	*lost_out = false;
	for (i = 0; i < lost->nranges && !*lost_out; i++)
		*lost_out = lost->ranges[i].from <= fxid && fxid < lost->ranges[i].to;
	return NVMKV_OK;
}

NvmkvStatus
dump_lost_add(DumpLost *lost, uint64_t from, uint64_t to)
{
	VersionXids *grown = realloc(lost->ranges, (lost->nranges + 1) * sizeof(VersionXids));

	if (grown == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for lost outcomes");
	grown[lost->nranges].from = from;
	grown[lost->nranges++].to = to;
	lost->ranges = grown;
	return NVMKV_OK;
}

static NvmkvStatus
walk(DumpLost *lost, NvmkvIter *it)
{
	NvmkvStatus st;

	lost->list.prefix_bytes = STORAGE_BYTES;
	lost->list.ask = ask_ranges;
	lost->list.ctx = lost;
	st = lost_walk(&lost->list, it);
	it->ops->destroy(it);
	return st;
}

NvmkvStatus
dump_lost_table(DumpLost *lost, SstTable *table)
{
	SstIter it;

	if (lost->nranges == 0 || sst_table_props(table)->min_unresolved_fxid == 0)
		return NVMKV_OK;
	sst_iter_init(&it, table, SST_ITER_BULK);
	it.sink = damage_untold_sink();
	return walk(lost, &it.base);
}

NvmkvStatus
dump_lost_row(DumpLost *lost, const NvmPool *pool, const NvmRowRef *row)
{
	NvmRowIter it;

	if (lost->nranges == 0)
		return NVMKV_OK;
	nvm_row_iter_init(&it, pool, row, row->entries);
	it.sink = damage_untold_sink();
	return walk(lost, &it.base);
}

/* As nvmkv.storage has it: a number of 64 bits with a sign.  All bits: the list of storages. */
static void
show_storage(FILE *out, NvmkvSlice key)
{
	uint64_t id = 0;
	unsigned b;

	for (b = 0; b < STORAGE_BYTES; b++)
		id = id << 8 | (b < key.size ? key.data[b] : 0);
	if (id == UINT64_MAX)
		fputs("the list of storages", out);
	else
		fprintf(out, "storage %" PRId64, (int64_t) id);
}

/* What is left of a key behind its storage. */
static void
show_key(FILE *out, NvmkvSlice key)
{
	size_t i;

	fputs("\\x", out);
	for (i = key.size < STORAGE_BYTES ? 0 : STORAGE_BYTES; i < key.size; i++)
		fprintf(out, "%02x", key.data[i]);
}

uint64_t
dump_lost_end(Dump *dump, DumpLost *lost)
{
	uint64_t count = lost->list.count;
	uint32_t i;

	for (i = 0; i < lost->list.count; i++)
	{
		const NvmkvLostVersions found = lost_of(&lost->list.entries[i]);

		fputs("nvmkv_dump: ", dump->err);
		show_storage(dump->err, found.first_key);
		fprintf(dump->err, ": %" PRIu64 " row versions of transactions %" PRIu64 " to %" PRIu64
				", whose outcomes are lost, keys ", found.versions, found.first_fxid, found.last_fxid);
		show_key(dump->err, found.first_key);
		fputs(" to ", dump->err);
		show_key(dump->err, found.last_key);
		fputc('\n', dump->err);
		dump->failed = true;
	}
	lost_free(&lost->list);
	free(lost->ranges);
	lost->ranges = NULL;
	lost->nranges = 0;
	return count;
}
