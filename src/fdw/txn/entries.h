/*
 * entries.h
 *	  The entries that rows have in the indexes of their table (layout.h), and
 *	  their way into the record of a change.
 */
#ifndef NVMKV_FDW_ENTRIES_H
#define NVMKV_FDW_ENTRIES_H

#include "postgres.h"

#include "access/transam.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"

#include "fdw/table/table.h"

/* Makes entries of rows of one table, for one statement. */
typedef struct NvmkvEntryMaker NvmkvEntryMaker;

/*
 * In the current memory context, which must outlive it; table and estate must, too.  NULL: there are no indexes that
 * writers keep.  "only": of this index alone, ready or not; InvalidOid: of all that are ready.
 */
extern NvmkvEntryMaker *nvmkv_entry_maker_create(const NvmkvTable *table, EState *estate, Oid only);

/*
 * The entries of a row replace buf's bytes.  Evaluates expressions and predicates of the indexes, so hold no latch.
 * rowid: of a row of a table without a primary key; 0 if it will be known when the row is written.  maker NULL: none.
 * ERROR 54000: a key is too long; and what the expressions raise.
 */
extern void nvmkv_entries_of_row(NvmkvEntryMaker *maker, TupleTableSlot *row, uint64 rowid, StringInfo buf);
extern void nvmkv_entries_of_tuple(NvmkvEntryMaker *maker, HeapTuple row, uint64 rowid, StringInfo buf);

/* One entry of such bytes. */
typedef struct NvmkvEntry
{
	unsigned index; /* in table->indexes */
	uint32 unique_size; /* so many bytes of the key no other row may have; 0: that is allowed */
	NvmkvSlice key;
	NvmkvSlice value;
} NvmkvEntry;

/* The next one; *at is 0 for the first.  False after the last one. */
extern bool nvmkv_entries_next(NvmkvSlice entries, size_t *at, NvmkvEntry *entry_out);

/* Those of a table without a primary key get this row id. */
extern void nvmkv_entries_set_rowid(NvmkvSlice entries, uint64 rowid);

/* The one entry of these bytes is of table->indexes[index] now. */
extern void nvmkv_entries_set_index(NvmkvSlice entry, unsigned index);

/*
 * Into the record that nvmkv_write_begin has begun: of a row that changes.  Old entries that are not among the new ones
 * go, new ones come where they are not among the old ones or have another value.  Nothing old: the row is new; nothing
 * new: it goes.  REQUIRES the latch of the row's key, or that nobody else knows it.
 */
extern void nvmkv_entries_put(NvmkvSlice old_entries, NvmkvSlice new_entries, FullTransactionId fxid, CommandId cid);

/*
 * Do the columns of a key (NvmkvIndex.is_key) change, of a row whose entries these are?  Those of a row that keeps its
 * own key.
 */
extern bool nvmkv_entries_change_key(const NvmkvTable *table, NvmkvSlice old_entries, NvmkvSlice new_entries);

/* Bytes that they take in a record. */
extern size_t nvmkv_entries_record_bytes(NvmkvSlice entries);

#endif
