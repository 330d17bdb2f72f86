/*
 * sst_codec.h
 *	  Compression of data blocks: LZ4, Zstandard.
 *
 * A compressed block is stored as
 *	  size u32 of what it expands to, compressed bytes
 * and its trailer names the codec; the checksum covers what is stored.  A block
 * that does not become an eighth smaller is stored as it is, so a codec never
 * costs more than that much of a reader's time for nothing.
 */
#ifndef NVMKV_SST_CODEC_H
#define NVMKV_SST_CODEC_H

#include "engine/sst/sst_format.h"

/* Compresses for one builder.  All zero: no compression. */
typedef struct SstCompressor
{
	unsigned codec; /* SST_CODEC_* */
	void *zstd;		/* its context, made at first use */
	NvmkvBuf out;
} SstCompressor;

/*
 * *stored_out: the block as it is to be stored, in c->out, good until the next call; or raw itself, if it is stored as
 * it is.  *codec_out: for its trailer.  NO_MEMORY.
 */
extern NvmkvStatus sst_compress(SstCompressor *c, NvmkvSlice raw, NvmkvSlice *stored_out, unsigned *codec_out);
extern void sst_compressor_free(SstCompressor *c);

/* What a compressed block expands to, 1 .. SST_BLOCK_BYTES_MAX; CORRUPTION.  path and offset name it in the text. */
extern NvmkvStatus sst_expanded_bytes(NvmkvSlice stored, const char *path, uint64_t offset, uint32_t *bytes_out);

/*
 * Expands a block to "room", which has as many bytes as sst_expanded_bytes said.  *context: kept between calls by the
 * caller, NULL at first; given back with sst_expander_free.
 * CORRUPTION, NO_MEMORY.
 */
extern NvmkvStatus sst_expand(unsigned codec, NvmkvSlice stored, uint8_t *room, uint32_t bytes, void **context,
							  const char *path, uint64_t offset);
extern void sst_expander_free(void *context);

#endif
