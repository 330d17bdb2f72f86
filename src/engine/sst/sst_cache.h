/*
 * sst_cache.h
 *	  The block cache: checked, uncompressed blocks by (file number, offset).
 *
 * One for each open database and process; used by one thread.  The interface
 * is what a cache in shared memory could offer too: a block is allocated, read
 * into by its finder, then inserted, where another finder may have been first.
 *
 * A pinned block keeps its bytes until it is unpinned.  Whoever pins has an
 * owner that unpins after an error or a non-local exit: SstIter's destroy.
 * File numbers are never used twice in a database, so a block never goes stale.
 */
#ifndef NVMKV_SST_CACHE_H
#define NVMKV_SST_CACHE_H

#include "engine/base/slice.h"

#define SST_CACHE_BYTES_DEFAULT (16u * 1024 * 1024)

typedef struct SstCache SstCache;

/* data is aligned to 64 bytes. The rest of the block is the cache's. */
typedef struct SstCacheBlock
{
	const uint8_t *data;
	uint32_t size;
} SstCacheBlock;

/* How long a block stays without being asked for: index and filter blocks outlive data blocks of a scan. */
typedef enum SstCachePriority
{
	SST_CACHE_LOW = 1,
	SST_CACHE_HIGH = 3
} SstCachePriority;

typedef struct SstCacheStats
{
	uint64_t hits;
	uint64_t misses;
	uint64_t evictions;
	uint64_t bytes;	 /* memory of all blocks, pinned or not */
	uint64_t blocks; /* how many can be found */
	uint64_t pins;	 /* not yet unpinned */
} SstCacheStats;

extern NvmkvStatus sst_cache_create(uint64_t limit_bytes, SstCache **cache_out);

/* REQUIRES that nothing is pinned. */
extern void sst_cache_destroy(SstCache *cache);

/* A new bound for its memory; shrinks at once as far as pins allow. */
extern void sst_cache_set_limit(SstCache *cache, uint64_t limit_bytes);

/* The block, pinned; NULL when it is not here. */
extern SstCacheBlock *sst_cache_get(SstCache *cache, uint64_t number, uint64_t offset);

/*
 * Memory for a block of "size" bytes with "extra" bytes of room behind it,
 * pinned, known to the caller only; *room_out is where to read to.  Evicts
 * others.  Unpinning it without inserting it frees it.
 */
extern NvmkvStatus sst_cache_alloc(SstCache *cache, uint32_t size, uint32_t extra,
								   SstCacheBlock **block_out, uint8_t **room_out);

/*
 * Makes an allocated block known; it stays pinned.  Returns the block to use:
 * another one, pinned, if that was here first (then "block" is freed).  A block
 * too big to be kept is returned as it is and freed when unpinned.
 */
extern SstCacheBlock *sst_cache_insert(SstCache *cache, SstCacheBlock *block, uint64_t number, uint64_t offset,
									   SstCachePriority priority);

extern void sst_cache_pin(SstCache *cache, SstCacheBlock *block);
extern void sst_cache_unpin(SstCache *cache, SstCacheBlock *block);

/* Forgets the blocks of a file that is gone; pinned ones are freed when unpinned. */
extern void sst_cache_drop_file(SstCache *cache, uint64_t number);

extern void sst_cache_stats(const SstCache *cache, SstCacheStats *stats_out);

#endif
