/*
 * sst_cache.c
 *	  The block cache of one process: a hash table and a CLOCK.
 *
 * Every known block is in one hash chain and in the ring.  A hit raises the
 * block's use count; the hand lowers it, and evicts an unpinned block whose
 * count is 0.  So a hit writes to the block only, and a scan's blocks, which
 * are asked for once, go before those in use.
 *
 * Blocks not yet inserted, dropped while pinned, or too big to keep are in
 * neither; their memory counts all the same.
 */

#include "engine/base/assert.h"
#include "engine/port/port.h"
#include "engine/sst/sst_cache.h"

#define BLOCK_ALIGN 64
#define USES_MAX 3

/* A block above this share of the limit would push out too much for one reader. */
#define SHARE_MAX 4

#define BUCKETS_MIN 1024

typedef struct CacheBlock
{
	SstCacheBlock base;
	uint64_t number;
	uint64_t offset;
	struct CacheBlock *hash_next;
	struct CacheBlock *ring_prev;
	struct CacheBlock *ring_next;
	size_t charge; /* bytes allocated */
	uint32_t pins;
	uint8_t uses;
	bool known; /* in hash table and ring */
} CacheBlock;

struct SstCache
{
	CacheBlock **buckets;
	size_t bucket_count; /* a power of two */
	CacheBlock *hand;	 /* NULL: the ring is empty */
	uint64_t limit_bytes;
	SstCacheStats stats;
};

static inline size_t
bucket_of(const SstCache *cache, uint64_t number, uint64_t offset)
{
	uint64_t h = (number * UINT64_C(0x9E3779B97F4A7C15)) ^ offset;

	h *= UINT64_C(0xC2B2AE3D27D4EB4F);
	return (size_t) (h >> 32) & (cache->bucket_count - 1);
}

NvmkvStatus
sst_cache_create(uint64_t limit_bytes, SstCache **cache_out)
{
	SstCache *cache;

	*cache_out = NULL;
	cache = port_alloc_zero(sizeof(*cache));
	if (cache == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for a block cache");
	cache->limit_bytes = limit_bytes;
	cache->bucket_count = BUCKETS_MIN;
	cache->buckets = port_alloc_zero(cache->bucket_count * sizeof(CacheBlock *));
	if (cache->buckets == NULL)
	{
		port_free(cache);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for a block cache");
	}
	*cache_out = cache;
	return NVMKV_OK;
}

static void
free_block(SstCache *cache, CacheBlock *block)
{
	cache->stats.bytes -= block->charge;
	port_free(block);
}

/* Takes a block out of the hash table and the ring. */
static void
forget(SstCache *cache, CacheBlock *block)
{
	CacheBlock **link = &cache->buckets[bucket_of(cache, block->number, block->offset)];

	while (*link != block)
		link = &(*link)->hash_next;
	*link = block->hash_next;
	if (block->ring_next == block)
		cache->hand = NULL;
	else
	{
		block->ring_prev->ring_next = block->ring_next;
		block->ring_next->ring_prev = block->ring_prev;
		if (cache->hand == block)
			cache->hand = block->ring_next;
	}
	block->known = false;
	cache->stats.blocks--;
}

/* Evicts until "bytes" more fit, or nothing more can go: one turn of the hand per use count. */
static void
make_room(SstCache *cache, uint64_t bytes)
{
	uint64_t steps = cache->stats.blocks * (USES_MAX + 1);

	while (cache->stats.bytes + bytes > cache->limit_bytes && cache->hand != NULL && steps-- > 0)
	{
		CacheBlock *block = cache->hand;

		cache->hand = block->ring_next;
		if (block->pins > 0)
			continue;
		if (block->uses > 0)
		{
			block->uses--;
			continue;
		}
		forget(cache, block);
		free_block(cache, block);
		cache->stats.evictions++;
	}
}

void
sst_cache_destroy(SstCache *cache)
{
	if (cache == NULL)
		return;
	while (cache->hand != NULL)
	{
		CacheBlock *block = cache->hand;

		NVMKV_ASSERT(block->pins == 0);
		forget(cache, block);
		free_block(cache, block);
	}
	NVMKV_ASSERT(cache->stats.bytes == 0);
	port_free(cache->buckets);
	port_free(cache);
}

void
sst_cache_set_limit(SstCache *cache, uint64_t limit_bytes)
{
	cache->limit_bytes = limit_bytes;
	make_room(cache, 0);
}

static CacheBlock *
find(const SstCache *cache, uint64_t number, uint64_t offset)
{
	CacheBlock *block = cache->buckets[bucket_of(cache, number, offset)];

	while (block != NULL && (block->offset != offset || block->number != number))
		block = block->hash_next;
	return block;
}

SstCacheBlock *
sst_cache_get(SstCache *cache, uint64_t number, uint64_t offset)
{
	CacheBlock *block = find(cache, number, offset);

	if (block == NULL)
	{
		cache->stats.misses++;
		return NULL;
	}
	cache->stats.hits++;
	cache->stats.pins++;
	block->pins++;
	if (block->uses < USES_MAX)
		block->uses++;
	return &block->base;
}

NvmkvStatus
sst_cache_alloc(SstCache *cache, uint32_t size, uint32_t extra, SstCacheBlock **block_out, uint8_t **room_out)
{
	size_t charge = sizeof(CacheBlock) + BLOCK_ALIGN + (size_t) size + extra;
	CacheBlock *block;
	uint8_t *data;

	*block_out = NULL;
	*room_out = NULL;
	make_room(cache, charge);
	block = port_alloc(charge);
	if (block == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for a block of %u bytes", (unsigned) size);
	memset(block, 0, sizeof(*block));
	data = (uint8_t *) (block + 1);
	data += (BLOCK_ALIGN - (uintptr_t) data % BLOCK_ALIGN) % BLOCK_ALIGN;
	block->base.data = data;
	block->base.size = size;
	block->charge = charge;
	block->pins = 1;
	cache->stats.bytes += charge;
	cache->stats.pins++;
	*block_out = &block->base;
	*room_out = data;
	return NVMKV_OK;
}

/* Doubles the hash table, so that most chains have one block: each costs a cache miss.  Without memory it stays. */
static void
grow_buckets(SstCache *cache)
{
	size_t old_count = cache->bucket_count;
	CacheBlock **old = cache->buckets;
	CacheBlock **new_buckets = port_alloc_zero(old_count * 2 * sizeof(CacheBlock *));
	size_t i;

	if (new_buckets == NULL)
		return;
	cache->buckets = new_buckets;
	cache->bucket_count = old_count * 2;
	for (i = 0; i < old_count; i++)
	{
		CacheBlock *block = old[i];

		while (block != NULL)
		{
			CacheBlock *next = block->hash_next;
			CacheBlock **head = &new_buckets[bucket_of(cache, block->number, block->offset)];

			block->hash_next = *head;
			*head = block;
			block = next;
		}
	}
	port_free(old);
}

SstCacheBlock *
sst_cache_insert(SstCache *cache, SstCacheBlock *base, uint64_t number, uint64_t offset, SstCachePriority priority)
{
	CacheBlock *block = (CacheBlock *) base;
	CacheBlock *first = find(cache, number, offset);
	CacheBlock **head;

	NVMKV_ASSERT(!block->known && block->pins == 1);
	if (first != NULL)
	{
		first->pins++;
		cache->stats.pins++;
		sst_cache_unpin(cache, base);
		return &first->base;
	}
	if (block->charge > cache->limit_bytes / SHARE_MAX)
		return base;
	if (cache->stats.blocks * 2 >= cache->bucket_count)
		grow_buckets(cache);
	block->number = number;
	block->offset = offset;
	block->uses = (uint8_t) priority;
	head = &cache->buckets[bucket_of(cache, number, offset)];
	block->hash_next = *head;
	*head = block;

	/* Behind the hand: the last the hand will come to. */
	if (cache->hand == NULL)
	{
		block->ring_prev = block->ring_next = block;
		cache->hand = block;
	}
	else
	{
		block->ring_next = cache->hand;
		block->ring_prev = cache->hand->ring_prev;
		block->ring_prev->ring_next = block;
		cache->hand->ring_prev = block;
	}
	block->known = true;
	cache->stats.blocks++;
	return base;
}

void
sst_cache_pin(SstCache *cache, SstCacheBlock *base)
{
	CacheBlock *block = (CacheBlock *) base;

	NVMKV_ASSERT(block->pins > 0);
	block->pins++;
	cache->stats.pins++;
}

void
sst_cache_unpin(SstCache *cache, SstCacheBlock *base)
{
	CacheBlock *block = (CacheBlock *) base;

	NVMKV_ASSERT(block->pins > 0);
	block->pins--;
	cache->stats.pins--;
	if (block->pins == 0 && !block->known)
		free_block(cache, block);
}

void
sst_cache_drop_file(SstCache *cache, uint64_t number)
{
	uint64_t left = cache->stats.blocks;
	CacheBlock *block = cache->hand;

	for (; left > 0; left--)
	{
		CacheBlock *next = block->ring_next;

		if (block->number == number)
		{
			forget(cache, block);
			if (block->pins == 0)
				free_block(cache, block);
		}
		block = next;
	}
}

void
sst_cache_stats(const SstCache *cache, SstCacheStats *stats_out)
{
	*stats_out = cache->stats;
}
