/*
 * sst_cache.c
 *	  The block cache: shards with a hash table and a two-handed clock.
 *
 * A shard has an arena, divided without gaps into blocks: a header of one unit
 * (64 bytes), then the data.  A block is
 *
 *	  FREE      a hole
 *	  FILLING   somebody reads into it; nobody else knows it
 *	  KNOWN     its bucket names it; header key, size and data do not change
 *	  LIMBO     it has been KNOWN or FILLING; there may still be readers
 *
 * and a bucket is one cache line of eight words that name blocks of the shard.
 *
 * Reading takes no lock and changes nothing but the block's use count, and that
 * only until it is at its ceiling: find the bucket, follow the words whose tag
 * fits, compare the header's key.  Why that is safe: memory of a block is given
 * a new meaning only after its word was taken out of the bucket (or it never
 * was in one), then a stamp was drawn, and then that stamp was found safe, that
 * is, everybody who was inside an epoch when the word was still there has left
 * it.  All other fields and all changes of words belong to the shard's lock.
 *
 * The clock goes round in the order of addresses, so that what it evicts lies
 * side by side and makes room for blocks of any size.  The front hand evicts
 * what has not been used since its last visit, well before the memory is
 * needed; the rear hand joins holes and what is safe by now into the room that
 * is given out.  Between the hands are survivors, holes, and blocks that wait
 * to become safe:
 *
 *	  | known known filling | hole limbo known limbo hole | known known ... |
 *	                      rear hand ---- "ahead" -----> front hand
 *
 * A hole that is too small for what is wanted is passed over and has another
 * chance in the next turn, joined with whatever leaves beside it.
 *
 * Nobody waits for a shard's lock: whoever does not get it at once goes without
 * the cache this time.  So a process that died with the lock makes its shard
 * unchangeable, not unreadable.  A process that died while it was filling
 * leaves a FILLING block, which the front hand treats like an unused one: if
 * its filler lives, its epoch keeps the memory, and publish sees the new state.
 * A process that never leaves its epoch keeps all shards from being changed,
 * since nothing becomes safe.
 *
 * Data blocks of a full cache are marked when they are asked for, and taken in
 * when they are asked for while their mark is there.  There are about as many
 * marks as the cache can hold blocks, and a block overwrites the mark it falls
 * on.  So what is asked for less often than the cache could be filled anew, and
 * would hardly ever be found in it, does not get in.
 *
 * Costs: index words and marks, three for a typical block; a header and 64-byte
 * rounding for each block; the room ahead, a 32nd of the shard at most (64 KiB
 * to 128 KiB of a small one); and holes that are passed over, at most one
 * between two survivors: with sizes as tables have them less than a tenth of
 * the memory when nothing survives, a fifth in the worst mix seen.
 */
#include "engine/sst/sst_cache.h"
#include "engine/sst/sst_codec.h"

#include "engine/base/assert.h"
#include "engine/port/port.h"

#define UNIT_BYTES 64u
#define BUCKET_WORDS 8u
#define BUCKET_MARKS 3u

#define CACHE_BYTES_MIN (UINT64_C(64) * 1024)

/* A shard: large enough for its largest block to be a small part, small enough for many processes. */
#define SHARD_BYTES_MIN (UINT64_C(4) << 20)
#define SHARDS_MAX 64u

/* A block above this share of a shard would push out too much for one reader. */
#define BLOCK_SHARE 8

/*
 * How much room the front hand keeps ahead, of what is in other processes' epochs and own ones: it starts again below
 * this share of the shard, or this many units if that is more, and then makes twice as much, so that evictions share
 * stamps.
 */
#define AHEAD_SHARE 64
#define AHEAD_UNITS_MIN 1024

/* Blocks a hand may look at for one caller. */
#define STEPS_MAX 64

#define USES_MAX 3

/* Files dropped lately, by number modulo this. */
#define DROPPED_FILES 1024u

/* A word of a bucket: tag << TAG_SHIFT | (unit + 1); 0 is empty. */
#define TAG_SHIFT 40
#define UNIT_MASK ((UINT64_C(1) << TAG_SHIFT) - 1)

typedef enum BlockState
{
	BLOCK_FREE,
	BLOCK_FILLING,
	BLOCK_KNOWN,
	BLOCK_LIMBO
} BlockState;

typedef struct CacheBlock
{
	_Alignas(64) uint64_t number; /* the key; set before the block becomes KNOWN */
	uint64_t offset;
	uint32_t stored_size;
	uint32_t size; /* of the data, without the filler's extra bytes */
	uint64_t stamp; /* LIMBO */
	uint32_t units; /* with the header */
	uint8_t state;	/* BlockState */
	uint8_t uses;	/* atomic; readers write it, too */
} CacheBlock;

_Static_assert(sizeof(CacheBlock) == UNIT_BYTES, "a header is one unit");

typedef struct CacheShard
{
	PortLock lock; /* protects everything in the shard; only ever tried */
	uint64_t first; /* unit; of "shard_units" */
	uint64_t hand;	/* the rear hand: a block's first unit */
	uint64_t ahead; /* units from there to the front hand, a block's first unit too */
	uint64_t room;	/* units of FREE and LIMBO blocks in between */

	/* Read without the lock. */
	uint64_t bytes, blocks;
	uint64_t inserts, evictions;
} CacheShard;

/* Written by the process that has the slot alone. */
typedef struct CacheCounts
{
	_Alignas(64) uint64_t hits;
	uint64_t misses;
	uint64_t refused;
} CacheCounts;

struct SstCacheShm
{
	_Alignas(64) uint64_t capacity;
	uint64_t shard_units, block_units_max, ahead_units;
	uint64_t counts_off, shards_off, buckets_off, asked_off, arena_off; /* from here */
	uint32_t shards;													/* a power of two */
	uint32_t shard_buckets;
	uint32_t slots;
	_Alignas(64) SstCacheStats base; /* sums at the last reset */
	_Alignas(64) uint64_t dropped[DROPPED_FILES];
};

/* ---------------------------------------------------------------- layout */

typedef struct Layout
{
	uint64_t shard_units;
	uint32_t shards, shard_buckets;
	size_t counts, shard_array, buckets, asked, arena, total;
} Layout;

static void
compute_layout(uint64_t cache_bytes, unsigned slots, uint32_t block_bytes, Layout *l)
{
	uint64_t words;

	if (cache_bytes < CACHE_BYTES_MIN)
		cache_bytes = CACHE_BYTES_MIN;
	l->shards = 1;
	while (l->shards < SHARDS_MAX && cache_bytes / (l->shards * 2) >= SHARD_BYTES_MIN)
		l->shards *= 2;
	l->shard_units = cache_bytes / UNIT_BYTES / l->shards;

	/* A third full at blocks of block_bytes: less than one block in a thousand meets a full bucket. */
	words = l->shard_units * UNIT_BYTES / (block_bytes / 3 + UNIT_BYTES);
	l->shard_buckets = (uint32_t) (words / BUCKET_WORDS) + 1;
	l->counts = sizeof(SstCacheShm);
	l->shard_array = l->counts + slots * sizeof(CacheCounts);
	l->buckets = l->shard_array + l->shards * sizeof(CacheShard);
	l->asked = l->buckets + (size_t) l->shards * l->shard_buckets * BUCKET_WORDS * sizeof(uint64_t);
	l->arena = l->asked + (size_t) l->shards * l->shard_buckets * BUCKET_MARKS * sizeof(uint16_t);
	l->arena = (l->arena + UNIT_BYTES - 1) / UNIT_BYTES * UNIT_BYTES;
	l->total = l->arena + l->shards * l->shard_units * UNIT_BYTES;
}

size_t
sst_cache_shm_bytes(uint64_t cache_bytes, unsigned slots, uint32_t block_bytes)
{
	Layout l;

	compute_layout(cache_bytes, slots, block_bytes, &l);
	return l.total;
}

static inline uint8_t *
at_offset(const SstCacheShm *shm, size_t offset)
{
	return (uint8_t *) (uintptr_t) shm + offset;
}

static inline CacheCounts *
counts_of(const SstCacheShm *shm, unsigned slot)
{
	return (CacheCounts *) (void *) at_offset(shm, shm->counts_off) + slot;
}

static inline CacheShard *
shard_at(const SstCacheShm *shm, unsigned i)
{
	return (CacheShard *) (void *) at_offset(shm, shm->shards_off) + i;
}

static inline CacheBlock *
block_at(const SstCacheShm *shm, uint64_t unit)
{
	return (CacheBlock *) (void *) at_offset(shm, shm->arena_off + unit * UNIT_BYTES);
}

static inline uint64_t
unit_of(const SstCacheShm *shm, const CacheBlock *block)
{
	return (uint64_t) ((const uint8_t *) block - at_offset(shm, shm->arena_off)) / UNIT_BYTES;
}

static inline uint8_t *
data_of(CacheBlock *block)
{
	return (uint8_t *) (block + 1);
}

static inline CacheBlock *
block_of_data(const uint8_t *data)
{
	return (CacheBlock *) (uintptr_t) data - 1;
}

void
sst_cache_shm_init(SstCacheShm *shm, uint64_t cache_bytes, unsigned slots, uint32_t block_bytes)
{
	Layout l;
	unsigned i;

	compute_layout(cache_bytes, slots, block_bytes, &l);
	memset(shm, 0, l.arena);
	shm->capacity = l.shards * l.shard_units * UNIT_BYTES;
	shm->shard_units = l.shard_units;
	shm->block_units_max = l.shard_units / BLOCK_SHARE;
	shm->ahead_units = l.shard_units / AHEAD_SHARE;
	if (shm->ahead_units < AHEAD_UNITS_MIN)
		shm->ahead_units = AHEAD_UNITS_MIN;
	if (shm->ahead_units > shm->block_units_max)
		shm->ahead_units = shm->block_units_max;
	shm->counts_off = l.counts;
	shm->shards_off = l.shard_array;
	shm->buckets_off = l.buckets;
	shm->asked_off = l.asked;
	shm->arena_off = l.arena;
	shm->shards = l.shards;
	shm->shard_buckets = l.shard_buckets;
	shm->slots = slots;
	for (i = 0; i < l.shards; i++)
	{
		CacheShard *shard = shard_at(shm, i);
		CacheBlock *all;

		port_lock_init(&shard->lock, PORT_RANK_CACHE);
		shard->first = i * l.shard_units;
		shard->hand = shard->first;
		all = block_at(shm, shard->first);
		memset(all, 0, sizeof(*all));
		all->units = (uint32_t) l.shard_units;
	}
}

void
sst_cache_attach(SstCache *cache, SstCacheShm *shm, const SstCacheEpochs *epochs)
{
	cache->shm = shm;
	cache->epochs = *epochs;
	cache->spare = NULL;
	cache->expander = NULL;
}

void
sst_cache_detach(SstCache *cache)
{
	port_free(cache->spare);
	cache->spare = NULL;
	sst_expander_free(cache->expander);
	cache->expander = NULL;
}

/* ---------------------------------------------------------------- finding */

typedef struct Place
{
	uint64_t *bucket; /* BUCKET_WORDS words */
	uint16_t *asked;  /* BUCKET_MARKS marks of blocks of this bucket that were asked for lately */
	CacheShard *shard;
	uint64_t tag; /* as in a word */
} Place;

static inline uint64_t
mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xD6E8FEB86659FD93);
	h ^= h >> 32;
	h *= UINT64_C(0xD6E8FEB86659FD93);
	return h ^ (h >> 32);
}

/* Bits of the hash: bucket 0..31, tag 32..55, shard 56..63. */
static inline Place
place_of(const SstCacheShm *shm, uint64_t number, uint64_t offset)
{
	uint64_t h = mix(number * UINT64_C(0x9E3779B97F4A7C15) + offset);
	uint32_t i = (uint32_t) (h >> 56) & (shm->shards - 1);
	uint64_t bucket = (uint64_t) i * shm->shard_buckets + (((h & UINT32_MAX) * shm->shard_buckets) >> 32);
	Place place;

	place.shard = shard_at(shm, i);
	place.bucket = (uint64_t *) (void *) at_offset(shm, shm->buckets_off) + bucket * BUCKET_WORDS;
	place.asked = (uint16_t *) (void *) at_offset(shm, shm->asked_off) + bucket * BUCKET_MARKS;
	place.tag = (h >> 32) << TAG_SHIFT;
	return place;
}

static inline bool
has_key(const CacheBlock *block, const SstCacheKey *key)
{
	return block->offset == key->offset && block->number == key->number && block->stored_size == key->stored_size;
}

static inline CacheBlock *
find(const SstCacheShm *shm, const Place *place, const SstCacheKey *key)
{
	unsigned i;

	for (i = 0; i < BUCKET_WORDS; i++)
	{
		uint64_t word = port_load_acquire(&place->bucket[i]);

		if (word != 0 && ((word ^ place->tag) & ~UNIT_MASK) == 0)
		{
			CacheBlock *block = block_at(shm, (word & UNIT_MASK) - 1);

			if (has_key(block, key))
				return block;
		}
	}
	return NULL;
}

/* Only a hint: an increment may be lost. */
static inline void
note_use(CacheBlock *block)
{
	uint8_t uses = port_load_relaxed(&block->uses);

	if (uses < USES_MAX)
		port_store_relaxed(&block->uses, (uint8_t) (uses + 1));
}

static inline void
show(CacheBlock *block, SstBlock *block_out)
{
	block_out->data = data_of(block);
	block_out->size = block->size;
	block_out->own = NULL;
}

/* For counters with one writer at a time that are read at any time. */
static inline void
add(uint64_t *counter, uint64_t n)
{
	port_store_relaxed(counter, port_load_relaxed(counter) + n);
}

bool
sst_cache_get(SstCache *cache, const SstCacheKey *key, SstBlock *block_out)
{
	const SstCacheShm *shm = cache->shm;
	CacheCounts *counts;
	CacheBlock *block;
	Place place;
	int slot;

	if (shm == NULL || (slot = cache->epochs.slot_inside(cache->epochs.ctx)) < 0)
		return false;
	NVMKV_ASSERT((unsigned) slot < shm->slots);
	counts = counts_of(shm, (unsigned) slot);
	place = place_of(shm, key->number, key->offset);
	block = find(shm, &place, key);
	if (block == NULL)
	{
		add(&counts->misses, 1);
		return false;
	}
	add(&counts->hits, 1);
	note_use(block);
	show(block, block_out);
	return true;
}

bool
sst_cache_peek(const SstCache *cache, const SstCacheKey *key, SstBlock *block_out)
{
	CacheBlock *block;
	Place place;

	if (cache->shm == NULL || cache->epochs.slot_inside(cache->epochs.ctx) < 0)
		return false;
	place = place_of(cache->shm, key->number, key->offset);
	block = find(cache->shm, &place, key);
	if (block == NULL)
		return false;
	show(block, block_out);
	return true;
}

bool
sst_cache_still_has(const SstCache *cache, const SstCacheKey *key, const uint8_t *data)
{
	SstBlock block;

	return sst_cache_peek(cache, key, &block) && block.data == data;
}

/* ---------------------------------------------------------------- the hands; all under the shard's lock */

static inline uint64_t
end_of(const SstCacheShm *shm, const CacheShard *shard)
{
	return shard->first + shm->shard_units;
}

/* Units from the rear hand to the block. */
static uint64_t
distance(const SstCacheShm *shm, const CacheShard *shard, const CacheBlock *block)
{
	uint64_t unit = unit_of(shm, block);

	return unit >= shard->hand ? unit - shard->hand : unit + shm->shard_units - shard->hand;
}

/* A block's memory can be had from now on, or when its stamp is safe. */
static void
release_block(const SstCacheShm *shm, CacheShard *shard, CacheBlock *block, BlockState state)
{
	block->state = (uint8_t) state;
	if (distance(shm, shard, block) < shard->ahead)
		shard->room += block->units;
}

/* Takes a KNOWN block out of its bucket; the caller draws a stamp for it afterwards. */
static void
unlink_block(SstCacheShm *shm, CacheShard *shard, CacheBlock *block)
{
	Place place = place_of(shm, block->number, block->offset);
	uint64_t unit = unit_of(shm, block) + 1;
	unsigned i;

	for (i = 0; i < BUCKET_WORDS; i++)
		if ((port_load_relaxed(&place.bucket[i]) & UNIT_MASK) == unit)
			port_store_release(&place.bucket[i], 0);
	release_block(shm, shard, block, BLOCK_LIMBO);
	add(&shard->bytes, 0 - (uint64_t) block->units * UNIT_BYTES);
	add(&shard->blocks, UINT64_MAX);
	add(&shard->evictions, 1);
}

/* The front hand comes by a block; true: it must go. */
static bool
must_go(const SstCacheShm *shm, CacheBlock *block)
{
	uint8_t uses;

	if (block->state == BLOCK_FILLING)
		return true;
	if (block->state != BLOCK_KNOWN)
		return false;
	if (port_load_relaxed(&shm->dropped[block->number % DROPPED_FILES]) == block->number)
		return true;
	uses = port_load_relaxed(&block->uses);
	if (uses == 0)
		return true;
	port_store_relaxed(&block->uses, (uint8_t) (uses - 1));
	return false;
}

/* Moves the front hand until "units" can be taken and enough is left between the hands. */
static void
evict_ahead(SstCache *cache, CacheShard *shard, uint64_t units)
{
	SstCacheShm *shm = cache->shm;
	CacheBlock *gone[STEPS_MAX];
	unsigned ngone = 0;
	unsigned steps;

	if (shard->room >= shm->ahead_units + units)
		return;
	for (steps = 0; steps < STEPS_MAX && shard->room < 2 * shm->ahead_units + units; steps++)
	{
		uint64_t unit = shard->hand + shard->ahead;
		CacheBlock *block;

		if (unit >= end_of(shm, shard))
			unit -= shm->shard_units;
		block = block_at(shm, unit);

		/* A whole turn ahead. */
		if (shard->ahead + block->units > shm->shard_units)
			break;
		if (must_go(shm, block))
		{
			/* Before "ahead" covers the block, whose units are added below. */
			if (block->state == BLOCK_KNOWN)
				unlink_block(shm, shard, block);
			else
				block->state = BLOCK_LIMBO;
			gone[ngone++] = block;
		}
		shard->ahead += block->units;
		if (block->state == BLOCK_FREE || block->state == BLOCK_LIMBO)
			shard->room += block->units;
	}
	if (ngone > 0)
	{
		uint64_t stamp = cache->epochs.retire_stamp(cache->epochs.ctx);

		while (ngone > 0)
			gone[--ngone]->stamp = stamp;
	}
}

static bool
is_usable(SstCache *cache, const CacheBlock *block)
{
	return block->state == BLOCK_FREE ||
		(block->state == BLOCK_LIMBO && cache->epochs.is_safe(cache->epochs.ctx, block->stamp));
}

/* The rear hand passes over this many units, "room" of them FREE or LIMBO. */
static void
move_rear(const SstCacheShm *shm, CacheShard *shard, uint64_t units, uint64_t room)
{
	shard->hand += units;
	shard->ahead -= units;
	shard->room -= room;
	if (shard->hand == end_of(shm, shard))
		shard->hand = shard->first;
}

/* The usable block at the rear hand becomes one hole with what is usable behind it, up to "units". */
static CacheBlock *
join_holes(SstCache *cache, CacheShard *shard, uint64_t units)
{
	SstCacheShm *shm = cache->shm;
	CacheBlock *hole = block_at(shm, shard->hand);

	hole->state = BLOCK_FREE;
	while (hole->units < units && hole->units < shard->ahead && shard->hand + hole->units < end_of(shm, shard))
	{
		CacheBlock *block = block_at(shm, shard->hand + hole->units);

		if (!is_usable(cache, block))
			break;
		hole->units += block->units;
	}
	return hole;
}

/* Takes "units" from the hole at the rear hand. */
static CacheBlock *
carve(const SstCacheShm *shm, CacheShard *shard, CacheBlock *hole, uint64_t units)
{
	uint64_t rest = hole->units - units;

	if (rest > 0)
	{
		CacheBlock *left = block_at(shm, shard->hand + units);

		memset(left, 0, sizeof(*left));
		left->units = (uint32_t) rest;
	}
	hole->units = (uint32_t) units;
	move_rear(shm, shard, units, units);
	return hole;
}

/* Is the rear hand at a block, or a hole before one, that will be usable when readers have left? */
static bool
is_worth_waiting(const SstCacheShm *shm, const CacheShard *shard, const CacheBlock *block)
{
	uint64_t next = shard->hand + block->units;

	if (block->state == BLOCK_LIMBO)
		return true;
	return block->state == BLOCK_FREE && next < end_of(shm, shard) &&
		(block->units >= shard->ahead || block_at(shm, next)->state == BLOCK_LIMBO);
}

/* Moves the rear hand to room for "units" and takes it; NULL when there is none, or none is safe yet. */
static CacheBlock *
take_room(SstCache *cache, CacheShard *shard, uint64_t units)
{
	SstCacheShm *shm = cache->shm;
	unsigned steps;

	evict_ahead(cache, shard, units);
	for (steps = 0; steps < STEPS_MAX && shard->ahead > 0; steps++)
	{
		CacheBlock *block = block_at(shm, shard->hand);

		if (is_usable(cache, block))
		{
			block = join_holes(cache, shard, units);
			if (block->units >= units)
				return carve(shm, shard, block, units);
		}
		if (is_worth_waiting(shm, shard, block))
			return NULL;
		move_rear(shm, shard, block->units, block->state == BLOCK_FREE ? block->units : 0);
	}
	return NULL;
}

/* ---------------------------------------------------------------- adding */

/* A process may be in no epoch, and without slot, no more. */
static void
count_refused(SstCache *cache)
{
	int slot = cache->epochs.slot_inside(cache->epochs.ctx);

	if (slot >= 0)
		add(&counts_of(cache->shm, (unsigned) slot)->refused, 1);
}

bool
sst_cache_has_room(const SstCache *cache, const SstCacheKey *key)
{
	return cache->shm != NULL &&
		   port_load_relaxed(&place_of(cache->shm, key->number, key->offset).shard->evictions) == 0;
}

bool
sst_cache_wants(SstCache *cache, const SstCacheKey *key)
{
	SstCacheShm *shm = cache->shm;
	uint16_t mark;
	uint16_t *asked;
	Place place;

	if (shm == NULL)
		return false;
	place = place_of(shm, key->number, key->offset);
	if (port_load_relaxed(&place.shard->evictions) == 0)
		return true;
	mark = (uint16_t) (place.tag >> TAG_SHIFT);
	asked = &place.asked[(place.tag >> (TAG_SHIFT + 16)) % BUCKET_MARKS];
	if (port_load_relaxed(asked) == mark)
		return true;
	port_store_relaxed(asked, mark);
	count_refused(cache);
	return false;
}

bool
sst_cache_reserve(SstCache *cache, const SstCacheKey *key, uint32_t size, uint32_t extra, SstBlock *block_out,
				  uint8_t **room_out)
{
	SstCacheShm *shm = cache->shm;
	uint64_t units = 1 + ((uint64_t) size + extra + UNIT_BYTES - 1) / UNIT_BYTES;
	CacheBlock *block = NULL;
	Place place;

	if (shm == NULL || cache->epochs.slot_inside(cache->epochs.ctx) < 0)
		return false;
	place = place_of(shm, key->number, key->offset);
	if (units <= shm->block_units_max && port_lock_try_exclusive(&place.shard->lock))
	{
		block = take_room(cache, place.shard, units);
		if (block != NULL)
		{
			block->state = BLOCK_FILLING;
			block->size = size;
			port_store_relaxed(&block->uses, 0);
		}
		port_lock_release(&place.shard->lock);
	}
	if (block == NULL)
	{
		count_refused(cache);
		return false;
	}
	show(block, block_out);
	*room_out = data_of(block);
	return true;
}

/* The word for a new block in a bucket; the least used of a full one has to go. */
static uint64_t *
take_word(SstCache *cache, const Place *place)
{
	SstCacheShm *shm = cache->shm;
	CacheBlock *victim = NULL;
	uint64_t *word = NULL;
	unsigned i;

	for (i = 0; i < BUCKET_WORDS; i++)
	{
		uint64_t w = port_load_relaxed(&place->bucket[i]);
		CacheBlock *block;

		if (w == 0)
			return &place->bucket[i];
		block = block_at(shm, (w & UNIT_MASK) - 1);
		if (victim == NULL || port_load_relaxed(&block->uses) < port_load_relaxed(&victim->uses))
		{
			victim = block;
			word = &place->bucket[i];
		}
	}
	unlink_block(shm, place->shard, victim);
	victim->stamp = cache->epochs.retire_stamp(cache->epochs.ctx);
	return word;
}

void
sst_cache_publish(SstCache *cache, const SstCacheKey *key, SstCachePriority priority, SstBlock *base)
{
	SstCacheShm *shm = cache->shm;
	CacheBlock *block = block_of_data(base->data);
	Place place = place_of(shm, key->number, key->offset);
	CacheBlock *first;

	NVMKV_ASSERT(base->own == NULL);

	/* Unpublished it is good for this epoch all the same; the front hand will find it. */
	if (!port_lock_try_exclusive(&place.shard->lock))
	{
		count_refused(cache);
		return;
	}
	if (block->state == BLOCK_FILLING)
	{
		first = find(shm, &place, key);
		if (first != NULL)
		{
			release_block(shm, place.shard, block, BLOCK_FREE);
			note_use(first);
			show(first, base);
		}
		else
		{
			uint64_t *word = take_word(cache, &place);

			block->number = key->number;
			block->offset = key->offset;
			block->stored_size = key->stored_size;
			port_store_relaxed(&block->uses, (uint8_t) priority);
			block->state = BLOCK_KNOWN;
			port_store_release(word, place.tag | (unit_of(shm, block) + 1));
			add(&place.shard->bytes, (uint64_t) block->units * UNIT_BYTES);
			add(&place.shard->blocks, 1);
			add(&place.shard->inserts, 1);
		}
	}
	port_lock_release(&place.shard->lock);
}

void
sst_cache_cancel(SstCache *cache, const SstCacheKey *key, const SstBlock *base)
{
	CacheBlock *block = block_of_data(base->data);
	Place place = place_of(cache->shm, key->number, key->offset);

	NVMKV_ASSERT(base->own == NULL);
	if (!port_lock_try_exclusive(&place.shard->lock))
		return;
	if (block->state == BLOCK_FILLING)
		release_block(cache->shm, place.shard, block, BLOCK_FREE);
	port_lock_release(&place.shard->lock);
}

void
sst_cache_drop_file(SstCache *cache, uint64_t number)
{
	if (cache->shm != NULL)
		port_store_relaxed(&cache->shm->dropped[number % DROPPED_FILES], number);
}

/* ---------------------------------------------------------------- statistics */

static void
sum_up(const SstCacheShm *shm, SstCacheStats *s)
{
	unsigned i;

	memset(s, 0, sizeof(*s));
	s->capacity = shm->capacity;
	for (i = 0; i < shm->slots; i++)
	{
		s->hits += port_load_relaxed(&counts_of(shm, i)->hits);
		s->misses += port_load_relaxed(&counts_of(shm, i)->misses);
		s->refused += port_load_relaxed(&counts_of(shm, i)->refused);
	}
	for (i = 0; i < shm->shards; i++)
	{
		const CacheShard *shard = shard_at(shm, i);

		s->bytes += port_load_relaxed(&shard->bytes);
		s->blocks += port_load_relaxed(&shard->blocks);
		s->inserts += port_load_relaxed(&shard->inserts);
		s->evictions += port_load_relaxed(&shard->evictions);
	}
}

void
sst_cache_stats(const SstCache *cache, SstCacheStats *out)
{
	const SstCacheShm *shm = cache->shm;
	SstCacheStats base;

	if (shm == NULL)
	{
		memset(out, 0, sizeof(*out));
		return;
	}
	/* The base first: a reset that comes in between makes the difference larger, not negative. */
	port_load_words(&base, &shm->base, sizeof(base));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	sum_up(shm, out);
	out->hits -= base.hits;
	out->misses -= base.misses;
	out->inserts -= base.inserts;
	out->evictions -= base.evictions;
	out->refused -= base.refused;
}

void
sst_cache_reset_stats(SstCache *cache)
{
	SstCacheShm *shm = cache->shm;
	SstCacheStats now;

	if (shm == NULL)
		return;
	sum_up(shm, &now);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	port_store_words(&shm->base, &now, sizeof(now));
}

/* ---------------------------------------------------------------- for tests */

uint64_t
sst_cache_block_bytes_max(const SstCache *cache)
{
	return (cache->shm->block_units_max - 1) * UNIT_BYTES;
}

/* Is the block named by exactly "times" words of its bucket? */
static bool
is_named(const SstCacheShm *shm, const CacheBlock *block, unsigned times)
{
	Place place = place_of(shm, block->number, block->offset);
	uint64_t unit = unit_of(shm, block) + 1;
	unsigned i;

	for (i = 0; i < BUCKET_WORDS; i++)
		if ((port_load_relaxed(&place.bucket[i]) & UNIT_MASK) == unit)
			times--;
	return times == 0;
}

static const char *
check_shard(const SstCacheShm *shm, const CacheShard *shard)
{
	uint64_t unit = shard->first;
	uint64_t bytes = 0;
	uint64_t blocks = 0;
	uint64_t room = 0;
	uint64_t front = shard->hand + shard->ahead;
	bool at_hand = false;
	bool at_front = false;

	if (front >= end_of(shm, shard))
		front -= shm->shard_units;
	while (unit < end_of(shm, shard))
	{
		const CacheBlock *block = block_at(shm, unit);

		at_hand |= unit == shard->hand;
		at_front |= unit == front;
		if (block->units == 0 || block->units > end_of(shm, shard) - unit)
			return "blocks do not fill the arena";
		if (block->state > BLOCK_LIMBO)
			return "a block's state is unknown";
		if (block->state == BLOCK_KNOWN)
		{
			bytes += (uint64_t) block->units * UNIT_BYTES;
			blocks++;
			if ((uint64_t) block->size + UNIT_BYTES > (uint64_t) block->units * UNIT_BYTES)
				return "a block is larger than its room";
			if (!is_named(shm, block, 1))
				return "a known block is not in its bucket once";
		}
		if ((block->state == BLOCK_FREE || block->state == BLOCK_LIMBO) && distance(shm, shard, block) < shard->ahead)
			room += block->units;
		unit += block->units;
	}
	if (!at_hand || !at_front)
		return "a hand is not on a block";
	if (bytes != shard->bytes || blocks != shard->blocks || room != shard->room)
		return "a shard's sums are wrong";
	return NULL;
}

const char *
sst_cache_check(const SstCache *cache)
{
	const SstCacheShm *shm = cache->shm;
	const uint64_t *words = (const uint64_t *) (void *) at_offset(shm, shm->buckets_off);
	uint64_t named = 0;
	uint64_t known = 0;
	uint64_t i;

	for (i = 0; i < shm->shards; i++)
	{
		const char *problem = check_shard(shm, shard_at(shm, (unsigned) i));

		if (problem != NULL)
			return problem;
		known += shard_at(shm, (unsigned) i)->blocks;
	}
	for (i = 0; i < (uint64_t) shm->shards * shm->shard_buckets * BUCKET_WORDS; i++)
		named += words[i] != 0;
	return named == known ? NULL : "a bucket names what is not known";
}
