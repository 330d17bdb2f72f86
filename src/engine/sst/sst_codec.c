/*
 * sst_codec.c
 *	  See sst_codec.h.
 */
#include "engine/sst/sst_codec.h"

#include <inttypes.h>
#include <limits.h>
#include <lz4.h>
#include <zstd.h>

#include "engine/base/assert.h"

#define SIZE_BYTES 4

/* Its default: for more, the time of compaction goes up faster than the size comes down. */
#define ZSTD_LEVEL 3

/* ---- compression ---- */

static NvmkvStatus
compress_zstd(SstCompressor *c, NvmkvSlice raw, size_t *bytes_out)
{
	size_t bound = ZSTD_compressBound(raw.size);
	size_t n;

	if (c->zstd == NULL)
		c->zstd = ZSTD_createCCtx();
	if (c->zstd == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to compress a block");
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&c->out, SIZE_BYTES + bound));
	n = ZSTD_compressCCtx(c->zstd, c->out.data + SIZE_BYTES, bound, raw.data, raw.size, ZSTD_LEVEL);
	/* There is room for anything: only its own memory can have failed. */
	if (ZSTD_isError(n))
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "cannot compress a block: %s", ZSTD_getErrorName(n));
	*bytes_out = n;
	return NVMKV_OK;
}

static NvmkvStatus
compress_lz4(SstCompressor *c, NvmkvSlice raw, size_t *bytes_out)
{
	int bound = LZ4_compressBound((int) raw.size);

	NVMKV_RETURN_IF(nvmkv_buf_reserve(&c->out, SIZE_BYTES + (size_t) bound));
	*bytes_out = (size_t) LZ4_compress_default((const char *) raw.data, (char *) c->out.data + SIZE_BYTES,
											   (int) raw.size, bound);
	return NVMKV_OK;
}

NvmkvStatus
sst_compress(SstCompressor *c, NvmkvSlice raw, NvmkvSlice *stored_out, unsigned *codec_out)
{
	size_t bytes = 0;

	NVMKV_ASSERT(raw.size <= SST_BLOCK_BYTES_MAX);
	*stored_out = raw;
	*codec_out = SST_CODEC_NONE;
	if (c->codec == SST_CODEC_NONE)
		return NVMKV_OK;
	c->out.size = 0;
	NVMKV_RETURN_IF(c->codec == SST_CODEC_LZ4 ? compress_lz4(c, raw, &bytes) : compress_zstd(c, raw, &bytes));
	if (bytes == 0 || SIZE_BYTES + bytes > raw.size - raw.size / 8)
		return NVMKV_OK;
	put_u32(c->out.data, (uint32_t) raw.size);
	c->out.size = SIZE_BYTES + bytes;
	*stored_out = nvmkv_buf_slice(&c->out);
	*codec_out = c->codec;
	return NVMKV_OK;
}

void
sst_compressor_free(SstCompressor *c)
{
	(void) ZSTD_freeCCtx(c->zstd);
	c->zstd = NULL;
	nvmkv_buf_free(&c->out);
}

/* ---- expansion ---- */

NvmkvStatus
sst_expanded_bytes(NvmkvSlice stored, const char *path, uint64_t offset, uint32_t *bytes_out)
{
	uint32_t bytes = stored.size > SIZE_BYTES ? get_u32(stored.data) : 0;

	if (bytes == 0 || bytes > SST_BLOCK_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: block at %" PRIu64 " of %zu bytes says that it expands to %" PRIu32,
						  path, offset, stored.size, bytes);
	*bytes_out = bytes;
	return NVMKV_OK;
}

static NvmkvStatus
expand_zstd(NvmkvSlice compressed, uint8_t *room, uint32_t bytes, void **context, bool *right_out)
{
	size_t n;

	if (*context == NULL)
		*context = ZSTD_createDCtx();
	if (*context == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to expand a block");
	n = ZSTD_decompressDCtx(*context, room, bytes, compressed.data, compressed.size);
	*right_out = !ZSTD_isError(n) && n == bytes;
	return NVMKV_OK;
}

NvmkvStatus
sst_expand(unsigned codec, NvmkvSlice stored, uint8_t *room, uint32_t bytes, void **context, const char *path,
		   uint64_t offset)
{
	NvmkvSlice compressed = nvmkv_slice(stored.data + SIZE_BYTES, stored.size - SIZE_BYTES);
	bool right;

	if (codec == SST_CODEC_ZSTD)
		NVMKV_RETURN_IF(expand_zstd(compressed, room, bytes, context, &right));
	else
		right = compressed.size <= INT_MAX &&
			LZ4_decompress_safe((const char *) compressed.data, (char *) room, (int) compressed.size, (int) bytes) ==
				(int) bytes;
	if (!right)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: block at %" PRIu64 " does not expand to %" PRIu32 " bytes though its checksum is right",
						  path, offset, bytes);
	return NVMKV_OK;
}

void
sst_expander_free(void *context)
{
	(void) ZSTD_freeDCtx(context);
}
