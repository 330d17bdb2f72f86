/*
 * batch.h
 *	  A write batch: the bytes of one log record.
 *
 * Grammar (little-endian):
 *	  batch   := version u8 (=1), zero u8[3], count u32, record[count]
 *	  record  := family u8, type u8, varint keylen, key, varint payloadlen, payload
 * "type" is a NvmkvType; "payload" is that of ikey.h.  Record i gets sequence
 * base + i, where base is the sequence of record 0.
 *
 * One batch is atomic: it is in the log whole or not at all.
 */
#ifndef NVMKV_BASE_BATCH_H
#define NVMKV_BASE_BATCH_H

#include "engine/base/ikey.h"

#define BATCH_HEADER_BYTES 8
#define BATCH_FORMAT 1

/* What one entry takes in a memtable beyond key and payload, at most: node header, tallest tower, alignment. */
#define BATCH_ENTRY_OVERHEAD 128

typedef struct NvmkvBatch
{
	NvmkvBuf bytes; /* header and records; empty until the first put */
	uint32_t count;
	uint8_t family;        /* of the records that are put next: nvmkv_batch_family */
	uint32_t families;     /* bit i: it has records of family i */
	size_t memtable_bytes; /* upper bound of what its entries take in memtables */
	size_t user_bytes;     /* keys and values, without transaction tags */
} NvmkvBatch;

typedef struct NvmkvBatchRecord
{
	uint8_t family;
	unsigned type;
	NvmkvSlice key;
	NvmkvSlice payload;
} NvmkvBatchRecord;

/* Forgets the records, keeps the memory; the family is the default one again. */
extern void nvmkv_batch_clear(NvmkvBatch *batch);
extern void nvmkv_batch_free(NvmkvBatch *batch);

/* Records that are put from now on belong to this column family, below NVMKV_FAMILIES_MAX; 0 is the default one. */
extern void nvmkv_batch_family(NvmkvBatch *batch, unsigned family);

/* Appends one record; the payload is payload_head (may be empty), then value.  At failure the batch is as it was. */
extern NvmkvStatus nvmkv_batch_put(NvmkvBatch *batch, unsigned type, NvmkvSlice key,
								   NvmkvSlice payload_head, NvmkvSlice value);

/* A tagged record: builds the payload head from (fxid, cid).  type is one of NVMKV_TYPE_TAGGED_*. */
extern NvmkvStatus nvmkv_batch_put_tagged(NvmkvBatch *batch, unsigned type, NvmkvSlice key,
										  uint64_t fxid, uint32_t cid, NvmkvSlice value);

/* Reading: validates the header. */
extern NvmkvStatus nvmkv_batch_open(NvmkvSlice bytes, uint32_t *count_out, const uint8_t **cursor_out);

/* The next record, or CORRUPTION.  The caller counts, and checks that *cursor == end after the last. */
extern NvmkvStatus nvmkv_batch_next(const uint8_t **cursor, const uint8_t *end, NvmkvBatchRecord *record_out);

#endif
