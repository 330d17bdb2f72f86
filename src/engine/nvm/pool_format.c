/*
 * pool_format.c
 *	  See pool_format.h.
 */
#include "engine/nvm/pool_format.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/coding.h"
#include "engine/base/crc32c.h"

void
nvm_pool_header_encode(const NvmPoolHeader *header, uint8_t bytes_out[NVM_POOL_HEADER_BYTES])
{
	memset(bytes_out, 0, NVM_POOL_HEADER_BYTES);
	put_u64(bytes_out + NVM_POOL_OFFSET_MAGIC, NVM_POOL_MAGIC);
	put_u32(bytes_out + NVM_POOL_OFFSET_FORMAT, NVM_POOL_FORMAT);
	put_u32(bytes_out + NVM_POOL_OFFSET_EXTENT_BYTES, (uint32_t) NVM_EXTENT_BYTES);
	put_u32(bytes_out + NVM_POOL_OFFSET_EXTENT_COUNT, header->extent_count);
	put_u64(bytes_out + NVM_POOL_OFFSET_SYSTEM, header->system_identifier);
	put_u64(bytes_out + NVM_POOL_OFFSET_POOL_ID, header->pool_id);
	put_u32(bytes_out + NVM_POOL_OFFSET_CRC, crc32c_mask(crc32c(bytes_out, NVM_POOL_OFFSET_CRC)));
}

bool
nvm_pool_is_zero(const uint8_t *p, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
	{
		if (p[i] != 0)
			return false;
	}
	return true;
}

NvmkvStatus
nvm_pool_header_decode(const uint8_t *bytes, const char *path, NvmPoolHeader *header_out)
{
	uint32_t crc = crc32c_mask(crc32c(bytes, NVM_POOL_OFFSET_CRC));

	memset(header_out, 0, sizeof(*header_out));
	if (get_u64(bytes + NVM_POOL_OFFSET_MAGIC) != NVM_POOL_MAGIC)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" is not a pool (wrong magic); name another file, or restore this one", path);
	if (get_u32(bytes + NVM_POOL_OFFSET_CRC) != crc)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\": header has crc %08x, expected %08x; restore it from a backup",
						  path, get_u32(bytes + NVM_POOL_OFFSET_CRC), crc);
	if (get_u32(bytes + NVM_POOL_OFFSET_FORMAT) != NVM_POOL_FORMAT)
		return NVMKV_FAIL(NVMKV_VERSION, "pool \"%s\" has format %u, this version reads %d" NVMKV_USE_NEWER,
						  path, get_u32(bytes + NVM_POOL_OFFSET_FORMAT), NVM_POOL_FORMAT);
	if (get_u32(bytes + NVM_POOL_OFFSET_EXTENT_BYTES) != NVM_EXTENT_BYTES)
		return NVMKV_FAIL(NVMKV_VERSION, "pool \"%s\" has extents of %u bytes, this version uses %" PRIu64 NVMKV_USE_NEWER,
						  path, get_u32(bytes + NVM_POOL_OFFSET_EXTENT_BYTES), NVM_EXTENT_BYTES);
	header_out->extent_count = get_u32(bytes + NVM_POOL_OFFSET_EXTENT_COUNT);
	header_out->system_identifier = get_u64(bytes + NVM_POOL_OFFSET_SYSTEM);
	header_out->pool_id = get_u64(bytes + NVM_POOL_OFFSET_POOL_ID);
	if (header_out->extent_count == 0 || header_out->extent_count > NVM_EXTENTS_MAX || header_out->pool_id == 0 ||
		!nvm_pool_is_zero(bytes + NVM_POOL_OFFSET_ZERO1, 4) || !nvm_pool_is_zero(bytes + NVM_POOL_OFFSET_ZERO2, 20))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\": header fields are out of range (%u extents)", path, header_out->extent_count);
	return NVMKV_OK;
}
