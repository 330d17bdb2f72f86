/*
 * sst_iter.h
 *	  An iterator over one SSTable, forwards and backwards.
 *
 * The struct is the caller's memory; nothing is allocated for it, except the
 * read-ahead buffer and blocks the cache does not take.  It holds a reference on
 * the table, and one index and one data block.
 *
 * Long scans read ahead: after some data blocks in a row that the cache does
 * not have, and has no free room for, the next ones come in one read, into the
 * iterator's own memory and not by way of the cache, which a scan larger than it
 * would only empty.
 *
 * What it holds of the block cache is good within one epoch.  Who uses it in
 * several asks at the start of each whether it is still good, and seeks anew if
 * it is not; a bulk iterator holds nothing of the cache and may be used
 * outside of epochs.
 *
 * With a sink, which a bulk iterator may have, it goes round blocks that are
 * damaged, forwards; the keys left out are those between the separators.
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
	NvmkvDamageSink *sink; /* set by the owner after sst_iter_init; NULL: damage is a failure */
	SstBlockCursor top;
	SstBlockCursor index;
	SstBlockCursor data;
	SstHandle index_handle; /* of the blocks; size 0 = none */
	SstHandle data_handle;
	SstBlock index_block;
	unsigned data_blocks;		/* asked for since sst_iter_init */
	SstBlock data_block;		/* none if the block is in "chunk" */
	uint64_t behind;			/* offset behind the last data block loaded */
	unsigned run;				/* blocks loaded in a row that the cache has no room for */
	NvmkvBuf chunk;				/* read ahead: bytes of the file from chunk_offset */
	uint64_t chunk_offset;
	NvmkvBuf expanded;			/* a data block of the chunk, if it is stored compressed */
	uint8_t key_buffer[SST_KEY_BUFFER_BYTES];
} SstIter;

/*
 * base.next within the data block, without a call: false, and nothing done, where base.next has more to do.  REQUIRES
 * valid.
 */
static inline bool
sst_iter_step(SstIter *it)
{
	if (!sst_block_cursor_next(&it->data))
		return false;
	it->base.key = it->data.key;
	it->base.tag = it->data.tag;
	it->base.payload = it->data.payload;
	return true;
}

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
