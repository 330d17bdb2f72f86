/*
 * batch.c
 *	  Building and reading write batches (grammar in batch.h).
 *
 * The header's count is kept up to date after every put, so the bytes are
 * complete at any moment.
 */
#include "engine/base/batch.h"

#include "engine/base/assert.h"
#include "engine/base/options.h"

#define RECORD_HEAD_BYTES_MAX (2 + 2 * VARINT64_BYTES_MAX)

void
nvmkv_batch_clear(NvmkvBatch *batch)
{
	batch->bytes.size = 0;
	batch->count = 0;
	batch->family = 0;
	batch->families = 0;
	batch->memtable_bytes = 0;
	batch->user_bytes = 0;
}

void
nvmkv_batch_free(NvmkvBatch *batch)
{
	nvmkv_buf_free(&batch->bytes);
	batch->count = 0;
	batch->family = 0;
	batch->families = 0;
	batch->memtable_bytes = 0;
	batch->user_bytes = 0;
}

void
nvmkv_batch_family(NvmkvBatch *batch, unsigned family)
{
	NVMKV_ASSERT(family < NVMKV_FAMILIES_MAX);
	batch->family = (uint8_t) family;
}

NvmkvStatus
nvmkv_batch_put(NvmkvBatch *batch, unsigned type, NvmkvSlice key, NvmkvSlice payload_head, NvmkvSlice value)
{
	size_t payload_bytes = payload_head.size + value.size;
	uint8_t *start;
	uint8_t *p;

	if (!ikey_type_is_valid(type))
		return NVMKV_FAIL(NVMKV_INVALID, "batch: %u is no entry type", type);
	if (batch->count == UINT32_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "batch: too many records");
	/* Here, before anything is written: a memtable that rows and tables refuse could never be flushed. */
	if (key.size > NVMKV_KEY_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "key of %zu bytes, at most %d are allowed", key.size, NVMKV_KEY_BYTES_MAX);
	if (value.size > NVMKV_VALUE_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "value of %zu bytes, at most %u are allowed", value.size, NVMKV_VALUE_BYTES_MAX);
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&batch->bytes,
									  BATCH_HEADER_BYTES + RECORD_HEAD_BYTES_MAX + key.size + payload_bytes));

	start = batch->bytes.data;
	if (batch->bytes.size == 0)
	{
		memset(start, 0, BATCH_HEADER_BYTES);
		start[0] = BATCH_FORMAT;
		batch->bytes.size = BATCH_HEADER_BYTES;
	}
	p = start + batch->bytes.size;
	*p++ = batch->family;
	*p++ = (uint8_t) type;
	p = put_varint(p, key.size);
	if (key.size > 0)
		memcpy(p, key.data, key.size);
	p += key.size;
	p = put_varint(p, payload_bytes);
	if (payload_head.size > 0)
		memcpy(p, payload_head.data, payload_head.size);
	p += payload_head.size;
	if (value.size > 0)
		memcpy(p, value.data, value.size);
	p += value.size;

	batch->bytes.size = (size_t) (p - start);
	batch->count++;
	batch->families |= UINT32_C(1) << batch->family;
	put_u32(start + 4, batch->count);
	batch->memtable_bytes += BATCH_ENTRY_OVERHEAD + key.size + payload_bytes;
	batch->user_bytes += key.size + value.size;
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_batch_put_tagged(NvmkvBatch *batch, unsigned type, NvmkvSlice key, uint64_t fxid, uint32_t cid, NvmkvSlice value)
{
	uint8_t head[NVMKV_TXN_TAG_BYTES];

	if ((type & NVMKV_TYPE_TAGGED_BIT) == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "batch: type %u carries no transaction", type);
	put_u64(head, fxid);
	put_u32(head + 8, cid);
	return nvmkv_batch_put(batch, type, key, nvmkv_slice(head, sizeof(head)), value);
}

NvmkvStatus
nvmkv_batch_open(NvmkvSlice bytes, uint32_t *count_out, const uint8_t **cursor_out)
{
	if (bytes.size < BATCH_HEADER_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "batch of %zu bytes has no header", bytes.size);
	if (bytes.data[0] != BATCH_FORMAT)
		return NVMKV_FAIL(NVMKV_VERSION, "batch has format %u, this version reads %u" NVMKV_USE_NEWER,
						  (unsigned) bytes.data[0], (unsigned) BATCH_FORMAT);
	if (bytes.data[1] != 0 || bytes.data[2] != 0 || bytes.data[3] != 0)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "batch has a damaged header");
	*count_out = get_u32(bytes.data + 4);
	*cursor_out = bytes.data + BATCH_HEADER_BYTES;
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_batch_next(const uint8_t **cursor, const uint8_t *end, NvmkvBatchRecord *record_out)
{
	const uint8_t *p = *cursor;
	uint8_t family;
	unsigned type;
	uint32_t key_bytes;
	uint32_t payload_bytes;
	NvmkvSlice key;

	if (end - p < 2)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "batch ends before its last record");
	family = *p++;
	if (family >= NVMKV_FAMILIES_MAX)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "batch: no column family has number %u", family);
	type = *p++;
	if (!ikey_type_is_valid(type))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "batch: unknown entry type %u", type);
	p = get_varint32(p, end, &key_bytes);
	if (p == NULL || key_bytes > (size_t) (end - p))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "batch: a key runs past the end");
	key = nvmkv_slice(p, key_bytes);
	p += key_bytes;
	p = get_varint32(p, end, &payload_bytes);
	if (p == NULL || payload_bytes > (size_t) (end - p))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "batch: a payload runs past the end");
	if ((type & NVMKV_TYPE_TAGGED_BIT) != 0 && payload_bytes < NVMKV_TXN_TAG_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "batch: a tagged record has a payload of %u bytes", payload_bytes);

	record_out->family = family;
	record_out->type = type;
	record_out->key = key;
	record_out->payload = nvmkv_slice(p, payload_bytes);
	*cursor = p + payload_bytes;
	return NVMKV_OK;
}
