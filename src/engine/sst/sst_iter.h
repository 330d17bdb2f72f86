/*
 * sst_iter.h
 *	  An iterator over one SSTable, forwards and backwards.
 *
 * The struct is the caller's memory; nothing is allocated for it, except the
 * read-ahead buffer of a bulk iterator and blocks the cache does not take.  It
 * holds a reference on the table, and one index and one data block.
 *
 * What it holds of the block cache is good within one epoch.  Who uses it in
 * several asks at the start of each whether it is still good, and seeks anew if
 * it is not; a bulk iterator holds nothing of the cache and may be used
 * outside of epochs.
 *
 * Only destroy gives table and memory back.  An iterator whose owner is left by
 * a non-local exit must lie where the owner's clean-up finds it and destroys it;
 * destroy is harmless on a destroyed iterator.
 */
#ifndef NVMKV_SST_ITER_H
#define NVMKV_SST_ITER_H

#include "engine/base/iter.h"
#include "engine/sst/sst_table.h"

typedef enum SstIterMode
{
	SST_ITER_CACHED, /* blocks through the block cache */
	SST_ITER_BULK	 /* past the cache, with large reads when moving forwards: compaction */
} SstIterMode;

typedef struct SstIter
{
	NvmkvIter base;
	SstTable *table; /* NULL: destroyed */
	SstIterMode mode;
	SstBlockCursor top;
	SstBlockCursor index;
	SstBlockCursor data;
	SstHandle index_handle; /* of the blocks; size 0 = none */
	SstHandle data_handle;
	SstBlock index_block;
	SstBlock data_block;		/* none in bulk mode, where the block is in "chunk" */
	NvmkvBuf chunk;				/* bulk: bytes of the file from chunk_offset */
	uint64_t chunk_offset;
	NvmkvBuf expanded;			/* bulk: the data block, if it is stored compressed */
	uint8_t key_buffer[SST_KEY_BUFFER_BYTES];
} SstIter;

/* The iterator stands nowhere; takes a reference on the table. */
extern void sst_iter_init(SstIter *it, SstTable *table, SstIterMode mode);

/*
 * To be called in a new epoch.  true: the iterator may go on where it stands.  false: its blocks have left the cache;
 * it must be sought anew before anything else.
 */
extern bool sst_iter_renew(SstIter *it);

/*
 * Point lookup: stands on the newest version of "key" whose tag is <= "tag", with hash = filter_hash(key); not valid when
 * the table has none, which the filter usually tells without reading data.  base.next then leads to its older versions
 * and on to the next key, as after a seek.
 */
extern void sst_iter_seek_key(SstIter *it, NvmkvSlice key, uint64_t tag, uint64_t hash);

#endif
