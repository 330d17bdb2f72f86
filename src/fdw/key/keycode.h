/*
 * keycode.h
 *	  Order-preserving key bytes: memcmp order is the key's order.
 *
 * key := storage id (8 bytes big-endian), column*      (or: storage id, row id 8 bytes big-endian)
 * keyvalue.h tells the bytes of a column's value; those of a DESC column are complemented.  A column of an index that
 * may be NULL has a byte before it that tells (NvmkvKeyColumn.nullable), which DESC does not concern.  No column's
 * bytes are a prefix of another value's of the same column, so prefixes of composite keys order right.
 */
#ifndef NVMKV_FDW_KEYCODE_H
#define NVMKV_FDW_KEYCODE_H

#include "lib/stringinfo.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"

#include "fdw/key/layout.h"

/* For a key, or what is mostly empty: most statements have a dozen of them, and initStringInfo makes room for 1 KB. */
static inline void
nvmkv_buffer_init(StringInfo buffer)
{
	buffer->maxlen = 128;
	buffer->data = palloc(buffer->maxlen);
	resetStringInfo(buffer);
}

static inline NvmkvSlice
nvmkv_buffer_slice(const StringInfoData *buffer)
{
	return nvmkv_slice(buffer->data, (size_t) buffer->len);
}

/* Makes the bytes its content; they are not within it. */
static inline void
nvmkv_buffer_set(StringInfo buffer, NvmkvSlice bytes)
{
	resetStringInfo(buffer);
	if (bytes.size > 0)
		appendBinaryStringInfo(buffer, (const char *) bytes.data, (int) bytes.size);
}

/* Starts a key: clears buf, appends the storage id. */
extern void nvmkv_key_begin(const NvmkvTable *table, StringInfo buf);

/* Appends one column's bytes.  value is of col->type, never NULL. */
extern void nvmkv_key_append(const NvmkvKeyColumn *col, StringInfo buf, Datum value);

/* The same for NULL, of a column that may be; and what all others begin with, or all at all. */
extern void nvmkv_key_append_null(const NvmkvKeyColumn *col, StringInfo buf);
extern void nvmkv_key_append_not_null(const NvmkvKeyColumn *col, StringInfo buf);

/* Does a nullable column's first byte say NULL? */
extern bool nvmkv_key_says_null(const NvmkvKeyColumn *col, uint8 byte);

/* The whole key of a row; raises 23502 for NULL in a key column (heap's message), 54000 when longer than the limit. */
extern void nvmkv_key_from_slot(const NvmkvTable *table, StringInfo buf, TupleTableSlot *slot);
extern void nvmkv_key_from_rowid(const NvmkvTable *table, StringInfo buf, uint64 rowid);
extern void nvmkv_key_append_rowid(StringInfo buf, uint64 rowid); /* behind the storage id */
extern uint64 nvmkv_key_rowid(NvmkvSlice key);

/* ctid of a hidden row id and back (48 bits). */
#define NVMKV_ROWID_MAX (UINT64CONST(0xffffffff) * 65535 - 1)
extern void nvmkv_rowid_to_tid(uint64 rowid, ItemPointer tid);
extern uint64 nvmkv_rowid_from_tid(ItemPointer tid);

/*
 * Decodes key columns whose attr_in_key is true into values[attnum-1]/nulls; by-reference results are palloc'd in the
 * current context, or point into key: keep it alive.  ERROR XX001 on malformed bytes.
 */
extern void nvmkv_key_decode(const NvmkvTable *table, NvmkvSlice key, Datum *values, bool *nulls);

/* Bytes of a key's first columns, the storage id included.  ERROR XX001 on malformed bytes. */
extern uint32 nvmkv_key_prefix_size(const NvmkvTable *table, NvmkvSlice key, int ncolumns);

/*
 * The key of the row, in table, that an entry of its index is of: from the entry's key.  Replaces buf's bytes.  ERROR
 * XX001 on malformed bytes.
 */
extern void nvmkv_key_of_entry(const NvmkvTable *table, const NvmkvIndex *index, NvmkvSlice entry_key, StringInfo buf);

/*
 * Smallest byte string greater than every key that starts with buf's bytes: in place; false when there is none (all
 * 0xff).
 */
extern bool nvmkv_key_successor(StringInfo buf);

/* Initializes both to the range of all keys of a table: [lower, upper); an empty upper has no bound. */
extern void nvmkv_key_table_range(const NvmkvTable *table, StringInfo lower, StringInfo upper);

#endif
