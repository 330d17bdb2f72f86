/*
 * bulkrows.h
 *	  A batch of rows, for bulk.c and bulkwrite.c.
 */
#ifndef NVMKV_FDW_BULKROWS_H
#define NVMKV_FDW_BULKROWS_H

#include "postgres.h"

#include "lib/ilist.h"
#include "lib/stringinfo.h"

#include "fdw/table/table.h"
#include "fdw/txn/copyfrom.h"

/* A batch wants to be flushed at this many rows or bytes. */
#define NVMKV_BULK_ROWS 1024
#define NVMKV_BULK_BYTES (256 * 1024)

typedef struct NvmkvBulkRow
{
	uint64 prefix; /* first key bytes after the storage id: decides most comparisons */
	uint64 hash;   /* nvmkv_key_hash */
	uint32 generation; /* of its latch, before a look has found the key free; odd: there was none */
	bool written;
	uint64 line;   /* of COPY */
	uint32 offset; /* in bytes: key, value, entries */
	uint32 key_size;
	uint32 value_size;
	uint32 entries_size;
} NvmkvBulkRow;

typedef struct NvmkvWriteBatch
{
	Relation rel;
	const NvmkvTable *table;
	NvmkvDb *db;
	FullTransactionId fxid; /* of the statement, fixed by the first row: a flush may come from within a function */
	CommandId cid;
	StringInfoData bytes;
	StringInfoData rowid_key;
	int count;
	uint32 generation; /* of the last look ahead, for the row that is added next */
	int capacity; /* of rows */
	NvmkvBulkRow *rows;
	uint16 *places; /* hash table of rows by key hash: number of the row and 1, or 0; twice the capacity */
	MemoryContext context;
	NvmkvCopyFrom *copy;
	bool deferred;
	SubTransactionId subid; /* that it was deferred in */
	dlist_node link;		/* in deferred_batches */
} NvmkvWriteBatch;

static inline NvmkvSlice
nvmkv_bulk_key(const NvmkvWriteBatch *batch, const NvmkvBulkRow *row)
{
	return nvmkv_slice(batch->bytes.data + row->offset, row->key_size);
}

static inline NvmkvSlice
nvmkv_bulk_value(const NvmkvWriteBatch *batch, const NvmkvBulkRow *row)
{
	return nvmkv_slice(batch->bytes.data + row->offset + row->key_size, row->value_size);
}

static inline NvmkvSlice
nvmkv_bulk_entries(const NvmkvWriteBatch *batch, const NvmkvBulkRow *row)
{
	return nvmkv_slice(batch->bytes.data + row->offset + row->key_size + row->value_size, row->entries_size);
}

#endif
