/*
 * log_fuzz.c
 *	  Input: log file 7.  Its records come in order from inside the file, are
 *	  taken apart as batches, and the reader says how the log ends.
 */
#include <errno.h>

#include "engine/base/batch.h"
#include "engine/log/log_group.h"
#include "engine/log/log_reader.h"
#include "engine/log/log_writer.h"
#include "fuzz/fuzz.h"

#define NUMBER 7

static void
read_record(NvmkvSlice record)
{
	NvmkvSlice batch;
	const uint8_t *cursor;
	uint64_t base;
	uint32_t count;

	fuzz_touch(record);
	if (log_group_split_record(record, &base, &batch) != NVMKV_OK ||
		nvmkv_batch_open(batch, &count, &cursor) != NVMKV_OK)
		return;
	for (; count > 0; count--)
	{
		NvmkvBatchRecord entry;

		if (nvmkv_batch_next(&cursor, batch.data + batch.size, &entry) != NVMKV_OK)
			return;
		fuzz_touch(entry.key);
		fuzz_touch(entry.payload);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_path("7.log");
	LogReader reader;
	NvmkvSlice record;
	NvmkvStatus status;
	uint64_t last = 0;

	fuzz_write_file(path, data, size);
	if (log_reader_open(&reader, path, LOG_KIND_WAL, NUMBER) != NVMKV_OK)
		return 0;
	while ((status = log_reader_next(&reader, &record)) == NVMKV_OK)
	{
		FUZZ_REQUIRE(reader.record_offset > last);
		FUZZ_REQUIRE(reader.offset <= size && record.size <= size);
		last = reader.record_offset;
		read_record(record);
	}
	if (status == NVMKV_NOT_FOUND)
		FUZZ_REQUIRE(reader.end != LOG_END_NOT_YET && reader.end_offset >= last);
	FUZZ_REQUIRE(log_reader_next(&reader, &record) == status);
	log_reader_close(&reader);
	return 0;
}

/* A log with "count" records of batches whose values have "step" bytes more each. */
static void
seed(unsigned count, size_t step, bool sync)
{
	const char *path = fuzz_path("seed.log");
	uint8_t *value = calloc(1, count * step + 1);
	LogWriter writer;
	unsigned i;

	FUZZ_REQUIRE(value != NULL);
	FUZZ_OK(log_writer_create(&writer, path, LOG_KIND_WAL, NUMBER));
	for (i = 0; i < count; i++)
	{
		NvmkvBatch batch = {0};
		NvmkvSlice parts[2];
		uint8_t base[8];

		FUZZ_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, nvmkv_slice("key", 3), nvmkv_slice(NULL, 0),
								nvmkv_slice(value, i * step)));
		put_u64(base, i + 1);
		parts[0] = nvmkv_slice(base, sizeof(base));
		parts[1] = nvmkv_buf_slice(&batch.bytes);
		FUZZ_OK(log_writer_append(&writer, parts, 2));
		if (sync)
			FUZZ_OK(log_writer_sync(&writer));
		nvmkv_batch_free(&batch);
	}
	log_writer_close(&writer);
	fuzz_seed_file(path);
	free(value);
}

void
fuzz_seeds(void)
{
	seed(0, 0, false);
	seed(1, 0, false);
	seed(6, 10, true);
	seed(3, 20000, true);
	seed(2, 40000, false);
}
