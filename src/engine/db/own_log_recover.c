/*
 * own_log_recover.c
 *	  Replays the standalone database's log.
 */
#include "engine/db/own_log_recover.h"

#include <inttypes.h>

#include "engine/db/own_log.h"
#include "engine/log/log_files.h"
#include "engine/log/log_reader.h"

/* The thread's last failure is about this record: says where that is. */
static NvmkvStatus
name_the_record(NvmkvStatus status, const char *path, uint64_t offset)
{
	return NVMKV_FAIL(status, "log \"%s\": record at %" PRIu64 ": %s", path, offset, nvmkv_error()->text);
}

static NvmkvStatus
replay_log_file(NvmkvDb *db, uint64_t number, uint64_t durable, uint64_t needed_from, uint64_t *last_sequence)
{
	char path[LOG_GROUP_PATH_BYTES_MAX];
	LogReader reader;
	NvmkvSlice record;
	NvmkvStatus st;

	log_group_path(path, sizeof(path), db->log_dir, number);
	NVMKV_RETURN_IF(log_reader_open(&reader, path, LOG_KIND_WAL, number));
	while ((st = log_reader_next(&reader, &record)) == NVMKV_OK)
	{
		NvmkvSlice batch;
		uint64_t base = 0;
		uint32_t count = 0;
		const uint8_t *cursor;

		st = log_group_split_record(record, &base, &batch);
		if (st == NVMKV_OK)
			st = nvmkv_batch_open(batch, &count, &cursor);
		if (st != NVMKV_OK)
			st = name_the_record(st, path, reader.record_offset);
		/*
		 * No gap but among what is in rows and tables: of log files that nobody needs, a crash may bring back some
		 * whose
		 * removal was not durable yet.
		 */
		if (st == NVMKV_OK && (base <= *last_sequence || (base > *last_sequence + 1 && base > durable + 1)))
			st = NVMKV_FAIL(NVMKV_CORRUPTION, "log \"%s\" goes on with sequence %" PRIu64 " after %" PRIu64 ": a log file is missing or cut short",
							path, base, *last_sequence > durable ? *last_sequence : durable);
		if (st == NVMKV_OK && base + count - 1 > needed_from)
		{
			/* What a memtable that becomes active during this call starts behind. */
			db->replay_position = base - 1;
			st = nvmkv_replay(db, batch, base);
			if (st == NVMKV_CORRUPTION)
				st = name_the_record(st, path, reader.record_offset);
		}
		if (st != NVMKV_OK)
			break;
		*last_sequence = base + count - 1;
	}
	log_reader_close(&reader);
	return st == NVMKV_NOT_FOUND ? NVMKV_OK : st;
}

/*
 * What is replayed goes to rows and tables, of one family before it does of another, and so must not be lost again:
 * after a kill the system still has what had only been written.
 */
static NvmkvStatus
sync_log_file(const NvmkvDb *db, uint64_t number)
{
	char path[LOG_GROUP_PATH_BYTES_MAX];
	PortFile *file;
	NvmkvStatus st;

	log_group_path(path, sizeof(path), db->log_dir, number);
	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE, &file));
	st = port_files->sync(file);
	port_files->close(file);
	return st;
}

NvmkvStatus
own_log_recover(NvmkvDb *db)
{
	LogFiles list = {0};
	uint64_t durable = versions_current(&db->versions)->durable_seq;
	uint64_t needed_from = nvmkv_replay_seq(db); /* by all families */
	uint64_t last = 0;
	uint64_t next;
	unsigned i;
	NvmkvStatus st = port_files->mkdir(db->log_dir);

	if (st == NVMKV_OK)
		st = log_files_list(db->log_dir, ".log", &list);
	for (i = 0; st == NVMKV_OK && i < list.count; i++)
		st = sync_log_file(db, list.numbers[i]);
	db->replaying = true;
	db->replay_position = durable;
	for (i = 0; st == NVMKV_OK && i < list.count; i++)
		st = replay_log_file(db, list.numbers[i], durable, needed_from, &last);
	if (last < durable)
		last = durable;
	db->replay_position = last;
	if (st == NVMKV_OK)
		st = nvmkv_flush_all(db);
	if (st == NVMKV_OK)
		st = own_log_note_durable(db, last);
	db->replaying = false;
	next = list.count > 0 ? list.numbers[list.count - 1] + 1 : 1;
	if (st == NVMKV_OK)
		st = log_group_start(db->own_log, next, last);
	for (i = 0; st == NVMKV_OK && i < list.count; i++)
	{
		char path[LOG_GROUP_PATH_BYTES_MAX];

		log_group_path(path, sizeof(path), db->log_dir, list.numbers[i]);
		st = port_files->unlink(path);
	}
	port_free(list.numbers);
	return st;
}
