/*
 * scan_rows.h
 *	  The batch of rows that a scan hands out.
 *
 * Keys and values lie behind each other in a buffer of the batch's, so that they
 * outlive the epoch they were read in.
 */
#ifndef NVMKV_READ_SCAN_ROWS_H
#define NVMKV_READ_SCAN_ROWS_H

#include "engine/base/ikey.h"
#include "engine/tree/tree.h"

typedef struct ScanRows
{
	NvmkvBuf bytes; /* the rows point into it */
	NvmkvScanRow *out;
	unsigned capacity;
	unsigned count;
	bool keys_only; /* values are left out */
} ScanRows;

/* Begins a batch of up to max_rows rows. */
extern NvmkvStatus scan_rows_begin(ScanRows *rows, unsigned max_rows);

/* Appends a row, where there is no room, or its value is apart. */
extern NvmkvStatus scan_rows_grow(ScanRows *rows, size_t size);
extern NvmkvStatus scan_rows_add_apart(ScanRows *rows, NvmkvDb *db, NvmkvSlice key, uint64_t tag, NvmkvSlice reference,
									   NvmkvTxnTag txn);

/*
 * The hint about what may be beneath the key's row, which is the batch's last one if "shown".  There is room for one
 * beside the last row.
 */
extern NvmkvStatus scan_rows_add_beneath(ScanRows *rows, NvmkvSlice key, bool shown);

extern void scan_rows_free(ScanRows *rows);

static inline NvmkvSlice
scan_rows_append(NvmkvBuf *bytes, NvmkvSlice s)
{
	uint8_t *at = bytes->data + bytes->size;

	if (s.size > 0)
		memcpy(at, s.data, s.size);
	bytes->size += s.size;
	return nvmkv_slice(at, s.size);
}

static inline NvmkvStatus
scan_rows_add_value(ScanRows *rows, NvmkvSlice key, NvmkvSlice value, NvmkvTxnTag txn, uint64_t sequence)
{
	NvmkvScanRow *row = &rows->out[rows->count];

	if (rows->keys_only)
		value.size = 0;
	if (rows->bytes.capacity - rows->bytes.size <= key.size + value.size)
		NVMKV_RETURN_IF(scan_rows_grow(rows, key.size + value.size + 1));
	row->key = scan_rows_append(&rows->bytes, key);
	row->value = scan_rows_append(&rows->bytes, value);
	row->txn = txn;
	row->sequence = sequence;
	row->newest = false;
	row->beneath = false;
	rows->count++;
	return NVMKV_OK;
}

/* Appends the row of a version with this tag; its payload is "value". */
static inline NvmkvStatus
scan_rows_add(ScanRows *rows, NvmkvDb *db, NvmkvSlice key, uint64_t tag, NvmkvSlice value, NvmkvTxnTag txn)
{
	if (__builtin_expect(ikey_is_apart(tag), 0) && !rows->keys_only)
		return scan_rows_add_apart(rows, db, key, tag, value, txn);
	return scan_rows_add_value(rows, key, value, txn, ikey_sequence(tag));
}

#endif
