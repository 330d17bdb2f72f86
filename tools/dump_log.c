/*
 * dump_log.c
 *	  Records of a standalone database's log.
 */
#include "tools/dump_format.h"

#include <inttypes.h>

#include "engine/base/batch.h"
#include "engine/log/log_group.h"
#include "engine/log/log_reader.h"

static void
dump_record(Dump *dump, uint64_t offset, NvmkvSlice record)
{
	NvmkvSlice batch;
	const uint8_t *cursor;
	const uint8_t *end;
	uint64_t base;
	uint32_t count;
	uint32_t i;

	if (log_group_split_record(record, &base, &batch) != NVMKV_OK ||
		nvmkv_batch_open(batch, &count, &cursor) != NVMKV_OK)
	{
		fprintf(dump->out, "record at %" PRIu64 ": %zu bytes\n", offset, record.size);
		dump_failure(dump);
		return;
	}
	fprintf(dump->out, "record at %" PRIu64 ": %zu bytes, base sequence %" PRIu64 ", %" PRIu32 " entries\n",
			offset, record.size, base, count);
	end = batch.data + batch.size;
	for (i = 0; i < count; i++)
	{
		NvmkvBatchRecord entry;

		if (nvmkv_batch_next(&cursor, end, &entry) != NVMKV_OK)
		{
			dump_failure(dump);
			return;
		}
		fprintf(dump->out, "    ");
		dump_entry(dump, entry.key, ikey_tag(base + i, entry.type), entry.payload);
	}
	if (cursor != end)
	{
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "record at %" PRIu64 ": %zu bytes behind its last entry", offset, (size_t) (end - cursor));
		dump_failure(dump);
	}
}

void
dump_log(Dump *dump, const char *path)
{
	LogReader reader;
	NvmkvSlice record;
	NvmkvStatus status;
	uint64_t number = 0;

	status = dump_log_number(path, LOG_KIND_WAL, &number);
	if (status == NVMKV_OK)
		status = log_reader_open(&reader, path, LOG_KIND_WAL, number);
	if (status != NVMKV_OK)
	{
		dump_failure(dump);
		return;
	}
	fprintf(dump->out, "log %" PRIu64 "\n", number);
	while ((status = log_reader_next(&reader, &record)) == NVMKV_OK)
		dump_record(dump, reader.record_offset, record);
	if (status != NVMKV_NOT_FOUND)
		dump_failure(dump);
	else
		fprintf(dump->out, "end at %" PRIu64 "%s\n", reader.end_offset,
				reader.end == LOG_END_TORN ? ", behind it an unfinished record" : "");
	log_reader_close(&reader);
}
