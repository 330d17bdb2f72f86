/*
 * entrysort.c
 *	  The entries that the rows of a table should have in one of its indexes, in
 *	  order.
 */
#include "postgres.h"

#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/tuplesort.h"

#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/txn/entrysort.h"
#include "fdw/txn/everyrow.h"
#include "fdw/txn/write.h"

/*
 * What is sorted: key, value, and this behind them.  No entry's key begins another's, so what is behind the key does
 * not matter to the order.
 */
typedef struct EntryTail
{
	uint32 key_size;
	uint32 unique_size;
} EntryTail;

/* ---------------------------------------------------------------- making */

static void
sort_entry(Tuplesortstate *sorted, const NvmkvEntry *entry)
{
	EntryTail tail = {(uint32) entry->key.size, entry->unique_size};
	Size size = VARHDRSZ + entry->key.size + entry->value.size + sizeof(tail);
	bytea *bytes = palloc(size);
	char *p = VARDATA(bytes);

	SET_VARSIZE(bytes, size);
	memcpy(p, entry->key.data, entry->key.size);
	if (entry->value.size > 0)
		memcpy(p + entry->key.size, entry->value.data, entry->value.size);
	memcpy(p + entry->key.size + entry->value.size, &tail, sizeof(tail));
	tuplesort_putdatum(sorted, PointerGetDatum(bytes), false);
	pfree(bytes);
}

struct NvmkvEntrySort
{
	const NvmkvTable *table;
	unsigned index; /* in table->indexes */
	EState *estate;
	NvmkvEntryMaker *maker;
	TupleTableSlot *slot;
	StringInfoData entries;
	Tuplesortstate *sort;
	Pointer current;
};

static void
add_row(void *ctx, const NvmkvScanRow *row)
{
	NvmkvEntrySort *sort = ctx;
	uint64 rowid = sort->table->nkeys == 0 ? nvmkv_key_rowid(row->key) : 0;
	MemoryContext old_context = MemoryContextSwitchTo(GetPerTupleMemoryContext(sort->estate));
	NvmkvEntry entry;
	size_t at = 0;

	nvmkv_row_to_slot(sort->table, row->key, row->value, sort->slot);
	nvmkv_entries_of_row(sort->maker, sort->slot, rowid, &sort->entries);
	if (nvmkv_entries_next(nvmkv_buffer_slice(&sort->entries), &at, &entry))
		sort_entry(sort->sort, &entry);
	MemoryContextSwitchTo(old_context);
	ResetPerTupleExprContext(sort->estate);
}

NvmkvEntrySort *
nvmkv_entrysort_create(Relation rel, const NvmkvTable *table, const NvmkvIndex *index, Snapshot snapshot)
{
	NvmkvEntrySort *sort = palloc0(sizeof(NvmkvEntrySort));

	sort->table = table;
	sort->index = (unsigned) (index - table->indexes);
	sort->estate = CreateExecutorState();
	sort->maker = nvmkv_entry_maker_create(table, sort->estate, index->oid);
	sort->slot = MakeSingleTupleTableSlot(table->tupdesc, &TTSOpsVirtual);
	initStringInfo(&sort->entries);
	sort->sort = tuplesort_begin_datum(BYTEAOID, ByteaLessOperator, InvalidOid, false, maintenance_work_mem, NULL,
									   TUPLESORT_NONE);
	nvmkv_every_row(table, snapshot, add_row, sort);
	tuplesort_performsort(sort->sort);
	return sort;
}

bool
nvmkv_entrysort_next(NvmkvEntrySort *sort, NvmkvEntry *entry_out)
{
	EntryTail tail;
	Datum datum;
	bool isnull;
	bytea *bytes;
	Size size;

	if (sort->current != NULL)
		pfree(sort->current);
	sort->current = NULL;
	if (!tuplesort_getdatum(sort->sort, true, true, &datum, &isnull, NULL))
		return false;
	sort->current = DatumGetPointer(datum);
	bytes = DatumGetByteaPP(datum);
	size = VARSIZE_ANY_EXHDR(bytes);
	memcpy(&tail, VARDATA_ANY(bytes) + size - sizeof(tail), sizeof(tail));
	entry_out->index = sort->index;
	entry_out->unique_size = tail.unique_size;
	entry_out->key = nvmkv_slice(VARDATA_ANY(bytes), tail.key_size);
	entry_out->value = nvmkv_slice(VARDATA_ANY(bytes) + tail.key_size, size - tail.key_size - sizeof(tail));
	return true;
}

void
nvmkv_entrysort_destroy(NvmkvEntrySort *sort)
{
	if (sort->current != NULL)
		pfree(sort->current);
	tuplesort_end(sort->sort);
	ExecDropSingleTupleTableSlot(sort->slot);
	FreeExecutorState(sort->estate);
	pfree(sort);
}
