/*
 * log_format.c
 *	  Encoding and decoding of log_format.h; no files, no state.
 */
#include "engine/log/log_format.h"

#include "engine/base/coding.h"
#include "engine/base/crc32c.h"

static const uint8_t log_magic[8] = {'N', 'V', 'M', 'K', 'V', 'L', 'O', 'G'};

void
log_file_header_encode(uint8_t *header, uint32_t kind, uint64_t number)
{
	memcpy(header, log_magic, sizeof(log_magic));
	put_u32(header + 8, LOG_FORMAT_VERSION);
	put_u32(header + 12, kind);
	put_u64(header + 16, number);
	put_u32(header + 24, 0);
	put_u32(header + 28, crc32c_mask(crc32c(header, 28)));
}

NvmkvStatus
log_file_header_decode(const uint8_t *header, uint32_t kind, uint64_t *number_out)
{
	if (memcmp(header, log_magic, sizeof(log_magic)) != 0)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "not a log file: the magic number is missing");
	if (crc32c_unmask(get_u32(header + 28)) != crc32c(header, 28))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "log file header fails its checksum");
	if (get_u32(header + 8) != LOG_FORMAT_VERSION)
		return NVMKV_FAIL(NVMKV_VERSION, "log file has format %u, this version reads %u" NVMKV_USE_NEWER,
						  get_u32(header + 8), (unsigned) LOG_FORMAT_VERSION);
	if (get_u32(header + 12) != kind)
		return NVMKV_FAIL(NVMKV_INVALID, "log file is of kind %u, expected %u", get_u32(header + 12), kind);
	if (get_u32(header + 24) != 0)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "log file header has unknown bytes");
	*number_out = get_u64(header + 16);
	return NVMKV_OK;
}

bool
log_fragment_decode(const uint8_t *p, size_t size, uint32_t number, LogFragment *fragment_out)
{
	size_t length;

	/* Cheapest tests first: a scan calls this at every byte of a damaged block. */
	if (size < LOG_FRAGMENT_HEADER_BYTES || get_u32(p + 8) != number)
		return false;
	length = get_u16(p + 4);
	if (p[6] < LOG_FRAGMENT_FULL || p[6] > LOG_FRAGMENT_LAST || p[7] != 0 || length > size - LOG_FRAGMENT_HEADER_BYTES)
		return false;
	if (crc32c_unmask(get_u32(p)) != crc32c(p + 4, LOG_FRAGMENT_HEADER_BYTES - 4 + length))
		return false;
	fragment_out->type = p[6];
	fragment_out->synced = get_u32(p + 12);
	fragment_out->payload = nvmkv_slice(p + LOG_FRAGMENT_HEADER_BYTES, length);
	return true;
}

/* Bytes left in the block of "offset". */
static size_t
block_left(uint64_t offset)
{
	return LOG_BLOCK_BYTES - (size_t) (offset % LOG_BLOCK_BYTES);
}

uint64_t
log_record_end(uint64_t offset, uint64_t bytes)
{
	const uint64_t full = LOG_BLOCK_BYTES - LOG_FRAGMENT_HEADER_BYTES;
	uint64_t room;

	if (block_left(offset) < LOG_FRAGMENT_HEADER_BYTES)
		offset += block_left(offset);
	room = block_left(offset) - LOG_FRAGMENT_HEADER_BYTES;
	if (bytes <= room)
		return offset + LOG_FRAGMENT_HEADER_BYTES + bytes;

	/* The rest of this block, then whole blocks, then what remains. */
	offset += LOG_FRAGMENT_HEADER_BYTES + room;
	bytes -= room;
	offset += (bytes - 1) / full * LOG_BLOCK_BYTES;
	return offset + LOG_FRAGMENT_HEADER_BYTES + ((bytes - 1) % full + 1);
}

/* A place in the record's parts. */
typedef struct PartCursor
{
	const NvmkvSlice *parts;
	unsigned nparts;
	unsigned part;
	size_t done; /* of parts[part] */
} PartCursor;

/* The next run of at most "max" contiguous bytes; steps over it. */
static NvmkvSlice
next_run(PartCursor *c, size_t max)
{
	NvmkvSlice run;

	while (c->done == c->parts[c->part].size)
	{
		c->part++;
		c->done = 0;
	}
	run = nvmkv_slice(c->parts[c->part].data + c->done, c->parts[c->part].size - c->done);
	if (run.size > max)
		run.size = max;
	c->done += run.size;
	return run;
}

static uint32_t
crc_of_fragment(const uint8_t *header, PartCursor c, size_t length)
{
	uint32_t crc = crc32c(header + 4, LOG_FRAGMENT_HEADER_BYTES - 4);

	while (length > 0)
	{
		NvmkvSlice run = next_run(&c, length);

		crc = crc32c_extend(crc, run.data, run.size);
		length -= run.size;
	}
	return crc;
}

NvmkvStatus
log_record_frame(uint64_t offset, uint32_t number, uint32_t synced,
				 const NvmkvSlice *parts, unsigned nparts, LogSink sink, void *ctx)
{
	static const uint8_t zeros[LOG_FRAGMENT_HEADER_BYTES];
	PartCursor c = {parts, nparts, 0, 0};
	uint64_t left = 0;
	bool first = true;
	unsigned i;

	for (i = 0; i < nparts; i++)
		left += parts[i].size;
	do
	{
		uint8_t header[LOG_FRAGMENT_HEADER_BYTES];
		size_t room = block_left(offset);
		size_t length;
		bool last;

		if (room < LOG_FRAGMENT_HEADER_BYTES)
		{
			NVMKV_RETURN_IF(sink(ctx, zeros, room));
			offset += room;
			room = LOG_BLOCK_BYTES;
		}
		room -= LOG_FRAGMENT_HEADER_BYTES;
		last = left <= room;
		length = last ? (size_t) left : room;

		put_u16(header + 4, (uint16_t) length);
		if (first)
			header[6] = last ? LOG_FRAGMENT_FULL : LOG_FRAGMENT_FIRST;
		else
			header[6] = last ? LOG_FRAGMENT_LAST : LOG_FRAGMENT_MIDDLE;
		header[7] = 0;
		put_u32(header + 8, number);
		put_u32(header + 12, synced);
		put_u32(header, crc32c_mask(crc_of_fragment(header, c, length)));
		NVMKV_RETURN_IF(sink(ctx, header, sizeof(header)));

		offset += sizeof(header) + length;
		left -= length;
		while (length > 0)
		{
			NvmkvSlice run = next_run(&c, length);

			NVMKV_RETURN_IF(sink(ctx, run.data, run.size));
			length -= run.size;
		}
		first = false;
	} while (left > 0);
	return NVMKV_OK;
}
