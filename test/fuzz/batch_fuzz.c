/*
 * batch_fuzz.c
 *	  Input: a write batch.  What reads as one, written anew, reads the same.
 */
#include "engine/base/batch.h"
#include "fuzz/fuzz.h"

static bool
same_records(NvmkvSlice a, NvmkvSlice b, uint32_t count)
{
	const uint8_t *at_a = a.data + BATCH_HEADER_BYTES;
	const uint8_t *at_b = b.data + BATCH_HEADER_BYTES;
	uint32_t i;

	for (i = 0; i < count; i++)
	{
		NvmkvBatchRecord x, y;

		FUZZ_OK(nvmkv_batch_next(&at_a, a.data + a.size, &x));
		FUZZ_OK(nvmkv_batch_next(&at_b, b.data + b.size, &y));
		if (x.type != y.type || !slice_equal(x.key, y.key) || !slice_equal(x.payload, y.payload))
			return false;
	}
	return at_b == b.data + b.size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	NvmkvSlice bytes = nvmkv_slice(data, size);
	NvmkvBatch again = {0};
	const uint8_t *cursor;
	uint32_t count;
	uint32_t read = 0;

	if (nvmkv_batch_open(bytes, &count, &cursor) != NVMKV_OK)
		return 0;
	while (read < count)
	{
		NvmkvBatchRecord record;

		if (nvmkv_batch_next(&cursor, data + size, &record) != NVMKV_OK)
			break;
		FUZZ_REQUIRE(cursor <= data + size);
		fuzz_touch(record.key);
		fuzz_touch(record.payload);
		FUZZ_OK(nvmkv_batch_put(&again, record.type, record.key, nvmkv_slice(NULL, 0), record.payload));
		read++;
	}
	if (read > 0)
		FUZZ_REQUIRE(same_records(bytes, nvmkv_buf_slice(&again.bytes), read));
	nvmkv_batch_free(&again);
	return 0;
}

void
fuzz_seeds(void)
{
	static const unsigned types[] = {
		NVMKV_TYPE_VALUE, NVMKV_TYPE_DELETION, NVMKV_TYPE_TAGGED_VALUE, NVMKV_TYPE_TAGGED_LOCK,
		NVMKV_TYPE_TAGGED_RANGE_DELETION, NVMKV_TYPE_COMMITTED_VALUE};
	NvmkvBatch batch = {0};
	uint8_t value[300] = {1, 2, 3};
	unsigned i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
	{
		NvmkvSlice key = nvmkv_slice("abcdefgh", i);

		if ((types[i] & NVMKV_TYPE_TAGGED_BIT) != 0)
			FUZZ_OK(nvmkv_batch_put_tagged(&batch, types[i], key, 1000 + i, i, nvmkv_slice(value, i * 50)));
		else
			FUZZ_OK(nvmkv_batch_put(&batch, types[i], key, nvmkv_slice(NULL, 0), nvmkv_slice(value, i * 50)));
		fuzz_seed(batch.bytes.data, batch.bytes.size);
	}
	nvmkv_batch_free(&batch);
}
