/*
 * sst_cache.h
 *	  The block cache: checked, uncompressed blocks of all tables, in shared
 *	  memory, for all processes of a database.
 *
 * Nothing is pinned.  A reader is inside an epoch from the moment it asks for a
 * block until it uses the block no more; a block that leaves the cache keeps
 * its bytes until every epoch that could have found it has ended.  So a process
 * that raises, aborts or dies gives its blocks back with its epoch, and there
 * is nothing else to clean up.
 *
 * A caller outside of an epoch (start-up, background merges, whose blocks
 * outlive epochs) is served as if the cache were empty and full: it finds
 * nothing and may keep nothing.  The same happens to anybody when there is no
 * room at the moment: the cache never fails and never waits, the block then
 * lives in the caller's own memory.
 *
 * File numbers are never used twice in a database, so a block never goes stale:
 * what is found is right, and blocks of deleted files just age out.
 *
 * Once the cache is full, data blocks get into it when they are asked for again
 * within a while: reading one at random, or all in order, then costs no more
 * than reading it, and does not push out what is in use.
 *
 * The cache knows epochs through three functions, which its owner supplies.
 */
#ifndef NVMKV_SST_CACHE_H
#define NVMKV_SST_CACHE_H

#include "engine/base/slice.h"
#include "engine/base/status.h"

typedef struct SstCacheShm SstCacheShm;

typedef struct SstCacheEpochs
{
	void *ctx;
	/* The calling process's slot if it is inside an epoch, else -1. */
	int (*slot_inside)(void *ctx);
	/* A stamp for everything unlinked before the call; see epoch_retire_stamp. */
	uint64_t (*retire_stamp)(void *ctx);
	/* May what carries the stamp be reused? See epoch_is_safe. */
	bool (*is_safe)(void *ctx, uint64_t stamp);
} SstCacheEpochs;

/* A process's handle.  All zero: no cache. */
typedef struct SstCache
{
	SstCacheShm *shm;
	SstCacheEpochs epochs;
	void *expander; /* context of sst_codec.h, which the next compressed block is expanded with; NULL: none yet */
	uint8_t *spare; /* SST_SPARE_BYTES of private memory for the next block that is not kept; NULL: none at hand */
} SstCache;

#define SST_SPARE_BYTES (32u * 1024)

/* What a block is found by; the stored size keeps a wrong index entry from finding a right block. */
typedef struct SstCacheKey
{
	uint64_t number; /* of the file */
	uint64_t offset;
	uint32_t stored_size; /* in the file */
} SstCacheKey;

/* A block someone reads.  data is aligned to 64 bytes where the cache has it. */
typedef struct SstBlock
{
	const uint8_t *data;
	uint32_t size;
	uint32_t own_bytes;
	uint8_t *own; /* private memory that holds it; NULL: it is the cache's, good until the epoch ends */
} SstBlock;

/* How many turns of the clock's hand a block stays without being asked for. */
typedef enum SstCachePriority
{
	SST_CACHE_LOW = 0, /* data: of a scan, each is asked for once */
	SST_CACHE_HIGH = 2 /* index, filter, table headers: one serves many data blocks */
} SstCachePriority;

typedef struct SstCacheStats
{
	uint64_t capacity; /* bytes */
	uint64_t bytes;	   /* memory of the blocks that can be found */
	uint64_t blocks;   /* how many can be found */
	uint64_t hits;
	uint64_t misses;
	uint64_t inserts;
	uint64_t evictions;
	uint64_t refused; /* blocks that were not kept: asked for once only, too large, or no room at that moment */
} SstCacheStats;

/*
 * cache_bytes: memory for blocks; the index comes on top, about 24 bytes for each block_bytes.
 * slots: of processes.
 * block_bytes: about what most blocks have, see NvmkvOptions.
 */
extern size_t sst_cache_shm_bytes(uint64_t cache_bytes, unsigned slots, uint32_t block_bytes);

/* memory: 64-byte aligned, that many bytes; its contents do not matter. */
extern void sst_cache_shm_init(SstCacheShm *shm, uint64_t cache_bytes, unsigned slots, uint32_t block_bytes);

extern void sst_cache_attach(SstCache *cache, SstCacheShm *shm, const SstCacheEpochs *epochs);

/* Frees what the handle has of this process's memory. */
extern void sst_cache_detach(SstCache *cache);

/* Finds a block; lock-free. */
extern bool sst_cache_get(SstCache *cache, const SstCacheKey *key, SstBlock *block_out);

/* The same, but neither counts nor keeps the block longer. */
extern bool sst_cache_peek(const SstCache *cache, const SstCacheKey *key, SstBlock *block_out);

/*
 * Is the block of this key still the one that was found at "data"?  Then it is good for the epoch the caller is in
 * now, though it was found in an earlier one.
 */
extern bool sst_cache_still_has(const SstCache *cache, const SstCacheKey *key, const uint8_t *data);

/* Would a block of this key drive out none yet? */
extern bool sst_cache_has_room(const SstCache *cache, const SstCacheKey *key);

/* Is a data block worth keeping: is there room still, or was it asked for lately? Remembers that it was. */
extern bool sst_cache_wants(SstCache *cache, const SstCacheKey *key);

/*
 * Room for "size" bytes, and "extra" behind them, which nobody else knows yet.  The caller fills it and calls publish,
 * or cancel, in the same epoch.  false: the cache does not take it.
 */
extern bool sst_cache_reserve(SstCache *cache, const SstCacheKey *key, uint32_t size, uint32_t extra,
							  SstBlock *block_out, uint8_t **room_out);

/* Lets others find it.  *block becomes another process's if that was first. */
extern void sst_cache_publish(SstCache *cache, const SstCacheKey *key, SstCachePriority priority, SstBlock *block);
extern void sst_cache_cancel(SstCache *cache, const SstCacheKey *key, const SstBlock *block);

/* The file is gone: its blocks go as soon as the hand comes by. */
extern void sst_cache_drop_file(SstCache *cache, uint64_t number);

/* hits, misses, inserts, evictions and refused since the last reset. */
extern void sst_cache_stats(const SstCache *cache, SstCacheStats *stats_out);
extern void sst_cache_reset_stats(SstCache *cache);

/* ---- for tests ---- */

/* The largest block the cache takes. */
extern uint64_t sst_cache_block_bytes_max(const SstCache *cache);

/* Walks all memory; NULL, or what is wrong.  REQUIRES that nobody else uses the cache. */
extern const char *sst_cache_check(const SstCache *cache);

#endif
