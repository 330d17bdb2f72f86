/*
 * kept_log.c
 *	  Kept log records: see kept_log.h.
 */
#include "engine/log/kept_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/coding.h"
#include "engine/base/txnops.h"
#include "engine/log/log_files.h"
#include "engine/log/log_reader.h"

#define PATH_BYTES_MAX 4096

#define BEGIN_BYTES 24
#define RECORD_HEAD_BYTES 24
#define ENTRY_HEAD_BYTES 16
#define MARK_BYTES 16
#define OUTCOMES_HEAD_BYTES 24

/* Where a file is ended, and another one begun: well below what a log file can hold. */
#define FILE_BYTES_MAX (UINT64_C(1) << 30)

static void
file_path(const char *dir, uint64_t number, char *path)
{
	(void) snprintf(path, PATH_BYTES_MAX, "%s/%06" PRIu64 ".kept", dir, number);
}

/* ---- the directory ---- */

void
kept_family_dir(const char *dir, unsigned family, char *path, size_t size)
{
	(void) snprintf(path, size, "%s/family-%u", dir, family);
}

/* No directory: no files.  port_free(files->numbers) is owed. */
static NvmkvStatus
list_files(const char *dir, LogFiles *files)
{
	NvmkvStatus st = log_files_list(dir, ".kept", files);

	return st == NVMKV_NOT_FOUND ? NVMKV_OK : st;
}

NvmkvStatus
kept_remove(const char *dir, uint64_t before)
{
	LogFiles files;
	unsigned i;
	NvmkvStatus st = list_files(dir, &files);

	/* What is left by a crash in between is then the end: it is known to be whole, and the tree has all before it. */
	for (i = 0; st == NVMKV_OK && i < files.count; i++)
	{
		char path[PATH_BYTES_MAX];

		if (files.numbers[i] >= before)
			continue;
		file_path(dir, files.numbers[i], path);
		st = port_files->unlink(path);
		/* One by one: names that go together may go in any order. */
		if (st == NVMKV_OK)
			st = port_files->sync_dir(dir);
	}
	port_free(files.numbers);
	return st;
}

/* ---- writing ---- */

static NvmkvStatus
append_begin(KeptWriter *w, uint64_t start)
{
	uint8_t bytes[BEGIN_BYTES] = {KEPT_BEGIN, w->dump ? 1 : 0};
	NvmkvSlice part = nvmkv_slice(bytes, sizeof(bytes));

	put_u64(bytes + 8, w->system_identifier);
	put_u64(bytes + 16, start);
	NVMKV_RETURN_IF(log_writer_append(&w->log, &part, 1));
	return log_writer_sync(&w->log);
}

static NvmkvStatus
begin_file(KeptWriter *w, uint64_t start)
{
	LogFiles files;
	char path[PATH_BYTES_MAX];
	uint64_t number;
	NvmkvStatus st;

	NVMKV_RETURN_IF(list_files(w->dir, &files));
	number = files.count > 0 ? files.numbers[files.count - 1] + 1 : 1;
	port_free(files.numbers);
	file_path(w->dir, number, path);
	NVMKV_RETURN_IF(log_writer_create(&w->log, path, LOG_KIND_KEPT, number));
	st = append_begin(w, start);
	if (st == NVMKV_OK)
		st = port_files->sync_dir(w->dir);
	if (st == NVMKV_OK)
	{
		w->position = start;
		return NVMKV_OK;
	}
	log_writer_close(&w->log);
	{
		/* The reason is what did not work, not what clearing up says. */
		const NvmkvError error = *nvmkv_error();

		(void) port_files->unlink(path);
		return NVMKV_FAIL(st, "%s", error.text);
	}
}

NvmkvStatus
kept_writer_begin(KeptWriter *w, const char *dir, uint64_t system_identifier, uint64_t start, bool dump)
{
	memset(w, 0, sizeof(*w));
	w->dir = dir;
	w->system_identifier = system_identifier;
	w->dump = dump;
	NVMKV_RETURN_IF(port_files->mkdir(dir));
	return begin_file(w, start);
}

/* A dump is one file, and no larger than memtables are. */
static NvmkvStatus
next_file_if_full(KeptWriter *w)
{
	uint64_t position = w->position;

	if (w->dump || w->log.offset < FILE_BYTES_MAX)
		return NVMKV_OK;
	NVMKV_RETURN_IF(kept_writer_mark(w, position, false));
	log_writer_close(&w->log);
	return begin_file(w, position);
}

NvmkvStatus
kept_writer_record(KeptWriter *w, uint8_t info, uint64_t start, uint64_t end, NvmkvSlice data)
{
	uint8_t head[RECORD_HEAD_BYTES] = {KEPT_RECORD, info};
	NvmkvSlice parts[2] = {nvmkv_slice(head, sizeof(head)), data};

	NVMKV_RETURN_IF(next_file_if_full(w));
	put_u64(head + 8, start);
	put_u64(head + 16, end);
	NVMKV_RETURN_IF(log_writer_append(&w->log, parts, 2));
	w->position = end;
	return NVMKV_OK;
}

NvmkvStatus
kept_writer_entry(KeptWriter *w, uint64_t sequence, NvmkvSlice batch)
{
	uint8_t head[ENTRY_HEAD_BYTES] = {KEPT_ENTRY};
	NvmkvSlice parts[2] = {nvmkv_slice(head, sizeof(head)), batch};

	put_u64(head + 8, sequence);
	return log_writer_append(&w->log, parts, 2);
}

NvmkvStatus
kept_writer_outcomes(KeptWriter *w, uint64_t from, uint64_t to, const uint8_t *bits)
{
	uint8_t head[OUTCOMES_HEAD_BYTES] = {KEPT_OUTCOMES, bits != NULL};
	NvmkvSlice parts[2] = {nvmkv_slice(head, sizeof(head)),
						   nvmkv_slice(bits, bits != NULL ? nvmkv_outcome_bytes(from, to) : 0)};

	put_u64(head + 8, from);
	put_u64(head + 16, to);
	return log_writer_append(&w->log, parts, 2);
}

NvmkvStatus
kept_writer_mark(KeptWriter *w, uint64_t position, bool end)
{
	uint8_t bytes[MARK_BYTES] = {end ? KEPT_END : KEPT_MARK};
	NvmkvSlice part = nvmkv_slice(bytes, sizeof(bytes));

	if (w->position < position)
		w->position = position;
	put_u64(bytes + 8, w->position);
	NVMKV_RETURN_IF(log_writer_append(&w->log, &part, 1));
	NVMKV_RETURN_IF(log_writer_sync(&w->log));
	/* Once more: it is the second one that tells readers that what is before it was durable (log_format.h, "synced"). */
	NVMKV_RETURN_IF(log_writer_append(&w->log, &part, 1));
	return log_writer_sync(&w->log);
}

void
kept_writer_close(KeptWriter *w)
{
	log_writer_close(&w->log);
}

/* ---- reading ---- */

typedef struct KeptFile
{
	bool begun; /* has its BEGIN */
	bool dump;
	uint64_t start;
} KeptFile;

typedef struct Reader
{
	const KeptReading *how;
	KeptSummary *summary;
	bool any; /* a file has been read */
} Reader;

/* The engine's last failure: passed over where that is wanted. */
static NvmkvStatus
pass_over(Reader *r, NvmkvStatus status)
{
	if (!r->how->lenient || (status != NVMKV_CORRUPTION && status != NVMKV_VERSION && status != NVMKV_INVALID))
		return status;
	r->summary->problems++;
	if (r->how->problem != NULL)
		r->how->problem(r->how->ctx, nvmkv_error()->text);
	return NVMKV_OK;
}

static NvmkvStatus
malformed(const LogReader *log)
{
	return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\": the record at %" PRIu64 " is malformed", port_file_path(log->file),
					  log->record_offset);
}

/* Opens a file and reads its BEGIN; begun is false for one whose beginning was cut off by a crash. */
static NvmkvStatus
open_file(const KeptReading *how, uint64_t number, LogReader *log, KeptFile *file)
{
	char path[PATH_BYTES_MAX];
	NvmkvSlice record;
	NvmkvStatus st;

	memset(file, 0, sizeof(*file));
	file_path(how->dir, number, path);
	NVMKV_RETURN_IF(log_reader_open(log, path, LOG_KIND_KEPT, number));
	st = log_reader_next(log, &record);
	if (st == NVMKV_NOT_FOUND)
		return NVMKV_OK;
	if (st == NVMKV_OK && (record.size != BEGIN_BYTES || record.data[0] != KEPT_BEGIN || record.data[1] > 1))
		st = malformed(log);
	if (st == NVMKV_OK && how->system_identifier != 0 && get_u64(record.data + 8) != how->system_identifier)
		st = NVMKV_FAIL(NVMKV_INVALID, "\"%s\" was kept by system %" PRIu64 ", this is system %" PRIu64, path,
						get_u64(record.data + 8), how->system_identifier);
	if (st != NVMKV_OK)
	{
		log_reader_close(log);
		return st;
	}
	file->begun = true;
	file->dump = record.data[1] == 1;
	file->start = get_u64(record.data + 16);
	return NVMKV_OK;
}

/* Has a dump its END? */
static NvmkvStatus
is_finished(LogReader *log, bool *finished_out)
{
	NvmkvSlice record;
	NvmkvStatus st;

	*finished_out = false;
	while ((st = log_reader_next(log, &record)) == NVMKV_OK)
		*finished_out = record.size > 0 && record.data[0] == KEPT_END;
	return st == NVMKV_NOT_FOUND ? NVMKV_OK : st;
}

static NvmkvStatus
take_record(Reader *r, const LogReader *log, NvmkvSlice record)
{
	KeptSummary *sum = r->summary;
	KeptItem item = {0};

	if (record.size < 8)
		return malformed(log);
	item.kind = (KeptKind) record.data[0];
	switch (item.kind)
	{
		case KEPT_RECORD:
			if (record.size < RECORD_HEAD_BYTES)
				return malformed(log);
			item.info = record.data[1];
			item.start = get_u64(record.data + 8);
			item.end = get_u64(record.data + 16);
			item.data = nvmkv_slice(record.data + RECORD_HEAD_BYTES, record.size - RECORD_HEAD_BYTES);
			if (item.end <= item.start)
				return malformed(log);
			/* It was kept before, in an earlier file. */
			if (item.start < sum->position)
				return NVMKV_OK;
			sum->position = item.end;
			break;
		case KEPT_ENTRY:
			if (record.size < ENTRY_HEAD_BYTES)
				return malformed(log);
			item.start = item.end = get_u64(record.data + 8);
			item.data = nvmkv_slice(record.data + ENTRY_HEAD_BYTES, record.size - ENTRY_HEAD_BYTES);
			break;
		case KEPT_OUTCOMES:
			if (record.size < OUTCOMES_HEAD_BYTES)
				return malformed(log);
			item.start = get_u64(record.data + 8);
			item.end = get_u64(record.data + 16);
			item.data = nvmkv_slice(record.data + OUTCOMES_HEAD_BYTES, record.size - OUTCOMES_HEAD_BYTES);
			if (item.end <= item.start ||
				item.data.size != (record.data[1] != 0 ? nvmkv_outcome_bytes(item.start, item.end) : 0))
				return malformed(log);
			break;
		case KEPT_MARK:
		case KEPT_END:
			if (record.size != MARK_BYTES)
				return malformed(log);
			sum->closed = item.kind == KEPT_END;
			if (sum->position < get_u64(record.data + 8))
				sum->position = get_u64(record.data + 8);
			return NVMKV_OK;
		case KEPT_BEGIN:
		default:
			return malformed(log);
	}
	sum->items++;
	sum->bytes += item.data.size;
	return r->how->each != NULL ? r->how->each(r->how->ctx, &item) : NVMKV_OK;
}

static NvmkvStatus
read_file(Reader *r, uint64_t number)
{
	KeptSummary *sum = r->summary;
	LogReader log;
	KeptFile file;
	NvmkvSlice record;
	NvmkvStatus st;

	NVMKV_RETURN_IF(open_file(r->how, number, &log, &file));
	if (!file.begun)
	{
		log_reader_close(&log);
		return NVMKV_OK;
	}
	st = NVMKV_OK;
	if (!r->any)
		sum->start = sum->position = file.start;
	else if (file.start > sum->position && !sum->closed)
		st = pass_over(r, NVMKV_FAIL(NVMKV_CORRUPTION, "between %X/%X and %X/%X nothing is kept in \"%s\": a file is missing or cut short",
									 (unsigned) (sum->position >> 32), (unsigned) sum->position,
									 (unsigned) (file.start >> 32), (unsigned) file.start, r->how->dir));
	if (sum->position < file.start)
		sum->position = file.start;
	r->any = true;
	sum->closed = false;
	sum->files++;
	while (st == NVMKV_OK && (st = log_reader_next(&log, &record)) == NVMKV_OK)
		st = take_record(r, &log, record);
	log_reader_close(&log);
	return st == NVMKV_NOT_FOUND ? NVMKV_OK : st;
}

/* What counts begins with the last dump that is finished; dumps that are not are left out. */
static NvmkvStatus
choose_files(Reader *r, LogFiles *files)
{
	unsigned i, kept = 0;

	for (i = 0; i < files->count; i++)
	{
		LogReader log;
		KeptFile file;
		bool finished = false;
		NvmkvStatus st = open_file(r->how, files->numbers[i], &log, &file);

		if (st == NVMKV_OK)
		{
			if (file.begun && file.dump)
				st = is_finished(&log, &finished);
			log_reader_close(&log);
		}
		if (st != NVMKV_OK)
		{
			NVMKV_RETURN_IF(pass_over(r, st));
			continue;
		}
		if (finished)
			kept = 0;
		if (file.begun && (finished || !file.dump))
			files->numbers[kept++] = files->numbers[i];
	}
	files->count = kept;
	return NVMKV_OK;
}

NvmkvStatus
kept_read(const KeptReading *reading, KeptSummary *summary_out)
{
	Reader r = {.how = reading, .summary = summary_out};
	LogFiles files;
	unsigned i;
	NvmkvStatus st;

	memset(summary_out, 0, sizeof(*summary_out));
	NVMKV_RETURN_IF(list_files(reading->dir, &files));
	st = choose_files(&r, &files);
	for (i = 0; st == NVMKV_OK && i < files.count; i++)
	{
		st = read_file(&r, files.numbers[i]);
		if (st != NVMKV_OK)
			st = pass_over(&r, st);
	}
	port_free(files.numbers);
	return st;
}

NvmkvStatus
kept_start(const char *dir, uint64_t system_identifier, bool *found_out, uint64_t *start_out)
{
	KeptReading how = {.dir = dir, .system_identifier = system_identifier};
	LogFiles files;
	unsigned i;
	NvmkvStatus st;

	*found_out = false;
	*start_out = 0;
	NVMKV_RETURN_IF(list_files(dir, &files));
	for (i = 0, st = NVMKV_OK; st == NVMKV_OK && i < files.count && !*found_out; i++)
	{
		LogReader log;
		KeptFile file;
		bool finished = true;

		st = open_file(&how, files.numbers[i], &log, &file);
		if (st != NVMKV_OK)
			break;
		if (file.begun && file.dump)
			st = is_finished(&log, &finished);
		log_reader_close(&log);
		*found_out = st == NVMKV_OK && file.begun && finished;
		*start_out = file.start;
	}
	port_free(files.numbers);
	return st;
}
