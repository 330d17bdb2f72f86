/*
 * check_log.c
 *	  See check_log.h.
 */
#include "tools/check_log.h"

#include <inttypes.h>

#include "engine/base/batch.h"
#include "engine/log/log_files.h"
#include "engine/log/log_group.h"
#include "engine/log/log_reader.h"

static NvmkvStatus
check_batch(NvmkvSlice batch, uint32_t *count_out)
{
	const uint8_t *cursor;
	const uint8_t *end = batch.data + batch.size;
	uint32_t i;

	NVMKV_RETURN_IF(nvmkv_batch_open(batch, count_out, &cursor));
	for (i = 0; i < *count_out; i++)
	{
		NvmkvBatchRecord entry;

		NVMKV_RETURN_IF(nvmkv_batch_next(&cursor, end, &entry));
	}
	if (cursor != end)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%zu bytes are behind the last entry", (size_t) (end - cursor));
	return NVMKV_OK;
}

/* What own_log_recover.c asks of a record when it replays it. */
static NvmkvStatus
check_record(Check *c, NvmkvSlice record)
{
	uint64_t durable = c->durable_seq;
	NvmkvSlice batch;
	uint64_t base = 0;
	uint32_t count = 0;

	NVMKV_RETURN_IF(log_group_split_record(record, &base, &batch));
	NVMKV_RETURN_IF(check_batch(batch, &count));
	if (base <= c->last_sequence || (base > c->last_sequence + 1 && base > durable + 1))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "it starts with sequence %" PRIu64 " after %" PRIu64 ": a log file is missing or cut short",
						  base, c->last_sequence > durable ? c->last_sequence : durable);
	c->last_sequence = base + count - 1;
	c->records++;
	return NVMKV_OK;
}

static void
check_log(Check *c, uint64_t number)
{
	char path[PATH_BYTES];
	LogReader reader;
	NvmkvSlice record;
	NvmkvStatus st;

	log_group_path(path, sizeof(path), c->log_dir, number);
	if (log_reader_open(&reader, path, LOG_KIND_WAL, number) != NVMKV_OK)
	{
		check_failure(c);
		return;
	}
	while ((st = log_reader_next(&reader, &record)) == NVMKV_OK)
		if (check_record(c, record) != NVMKV_OK)
		{
			const NvmkvError error = *nvmkv_error();

			(void) NVMKV_FAIL(error.status, "log \"%s\": record at %" PRIu64 ": %s", path, reader.record_offset,
							  error.text);
			check_failure(c);
		}
	if (st != NVMKV_NOT_FOUND)
		check_failure(c);
	log_reader_close(&reader);
}

void
check_logs(Check *c)
{
	LogFiles files;
	unsigned l;

	if (log_files_list(c->log_dir, ".log", &files) != NVMKV_OK)
		check_failure(c);
	for (l = 0; l < files.count; l++)
		check_log(c, files.numbers[l]);
	c->nlogs = files.count;
	port_free(files.numbers);
}
