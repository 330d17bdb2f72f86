/*
 * sst_iter.h
 *	  An iterator over one SSTable, forwards and backwards.
 *
 * The struct is the caller's memory; nothing is allocated for it, except the
 * read-ahead buffer of a bulk iterator.  It holds a reference on the table and
 * pins at most one index and one data block.
 *
 * Only destroy gives these back.  An iterator whose owner is left by a
 * non-local exit must lie where the owner's clean-up finds it and destroys it;
 * destroy is harmless on a destroyed iterator.
 */
#ifndef NVMKV_SST_ITER_H
#define NVMKV_SST_ITER_H

#include "engine/base/iter.h"
#include "engine/sst/sst_table.h"

typedef enum SstIterMode
{
	SST_ITER_CACHED, /* data blocks through the block cache */
	SST_ITER_BULK	 /* data blocks past the cache, with large reads when moving forwards: compaction */
} SstIterMode;

typedef struct SstIter
{
	NvmkvIter base;
	SstTable *table; /* NULL: destroyed */
	SstIterMode mode;
	SstBlockCursor top;
	SstBlockCursor index;
	SstBlockCursor data;
	SstHandle index_handle; /* of the pinned blocks; size 0 = none */
	SstHandle data_handle;
	SstCacheBlock *index_block;
	SstCacheBlock *data_block;	/* NULL in bulk mode, where the block is in "chunk" */
	NvmkvBuf chunk;				/* bulk: bytes of the file from chunk_offset */
	uint64_t chunk_offset;
	uint8_t key_buffer[SST_KEY_BUFFER_BYTES];
} SstIter;

/* The iterator stands nowhere; takes a reference on the table. */
extern void sst_iter_init(SstIter *it, SstTable *table, SstIterMode mode);

/*
 * Point lookup: stands on the newest version of "key" whose tag is <= "tag", with hash = filter_hash(key); not valid when
 * the table has none, which the filter usually tells without reading data.  base.next then leads to its older versions
 * and on to the next key, as after a seek.
 */
extern void sst_iter_seek_key(SstIter *it, NvmkvSlice key, uint64_t tag, uint64_t hash);

#endif
