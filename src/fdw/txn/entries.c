/*
 * entries.c
 *	  The entries that rows have in the indexes of their table.
 *
 * They are made before latches are taken, as bytes that a batch of rows can
 * keep: for each entry, in the order of the table's indexes, its head, key and
 * value.  A row has one entry at most in an index, none where the predicate
 * says so.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/txn/entries.h"
#include "fdw/txn/write.h"

/* Not aligned within the bytes. */
typedef struct EntryHead
{
	uint32 index;
	uint32 unique_size;
	uint32 key_size;
	uint32 value_size;
} EntryHead;

typedef struct IndexMaker
{
	unsigned number; /* in table->indexes */
	const NvmkvIndex *index;
	ExprState *predicate;
	List *expressions; /* ExprState */
	TupleTableSlot *slot; /* of the entries */
} IndexMaker;

struct NvmkvEntryMaker
{
	EState *estate;
	int count;
	IndexMaker *indexes;
	TupleTableSlot *tuple_slot; /* of the table */
	StringInfoData key;
	StringInfoData value;
};

/* ---------------------------------------------------------------- making */

NvmkvEntryMaker *
nvmkv_entry_maker_create(const NvmkvTable *table, EState *estate, Oid only)
{
	NvmkvEntryMaker *maker;

	if (table->nindexes == 0)
		return NULL;
	maker = palloc0(sizeof(NvmkvEntryMaker));
	maker->estate = estate;
	maker->indexes = palloc0(sizeof(IndexMaker) * (size_t) table->nindexes);
	for (int i = 0; i < table->nindexes; i++)
	{
		const NvmkvIndex *index = &table->indexes[i];
		IndexMaker *made = &maker->indexes[maker->count];
		ListCell *lc;

		if (OidIsValid(only) ? index->oid != only : !index->ready)
			continue;
		maker->count++;
		made->number = (unsigned) i;
		made->index = index;
		made->predicate = ExecPrepareQual(index->predicate, estate);
		foreach(lc, index->expressions)
			made->expressions = lappend(made->expressions, ExecPrepareExpr(lfirst(lc), estate));
		made->slot = MakeSingleTupleTableSlot(index->entries.tupdesc, &TTSOpsVirtual);
	}
	if (maker->count == 0)
		return NULL;
	maker->tuple_slot = MakeSingleTupleTableSlot(table->tupdesc, &TTSOpsHeapTuple);
	nvmkv_buffer_init(&maker->key);
	nvmkv_buffer_init(&maker->value);
	return maker;
}

/* The columns of the row's entry. */
static void
fill_slot(const IndexMaker *made, TupleTableSlot *row, uint64 rowid, ExprContext *econtext)
{
	TupleTableSlot *slot = made->slot;
	ListCell *expression = list_head(made->expressions);

	ExecClearTuple(slot);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		AttrNumber attnum = made->index->attnums[i];

		if (attnum > 0)
			slot->tts_values[i] = slot_getattr(row, attnum, &slot->tts_isnull[i]);
		else if (attnum < 0)
		{
			slot->tts_values[i] = Int64GetDatum((int64) rowid);
			slot->tts_isnull[i] = false;
		}
		else
		{
			slot->tts_values[i] = ExecEvalExprSwitchContext(lfirst(expression), econtext, &slot->tts_isnull[i]);
			expression = lnext(made->expressions, expression);
		}
	}
	ExecStoreVirtualTuple(slot);
}

/* How much of an entry's key no other row may have. */
static uint32
unique_size(const NvmkvIndex *index, TupleTableSlot *slot, NvmkvSlice key)
{
	if (!index->is_unique)
		return 0;
	for (int i = 0; i < index->ncolumns && !index->nulls_not_distinct; i++)
	{
		if (slot->tts_isnull[i])
			return 0;
	}
	return nvmkv_key_prefix_size(&index->entries, key, index->ncolumns);
}

void
nvmkv_entries_of_row(NvmkvEntryMaker *maker, TupleTableSlot *row, uint64 rowid, StringInfo buf)
{
	ExprContext *econtext;

	resetStringInfo(buf);
	if (maker == NULL)
		return;
	econtext = GetPerTupleExprContext(maker->estate);
	econtext->ecxt_scantuple = row;
	for (int i = 0; i < maker->count; i++)
	{
		const IndexMaker *made = &maker->indexes[i];
		const NvmkvIndex *index = made->index;
		MemoryContext old_context;
		EntryHead head;

		if (made->predicate != NULL && !ExecQual(made->predicate, econtext))
			continue;
		old_context = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
		fill_slot(made, row, rowid, econtext);
		nvmkv_key_from_slot(&index->entries, &maker->key, made->slot);
		if (index->has_values)
			nvmkv_row_encode(&index->entries, &maker->value, made->slot);
		else
			resetStringInfo(&maker->value);
		head.unique_size = unique_size(index, made->slot, nvmkv_buffer_slice(&maker->key));
		MemoryContextSwitchTo(old_context);

		head.index = made->number;
		head.key_size = (uint32) maker->key.len;
		head.value_size = (uint32) maker->value.len;
		appendBinaryStringInfo(buf, (const char *) &head, sizeof(head));
		appendBinaryStringInfo(buf, maker->key.data, maker->key.len);
		appendBinaryStringInfo(buf, maker->value.data, maker->value.len);
	}
}

void
nvmkv_entries_of_tuple(NvmkvEntryMaker *maker, HeapTuple row, uint64 rowid, StringInfo buf)
{
	resetStringInfo(buf);
	if (maker == NULL)
		return;
	ExecStoreHeapTuple(row, maker->tuple_slot, false);
	nvmkv_entries_of_row(maker, maker->tuple_slot, rowid, buf);
	ExecClearTuple(maker->tuple_slot);
}

/* ---------------------------------------------------------------- reading */

bool
nvmkv_entries_next(NvmkvSlice entries, size_t *at, NvmkvEntry *entry_out)
{
	EntryHead head;

	if (*at >= entries.size)
		return false;
	memcpy(&head, entries.data + *at, sizeof(head));
	*at += sizeof(head);
	entry_out->index = head.index;
	entry_out->unique_size = head.unique_size;
	entry_out->key = nvmkv_slice(entries.data + *at, head.key_size);
	*at += head.key_size;
	entry_out->value = nvmkv_slice(entries.data + *at, head.value_size);
	*at += head.value_size;
	return true;
}

void
nvmkv_entries_set_rowid(NvmkvSlice entries, uint64 rowid)
{
	uint64 big = pg_hton64(rowid);
	size_t at = 0;
	NvmkvEntry entry;

	/* The last column of each key. */
	while (nvmkv_entries_next(entries, &at, &entry))
		memcpy((uint8 *) entry.key.data + entry.key.size - sizeof(big), &big, sizeof(big));
}

void
nvmkv_entries_set_index(NvmkvSlice entry, unsigned index)
{
	EntryHead head;

	memcpy(&head, entry.data, sizeof(head));
	head.index = index;
	memcpy((uint8 *) entry.data, &head, sizeof(head));
}

size_t
nvmkv_entries_record_bytes(NvmkvSlice entries)
{
	size_t at = 0;
	size_t bytes = 0;
	NvmkvEntry entry;

	while (nvmkv_entries_next(entries, &at, &entry))
		bytes += entry.key.size + entry.value.size + BATCH_ENTRY_OVERHEAD;
	return bytes;
}

bool
nvmkv_entries_change_key(const NvmkvTable *table, NvmkvSlice old_entries, NvmkvSlice new_entries)
{
	size_t old_at = 0;
	NvmkvEntry old;

	/* Without a predicate there is one of each index on either side. */
	while (nvmkv_entries_next(old_entries, &old_at, &old))
	{
		size_t new_at = 0;
		NvmkvEntry new;

		if (!table->indexes[old.index].is_key)
			continue;
		while (nvmkv_entries_next(new_entries, &new_at, &new))
		{
			if (new.index == old.index && !slice_equal(new.key, old.key))
				return true;
		}
	}
	return false;
}

/* ---------------------------------------------------------------- writing */

void
nvmkv_entries_put(NvmkvSlice old_entries, NvmkvSlice new_entries, FullTransactionId fxid, CommandId cid)
{
	size_t old_at = 0;
	size_t new_at = 0;
	NvmkvEntry old;
	NvmkvEntry new;
	bool has_old = nvmkv_entries_next(old_entries, &old_at, &old);
	bool has_new = nvmkv_entries_next(new_entries, &new_at, &new);

	/* Both go through the indexes in one order. */
	while (has_old || has_new)
	{
		bool take_old = has_old && (!has_new || old.index <= new.index);
		bool take_new = has_new && (!has_old || new.index <= old.index);
		bool same_key = take_old && take_new && slice_equal(old.key, new.key);

		if (take_old && !same_key)
			nvmkv_write_put(NVMKV_TYPE_TAGGED_DELETION, old.key, fxid, cid, nvmkv_slice(NULL, 0));
		if (take_new && !(same_key && slice_equal(old.value, new.value)))
			nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, new.key, fxid, cid, new.value);
		if (take_old)
			has_old = nvmkv_entries_next(old_entries, &old_at, &old);
		if (take_new)
			has_new = nvmkv_entries_next(new_entries, &new_at, &new);
	}
}
