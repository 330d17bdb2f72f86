/*
 * scan_rows.c
 *	  The batch of rows that a scan hands out: what is rare about it.
 */
#include "engine/read/scan_rows.h"

#include "engine/sst/value_read.h"

NvmkvStatus
scan_rows_begin(ScanRows *rows, unsigned max_rows)
{
	rows->bytes.size = 0;
	rows->count = 0;
	/* One more: the last row may have a hint beside it. */
	if (max_rows >= rows->capacity)
	{
		NvmkvScanRow *grown = port_realloc(rows->out, (max_rows + 1) * sizeof(NvmkvScanRow));

		if (grown == NULL)
			return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a batch of %u rows", max_rows);
		rows->out = grown;
		rows->capacity = max_rows + 1;
	}
	return NVMKV_OK;
}

/* The rows move along with their bytes. */
NvmkvStatus
scan_rows_grow(ScanRows *rows, size_t size)
{
	uintptr_t old = (uintptr_t) rows->bytes.data;
	unsigned i;

	NVMKV_RETURN_IF(nvmkv_buf_reserve(&rows->bytes, size));
	for (i = 0; i < rows->count; i++)
	{
		rows->out[i].key.data = rows->bytes.data + ((uintptr_t) rows->out[i].key.data - old);
		rows->out[i].value.data = rows->bytes.data + ((uintptr_t) rows->out[i].value.data - old);
	}
	return NVMKV_OK;
}

NvmkvStatus
scan_rows_add_apart(ScanRows *rows, NvmkvDb *db, NvmkvSlice key, uint64_t tag, NvmkvSlice reference, NvmkvTxnTag txn)
{
	ValueBlock value;
	NvmkvStatus st;

	NVMKV_RETURN_IF(value_open(db->tables, key, tag, reference, SST_BLOCK_DATA, &value));
	st = scan_rows_add_value(rows, key, value.value, txn, ikey_sequence(tag));
	value_close(&value);
	return st;
}

NvmkvStatus
scan_rows_add_beneath(ScanRows *rows, NvmkvSlice key, bool shown)
{
	const NvmkvTxnTag no_txn = {0, 0};

	NVMKV_RETURN_IF(scan_rows_add_value(rows, key, nvmkv_slice(NULL, 0), no_txn, 0));
	rows->out[rows->count - 1].beneath = true;
	if (shown)
	{
		NvmkvScanRow row = rows->out[rows->count - 2];

		rows->out[rows->count - 2] = rows->out[rows->count - 1];
		rows->out[rows->count - 1] = row;
	}
	return NVMKV_OK;
}

void
scan_rows_free(ScanRows *rows)
{
	nvmkv_buf_free(&rows->bytes);
	port_free(rows->out);
}
