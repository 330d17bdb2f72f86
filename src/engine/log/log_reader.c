/*
 * log_reader.c
 *	  Reading a log whose end may be unfinished.
 *
 * Wherever the expected fragment is not there, judge_end decides: is this the
 * end of the log, or has the medium lost records?  The rule and the reason are
 * in log_format.h ("synced").
 */
#include "engine/log/log_reader.h"

#include <inttypes.h>

#include "engine/base/coding.h"

#define NO_BLOCK UINT64_MAX

/* Brings the block at "offset" (a multiple of the block size) in; block_bytes is 0 past the file's end. */
static NvmkvStatus
load_block(LogReader *r, uint64_t offset)
{
	if (r->block_offset == offset)
		return NVMKV_OK;
	r->block_offset = NO_BLOCK;
	NVMKV_RETURN_IF(port_files->read_some(r->file, offset, r->block, LOG_BLOCK_BYTES, &r->block_bytes));
	r->block_offset = offset;
	return NVMKV_OK;
}

static bool
is_zero(const uint8_t *p, size_t size)
{
	return size == 0 || (p[0] == 0 && memcmp(p, p + 1, size - 1) == 0);
}

/* Is there proof in the loaded block, from "from" on, that bytes beyond "end" were durable? */
static bool
block_proves_loss(const LogReader *r, size_t from, bool every_byte, uint64_t end)
{
	size_t at = from;

	while (at + LOG_FRAGMENT_HEADER_BYTES <= r->block_bytes)
	{
		LogFragment fragment;

		if (log_fragment_decode(r->block + at, r->block_bytes - at, (uint32_t) r->number, &fragment))
		{
			if (fragment.synced > end)
				return true;
			at += LOG_FRAGMENT_HEADER_BYTES + fragment.payload.size;
		}
		else if (every_byte)
			at++;
		else
			break;
	}
	return false;
}

/*
 * The log seems to end at "end"; nothing good is known from "from" on.
 * In the block of "from" every byte may start a fragment, since the length that would lead to the next one is
 * lost.  Later blocks start with a fragment, so there payload bytes are never taken for one.
 */
static NvmkvStatus
judge_end(LogReader *r, uint64_t end, uint64_t from, bool torn)
{
	uint64_t block = from - from % LOG_BLOCK_BYTES;
	bool every_byte = true;
	size_t at = (size_t) (from % LOG_BLOCK_BYTES);

	for (;;)
	{
		NVMKV_RETURN_IF(load_block(r, block));
		if (r->block_bytes == 0)
			break;
		if (at < r->block_bytes && !is_zero(r->block + at, r->block_bytes - at) &&
			block_proves_loss(r, at, every_byte, end))
			return NVMKV_FAIL(NVMKV_CORRUPTION,
							  "log file \"%s\" is damaged at offset %" PRIu64 ": durable records behind it are good",
							  port_file_path(r->file), end);
		every_byte = false;
		at = 0;
		block += LOG_BLOCK_BYTES;
	}
	r->end = torn ? LOG_END_TORN : LOG_END_CLEAN;
	r->end_offset = end;
	return NVMKV_OK;
}

NvmkvStatus
log_reader_open(LogReader *r, const char *path, uint32_t kind, uint64_t number)
{
	NvmkvStatus status;
	uint64_t found = 0;

	memset(r, 0, sizeof(*r));
	r->number = number;
	r->block_offset = NO_BLOCK;
	r->offset = LOG_FILE_HEADER_BYTES;
	r->record_offset = LOG_FILE_HEADER_BYTES;
	r->block = port_alloc(LOG_BLOCK_BYTES);
	if (r->block == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to read log file \"%s\"", path);
	status = port_files->open(path, PORT_FILE_READ, &r->file);
	if (status == NVMKV_OK)
		status = load_block(r, 0);
	if (status == NVMKV_OK)
	{
		if (r->block_bytes < LOG_FILE_HEADER_BYTES)
			status = NVMKV_FAIL(NVMKV_CORRUPTION, "log file \"%s\" has %zu bytes: no header", path, r->block_bytes);
		else
			status = log_file_header_decode(r->block, kind, &found);
		if (status == NVMKV_VERSION || status == NVMKV_INVALID)
			status = NVMKV_FAIL(status, "\"%s\": %s", path, nvmkv_error()->text);

		/*
		 * A creation makes the header durable before the first record is synced.  So a missing or foreign header
		 * means that nothing was ever acknowledged here, unless a synced record behind it proves the contrary.
		 */
		if (status == NVMKV_CORRUPTION || (status == NVMKV_OK && found != number))
			status = judge_end(r, 0, 0, r->block_bytes > 0);
	}
	if (status != NVMKV_OK)
		log_reader_close(r);
	return status;
}

/* One step of log_reader_next: *done_out when a record is complete. */
static NvmkvStatus
read_fragment(LogReader *r, bool *in_record, bool *done_out, NvmkvSlice *record_out)
{
	LogFragment fragment;
	uint64_t block = r->offset - r->offset % LOG_BLOCK_BYTES;
	size_t at = (size_t) (r->offset % LOG_BLOCK_BYTES);
	uint64_t end;
	bool starts;
	bool ends;

	*done_out = false;
	if (LOG_BLOCK_BYTES - at < LOG_FRAGMENT_HEADER_BYTES)
	{
		r->offset = block + LOG_BLOCK_BYTES;
		return NVMKV_OK;
	}
	end = *in_record ? r->record_offset : r->offset;
	NVMKV_RETURN_IF(load_block(r, block));
	if (at >= r->block_bytes)
		return judge_end(r, end, r->offset, *in_record);
	if (!log_fragment_decode(r->block + at, r->block_bytes - at, (uint32_t) r->number, &fragment))
	{
		/* Zeros are a preallocated file, a good fragment of another log is a recycled one: nothing was begun here. */
		size_t left = r->block_bytes - at;
		bool begun = *in_record ||
					 !(is_zero(r->block + at, left < LOG_FRAGMENT_HEADER_BYTES ? left : LOG_FRAGMENT_HEADER_BYTES) ||
					   (left >= LOG_FRAGMENT_HEADER_BYTES &&
						get_u32(r->block + at + 8) != (uint32_t) r->number &&
						log_fragment_decode(r->block + at, left, get_u32(r->block + at + 8), &fragment)));

		return judge_end(r, end, r->offset, begun);
	}

	starts = fragment.type == LOG_FRAGMENT_FULL || fragment.type == LOG_FRAGMENT_FIRST;
	ends = fragment.type == LOG_FRAGMENT_FULL || fragment.type == LOG_FRAGMENT_LAST;
	if (starts == *in_record)
	{
		/* A record inside another, or a piece without its beginning: left by an attempt that found the disk full. */
		return judge_end(r, end, r->offset, true);
	}
	if (starts)
	{
		r->record_offset = r->offset;
		r->record.size = 0;
	}
	r->offset += LOG_FRAGMENT_HEADER_BYTES + fragment.payload.size;
	if (fragment.type == LOG_FRAGMENT_FULL)
		*record_out = fragment.payload;
	else
	{
		NVMKV_RETURN_IF(nvmkv_buf_append(&r->record, fragment.payload.data, fragment.payload.size));
		*record_out = nvmkv_buf_slice(&r->record);
	}
	*in_record = !ends;
	*done_out = ends;
	return NVMKV_OK;
}

NvmkvStatus
log_reader_next(LogReader *r, NvmkvSlice *record_out)
{
	bool in_record = false;
	bool done = false;

	*record_out = nvmkv_slice(NULL, 0);
	if (r->failed != NVMKV_OK)
		return NVMKV_FAIL(r->failed, "log file \"%s\" could not be read further than offset %" PRIu64,
						  port_file_path(r->file), r->offset);
	while (!done)
	{
		NvmkvStatus status;

		if (r->end != LOG_END_NOT_YET)
			return NVMKV_NOT_FOUND;
		status = read_fragment(r, &in_record, &done, record_out);
		if (status != NVMKV_OK)
		{
			r->failed = status;
			*record_out = nvmkv_slice(NULL, 0);
			return status;
		}
	}
	return NVMKV_OK;
}

void
log_reader_close(LogReader *r)
{
	if (r->file != NULL)
		port_files->close(r->file);
	port_free(r->block);
	nvmkv_buf_free(&r->record);
	memset(r, 0, sizeof(*r));
}
