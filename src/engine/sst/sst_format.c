/*
 * sst_format.c
 *	  Encoding and checking of an SSTable's fixed parts.
 *
 * Pure functions over bytes; the error texts name the file the caller reads.
 */
#include <inttypes.h>

#include "engine/base/crc32c.h"
#include "engine/sst/sst_format.h"
#include "engine/sst/value_refs.h"

void
sst_trailer_encode(const uint8_t *block, size_t size, unsigned codec, uint8_t trailer[SST_TRAILER_BYTES])
{
	uint32_t crc;

	memset(trailer, 0, SST_TRAILER_BYTES);
	trailer[SST_TRAILER_CODEC] = (uint8_t) codec;
	crc = crc32c(block, size);
	crc = crc32c_extend(crc, trailer + SST_TRAILER_CODEC, SST_TRAILER_BYTES - SST_TRAILER_CODEC);
	put_u32(trailer + SST_TRAILER_CRC, crc32c_mask(crc));
}

NvmkvStatus
sst_trailer_check(const uint8_t *block, size_t size, const char *path, uint64_t offset, unsigned *codec_out)
{
	const uint8_t *trailer = block + size;
	uint32_t stored = crc32c_unmask(get_u32(trailer + SST_TRAILER_CRC));
	uint32_t crc;

	crc = crc32c(block, size);
	crc = crc32c_extend(crc, trailer + SST_TRAILER_CODEC, SST_TRAILER_BYTES - SST_TRAILER_CODEC);
	if (crc != stored)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: block at %" PRIu64 " of %zu bytes: checksum is %08" PRIx32 ", expected %08" PRIx32,
						  path, offset, size, crc, stored);
	if (trailer[SST_TRAILER_ZERO] != 0 || trailer[SST_TRAILER_ZERO + 1] != 0 || trailer[SST_TRAILER_ZERO + 2] != 0)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: block at %" PRIu64 ": reserved trailer bytes are not zero", path, offset);
	if (trailer[SST_TRAILER_CODEC] > SST_CODEC_ZSTD)
		return NVMKV_FAIL(NVMKV_VERSION, "%s: block at %" PRIu64 " has the unknown codec %u" NVMKV_USE_NEWER,
						  path, offset, (unsigned) trailer[SST_TRAILER_CODEC]);
	if (codec_out != NULL)
		*codec_out = trailer[SST_TRAILER_CODEC];
	else if (trailer[SST_TRAILER_CODEC] != SST_CODEC_NONE)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: block at %" PRIu64 " is compressed, and is none of data", path, offset);
	return NVMKV_OK;
}

uint8_t *
sst_handle_encode(uint8_t *p, SstHandle handle)
{
	p = put_varint(p, handle.offset);
	return put_varint(p, handle.size);
}

const uint8_t *
sst_handle_decode(const uint8_t *p, const uint8_t *end, uint64_t limit, SstHandle *handle_out)
{
	uint64_t offset;
	uint32_t size;

	p = get_varint(p, end, &offset);
	if (p == NULL)
		return NULL;
	p = get_varint32(p, end, &size);
	if (p == NULL || size > SST_BLOCK_BYTES_MAX)
		return NULL;
	if (offset > limit || limit - offset < (uint64_t) size + SST_TRAILER_BYTES)
		return NULL;
	handle_out->offset = offset;
	handle_out->size = size;
	return p;
}

uint8_t *
sst_reference_encode(uint8_t *p, SstReference reference)
{
	return sst_handle_encode(put_varint(p, reference.number), reference.block);
}

NvmkvStatus
sst_reference_decode(NvmkvSlice bytes, SstReference *reference_out)
{
	const uint8_t *end = bytes.data + bytes.size;
	const uint8_t *p = get_varint(bytes.data, end, &reference_out->number);

	if (p != NULL)
		p = sst_handle_decode(p, end, UINT64_MAX, &reference_out->block);
	if (p != end || reference_out->number == 0 || reference_out->block.size == 0)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "the reference to a value apart is malformed");
	return NVMKV_OK;
}

void
sst_footer_encode(const SstFooter *footer, uint8_t bytes[SST_FOOTER_BYTES])
{
	put_u64(bytes + SST_FOOTER_TOP_OFFSET, footer->top.offset);
	put_u64(bytes + SST_FOOTER_TOP_SIZE, footer->top.size);
	put_u64(bytes + SST_FOOTER_PROPS_OFFSET, footer->props.offset);
	put_u64(bytes + SST_FOOTER_PROPS_SIZE, footer->props.size);
	put_u64(bytes + SST_FOOTER_FILE_BYTES, footer->file_bytes);
	put_u32(bytes + SST_FOOTER_VERSION, SST_FORMAT_VERSION);
	put_u32(bytes + SST_FOOTER_CRC, crc32c_mask(crc32c(bytes, SST_FOOTER_CRC)));
	put_u64(bytes + SST_FOOTER_MAGIC, SST_MAGIC);
}

/* Does a footer's handle lie inside the blocks' part of the file? */
static bool
footer_handle(const uint8_t *p, uint64_t limit, SstHandle *handle_out)
{
	uint64_t offset = get_u64(p);
	uint64_t size = get_u64(p + 8);

	if (size == 0 || size > SST_BLOCK_BYTES_MAX || offset > limit || limit - offset < size + SST_TRAILER_BYTES)
		return false;
	handle_out->offset = offset;
	handle_out->size = (uint32_t) size;
	return true;
}

NvmkvStatus
sst_footer_decode(const uint8_t bytes[SST_FOOTER_BYTES], uint64_t file_bytes, const char *path, SstFooter *footer_out)
{
	uint64_t limit = file_bytes - SST_FOOTER_BYTES;
	uint32_t crc = crc32c(bytes, SST_FOOTER_CRC);
	uint32_t version;

	if (get_u64(bytes + SST_FOOTER_MAGIC) != SST_MAGIC)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: no SSTable footer at %" PRIu64, path, limit);
	if (crc != crc32c_unmask(get_u32(bytes + SST_FOOTER_CRC)))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: footer at %" PRIu64 ": checksum is %08" PRIx32 ", expected %08" PRIx32,
						  path, limit, crc, crc32c_unmask(get_u32(bytes + SST_FOOTER_CRC)));
	version = get_u32(bytes + SST_FOOTER_VERSION);
	if (version != SST_FORMAT_VERSION)
		return NVMKV_FAIL(NVMKV_VERSION, "%s: SSTable has format %" PRIu32 ", this version reads %d" NVMKV_USE_NEWER,
						  path, version, SST_FORMAT_VERSION);
	footer_out->file_bytes = get_u64(bytes + SST_FOOTER_FILE_BYTES);
	if (footer_out->file_bytes != file_bytes)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: footer says %" PRIu64 " bytes, expected %" PRIu64,
						  path, footer_out->file_bytes, file_bytes);
	if (!footer_handle(bytes + SST_FOOTER_TOP_OFFSET, limit, &footer_out->top) ||
		!footer_handle(bytes + SST_FOOTER_PROPS_OFFSET, limit, &footer_out->props))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: footer at %" PRIu64 " names blocks outside of the file", path, limit);
	if (footer_out->props.offset != footer_out->top.offset + footer_out->top.size + SST_TRAILER_BYTES ||
		limit != footer_out->props.offset + footer_out->props.size + SST_TRAILER_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: top index, properties and footer at %" PRIu64 " do not follow each other", path, limit);
	return NVMKV_OK;
}

NvmkvStatus
sst_props_encode(const SstProps *props, NvmkvBuf *buf)
{
	uint8_t fixed[SST_PROPS_FIXED_BYTES];

	put_u64(fixed + SST_PROPS_ENTRIES, props->entries);
	put_u64(fixed + SST_PROPS_KEYS, props->keys);
	put_u64(fixed + SST_PROPS_DELETIONS, props->deletions);
	put_u64(fixed + SST_PROPS_KEY_BYTES, props->key_bytes);
	put_u64(fixed + SST_PROPS_PAYLOAD_BYTES, props->payload_bytes);
	put_u64(fixed + SST_PROPS_DATA_BLOCKS, props->data_blocks);
	put_u64(fixed + SST_PROPS_MIN_SEQUENCE, props->min_sequence);
	put_u64(fixed + SST_PROPS_MAX_SEQUENCE, props->max_sequence);
	put_u64(fixed + SST_PROPS_MIN_UNRESOLVED_FXID, props->min_unresolved_fxid);
	put_u32(fixed + SST_PROPS_PARTITIONS, props->partitions);
	put_u32(fixed + SST_PROPS_BLOCK_BYTES, props->block_bytes);
	put_u32(fixed + SST_PROPS_RESTART_INTERVAL, props->restart_interval);
	put_u16(fixed + SST_PROPS_BLOOM_BITS, props->bloom_bits_per_key);
	put_u16(fixed + SST_PROPS_PREFIX_BYTES, props->prefix_bytes);
	put_u32(fixed + SST_PROPS_SMALLEST_BYTES, (uint32_t) props->smallest.size);
	put_u32(fixed + SST_PROPS_LARGEST_BYTES, (uint32_t) props->largest.size);
	NVMKV_RETURN_IF(nvmkv_buf_append(buf, fixed, sizeof(fixed)));
	NVMKV_RETURN_IF(nvmkv_buf_append(buf, props->smallest.data, props->smallest.size));
	NVMKV_RETURN_IF(nvmkv_buf_append(buf, props->largest.data, props->largest.size));
	return nvmkv_buf_append(buf, props->references.data, props->references.size);
}

NvmkvStatus
sst_props_decode(NvmkvSlice bytes, const char *path, SstProps *props_out)
{
	const uint8_t *fixed = bytes.data;
	uint64_t smallest_bytes;
	uint64_t largest_bytes;
	size_t known;

	if (bytes.size < SST_PROPS_FIXED_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: properties of %zu bytes", path, bytes.size);
	smallest_bytes = get_u32(fixed + SST_PROPS_SMALLEST_BYTES);
	largest_bytes = get_u32(fixed + SST_PROPS_LARGEST_BYTES);
	if (smallest_bytes > NVMKV_KEY_BYTES_MAX || largest_bytes > NVMKV_KEY_BYTES_MAX ||
		bytes.size < SST_PROPS_FIXED_BYTES + smallest_bytes + largest_bytes)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: properties of %zu bytes with boundary keys of %" PRIu64 " and %" PRIu64 " bytes",
						  path, bytes.size, smallest_bytes, largest_bytes);
	props_out->entries = get_u64(fixed + SST_PROPS_ENTRIES);
	props_out->keys = get_u64(fixed + SST_PROPS_KEYS);
	props_out->deletions = get_u64(fixed + SST_PROPS_DELETIONS);
	props_out->key_bytes = get_u64(fixed + SST_PROPS_KEY_BYTES);
	props_out->payload_bytes = get_u64(fixed + SST_PROPS_PAYLOAD_BYTES);
	props_out->data_blocks = get_u64(fixed + SST_PROPS_DATA_BLOCKS);
	props_out->min_sequence = get_u64(fixed + SST_PROPS_MIN_SEQUENCE);
	props_out->max_sequence = get_u64(fixed + SST_PROPS_MAX_SEQUENCE);
	props_out->min_unresolved_fxid = get_u64(fixed + SST_PROPS_MIN_UNRESOLVED_FXID);
	props_out->partitions = get_u32(fixed + SST_PROPS_PARTITIONS);
	props_out->block_bytes = get_u32(fixed + SST_PROPS_BLOCK_BYTES);
	props_out->restart_interval = get_u32(fixed + SST_PROPS_RESTART_INTERVAL);
	props_out->bloom_bits_per_key = get_u16(fixed + SST_PROPS_BLOOM_BITS);
	props_out->prefix_bytes = get_u16(fixed + SST_PROPS_PREFIX_BYTES);
	props_out->smallest = nvmkv_slice(fixed + SST_PROPS_FIXED_BYTES, smallest_bytes);
	props_out->largest = nvmkv_slice(fixed + SST_PROPS_FIXED_BYTES + smallest_bytes, largest_bytes);
	known = SST_PROPS_FIXED_BYTES + smallest_bytes + largest_bytes;
	props_out->references = nvmkv_slice(fixed + known, bytes.size - known);
	if (!value_refs_check(props_out->references, &props_out->value_bytes))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: the properties' references to value tables are malformed", path);
	return NVMKV_OK;
}

size_t
sst_separator(NvmkvSlice left, NvmkvSlice right, uint8_t *buf)
{
	size_t n = left.size < right.size ? left.size : right.size;
	size_t i = 0;

	while (i < n && left.data[i] == right.data[i])
		i++;
	if (i < left.size && i < right.size && left.data[i] + 1 < right.data[i])
	{
		memcpy(buf, left.data, i + 1);
		buf[i]++;
		return i + 1;
	}

	/*
	 * The first differing byte cannot grow without meeting right's.  Any byte
	 * of left behind it can: what stands before it is already below right.
	 */
	for (i++; i < left.size; i++)
	{
		if (left.data[i] != 0xff)
		{
			memcpy(buf, left.data, i + 1);
			buf[i]++;
			return i + 1;
		}
	}
	if (left.size > 0)
		memcpy(buf, left.data, left.size);
	return left.size;
}
