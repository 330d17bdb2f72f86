/*
 * cache_test.c
 *	  The block cache in shared memory: what is found, what goes when, and that
 *	  readers, also dead ones, are never shown other bytes.
 *
 * The bytes of a block follow from its key, so every reader can check them.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "lib/cache_rig.h"
#include "lib/check.h"
#include "lib/rig.h"

#define MIB (UINT64_C(1) << 20)
#define BLOCK 4096u

static SstCacheKey
key_of(uint64_t number, uint64_t offset)
{
	SstCacheKey key = {number, offset, BLOCK};

	return key;
}

/* The first eight bytes, and the last. */
static void
fill(const SstCacheKey *key, uint8_t *room, uint32_t size)
{
	uint64_t word = key->number * UINT64_C(0x9E3779B97F4A7C15) + key->offset;
	uint32_t i;

	for (i = 0; i + sizeof(word) <= size; i += (uint32_t) sizeof(word))
		memcpy(room + i, &word, sizeof(word));
}

static bool
is_intact(const SstCacheKey *key, const SstBlock *block)
{
	uint64_t word = key->number * UINT64_C(0x9E3779B97F4A7C15) + key->offset;
	uint32_t i;

	for (i = 0; i + sizeof(word) <= block->size; i += (uint32_t) sizeof(word))
		if (memcmp(block->data + i, &word, sizeof(word)) != 0)
			return false;
	return block->own == NULL && (uintptr_t) block->data % 64 == 0;
}

/* As a reader does: found, or read and left there.  false: it found no room. */
static bool
read_sized(SstCache *cache, SstCacheKey key, uint32_t size, SstCachePriority priority)
{
	SstBlock block;
	uint8_t *room;

	if (!sst_cache_get(cache, &key, &block))
	{
		if (!sst_cache_reserve(cache, &key, size, 8, &block, &room))
			return false;
		fill(&key, room, size);
		sst_cache_publish(cache, &key, priority, &block);
	}
	CHECK_EQ(block.size, size);
	CHECK(is_intact(&key, &block));
	return true;
}

/* The same in an epoch of its own. */
static bool
read_block(CacheRig *rig, uint64_t number, uint64_t offset, SstCachePriority priority)
{
	bool ok;

	cache_rig_enter(rig);
	ok = read_sized(&rig->cache, key_of(number, offset), BLOCK, priority);
	cache_rig_leave(rig);
	return ok;
}

static bool
is_there(CacheRig *rig, uint64_t number, uint64_t offset)
{
	SstCacheKey key = key_of(number, offset);
	SstBlock block;
	bool found;

	cache_rig_enter(rig);
	found = sst_cache_get(&rig->cache, &key, &block);
	CHECK(!found || is_intact(&key, &block));
	cache_rig_leave(rig);
	return found;
}

/* Blocks of file "number" that nobody asks for again. */
static void
read_through(CacheRig *rig, uint64_t number, uint64_t bytes)
{
	uint64_t offset;

	for (offset = 0; offset < bytes; offset += BLOCK)
		CHECK(read_block(rig, number, offset, SST_CACHE_LOW));
}

TEST(what_is_left_is_found)
{
	SstCacheKey key = key_of(7, 4096);
	SstCacheKey other = key;
	SstCacheStats stats;
	CacheRig rig;
	SstBlock block;
	const uint8_t *data;
	uint8_t *room;

	REQUIRE_OK(cache_rig_init(&rig, MIB, BLOCK));
	cache_rig_enter(&rig);
	CHECK(!sst_cache_get(&rig.cache, &key, &block));
	REQUIRE(sst_cache_reserve(&rig.cache, &key, 1000, 8, &block, &room));
	CHECK(block.data == room && block.size == 1000 && block.own == NULL);
	data = block.data;
	fill(&key, room, 1000);
	memset(room + 1000, 0xff, 8);

	/* Unknown until it is published. */
	CHECK(!sst_cache_get(&rig.cache, &key, &block));
	CHECK(!sst_cache_still_has(&rig.cache, &key, data));
	block.data = data;
	sst_cache_publish(&rig.cache, &key, SST_CACHE_LOW, &block);
	REQUIRE(sst_cache_get(&rig.cache, &key, &block));
	CHECK(block.data == data && block.size == 1000 && is_intact(&key, &block));
	CHECK(sst_cache_still_has(&rig.cache, &key, data));
	CHECK(!sst_cache_still_has(&rig.cache, &key, data + 64));

	/* All of the key counts. */
	other.stored_size++;
	CHECK(!sst_cache_get(&rig.cache, &other, &block));
	other = key_of(8, 4096);
	CHECK(!sst_cache_get(&rig.cache, &other, &block));
	other = key_of(7, 4097);
	CHECK(!sst_cache_get(&rig.cache, &other, &block));
	cache_rig_leave(&rig);
	sst_cache_stats(&rig.cache, &stats);
	CHECK_EQ(stats.capacity, MIB);
	CHECK_EQ(stats.blocks, 1);
	CHECK_EQ(stats.bytes, 64 + 1024);
	CHECK_EQ(stats.hits, 1);
	CHECK_EQ(stats.misses, 5);
	CHECK_EQ(stats.inserts, 1);
	CHECK_EQ(stats.evictions, 0);
	CHECK_EQ(stats.refused, 0);
	sst_cache_reset_stats(&rig.cache);
	CHECK(is_there(&rig, 7, 4096));
	sst_cache_stats(&rig.cache, &stats);
	CHECK_EQ(stats.blocks, 1);
	CHECK_EQ(stats.hits, 1);
	CHECK_EQ(stats.misses, 0);
	CHECK_EQ(stats.inserts, 0);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

TEST(nothing_is_to_be_had_outside_of_epochs)
{
	SstCacheKey key = key_of(1, 0);
	SstCache none = {0};
	CacheRig rig;
	SstBlock block;
	uint8_t *room;

	REQUIRE_OK(cache_rig_init(&rig, MIB, BLOCK));
	CHECK(read_block(&rig, 1, 0, SST_CACHE_LOW));
	CHECK(!sst_cache_get(&rig.cache, &key, &block));
	CHECK(!sst_cache_peek(&rig.cache, &key, &block));
	CHECK(!sst_cache_still_has(&rig.cache, &key, rig.memory));
	key.offset = 1;
	CHECK(!sst_cache_reserve(&rig.cache, &key, 100, 0, &block, &room));

	/* A process without a slot. */
	port_posix_set_slot(-1);
	CHECK(!sst_cache_get(&rig.cache, &key, &block));
	CHECK(!sst_cache_reserve(&rig.cache, &key, 100, 0, &block, &room));
	port_posix_set_slot(0);

	/* No cache at all. */
	CHECK(!sst_cache_get(&none, &key, &block));
	CHECK(!sst_cache_reserve(&none, &key, 100, 0, &block, &room));
	sst_cache_drop_file(&none, 1);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

TEST(the_first_of_two_finders_wins)
{
	SstCacheKey key = key_of(1, 0);
	SstCacheStats stats;
	CacheRig rig;
	SstBlock first;
	SstBlock second;
	uint8_t *room;

	REQUIRE_OK(cache_rig_init(&rig, MIB, BLOCK));
	cache_rig_enter(&rig);
	REQUIRE(sst_cache_reserve(&rig.cache, &key, 100, 8, &first, &room));
	fill(&key, room, 100);
	REQUIRE(sst_cache_reserve(&rig.cache, &key, 100, 8, &second, &room));
	fill(&key, room, 100);
	CHECK(first.data != second.data);
	sst_cache_publish(&rig.cache, &key, SST_CACHE_LOW, &first);
	sst_cache_publish(&rig.cache, &key, SST_CACHE_LOW, &second);
	CHECK(first.data == second.data);

	/* One that could not be read. */
	key.offset = 1;
	REQUIRE(sst_cache_reserve(&rig.cache, &key, 100, 8, &first, &room));
	sst_cache_cancel(&rig.cache, &key, &first);
	CHECK(!sst_cache_get(&rig.cache, &key, &first));
	cache_rig_leave(&rig);
	sst_cache_stats(&rig.cache, &stats);
	CHECK_EQ(stats.blocks, 1);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

TEST(what_is_not_used_goes_first)
{
	SstCacheStats stats;
	CacheRig rig;
	uint64_t round;
	uint64_t i;

	REQUIRE_OK(cache_rig_init(&rig, MIB, BLOCK));
	CHECK(read_block(&rig, 1, 0, SST_CACHE_LOW));
	CHECK(read_block(&rig, 2, 0, SST_CACHE_LOW));
	CHECK(read_block(&rig, 3, 0, SST_CACHE_HIGH));
	for (i = 0; i < 20; i++)
		CHECK(read_block(&rig, 4, i * BLOCK, SST_CACHE_LOW));

	/* What fits stays. */
	read_through(&rig, 5, MIB / 2);
	CHECK(is_there(&rig, 1, 0));
	for (i = 0; i < 20; i++)
		CHECK(is_there(&rig, 4, i * BLOCK));

	/* Of what came first, what was asked for since stays, and what serves many. */
	read_through(&rig, 6, MIB / 2);
	sst_cache_stats(&rig.cache, &stats);
	CHECK(stats.evictions > 0);
	CHECK(is_there(&rig, 1, 0));
	CHECK(!is_there(&rig, 2, 0));
	CHECK(is_there(&rig, 3, 0));

	/* What is asked for now and then outlives any scan; what is not, does not. */
	for (round = 7; round < 20; round++)
	{
		read_through(&rig, round, MIB * 3 / 4);
		CHECK(is_there(&rig, 1, 0));
	}
	CHECK(!is_there(&rig, 3, 0));
	CHECK(!is_there(&rig, 4, 0));
	CHECK(!is_there(&rig, 18, 0));
	CHECK(is_there(&rig, 19, MIB * 3 / 4 - BLOCK));
	sst_cache_stats(&rig.cache, &stats);
	CHECK(stats.bytes <= stats.capacity);
	CHECK(stats.bytes > stats.capacity * 8 / 10);
	CHECK_EQ(stats.refused, 0);
	CHECK_EQ(stats.inserts - stats.evictions, stats.blocks);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

TEST(blocks_of_a_dropped_file_go_first)
{
	CacheRig rig;
	uint64_t i;

	REQUIRE_OK(cache_rig_init(&rig, MIB, BLOCK));
	for (i = 0; i < 20; i++)
	{
		CHECK(read_block(&rig, 1, i * BLOCK, SST_CACHE_HIGH));
		CHECK(read_block(&rig, 2, i * BLOCK, SST_CACHE_HIGH));
		CHECK(is_there(&rig, 1, i * BLOCK));
		CHECK(is_there(&rig, 2, i * BLOCK));
	}
	sst_cache_drop_file(&rig.cache, 1);
	read_through(&rig, 3, MIB);
	for (i = 0; i < 20; i++)
	{
		CHECK(!is_there(&rig, 1, i * BLOCK));
		CHECK(is_there(&rig, 2, i * BLOCK));
	}
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

TEST(a_full_cache_wants_what_is_asked_for_twice)
{
	SstCache none = {0};
	CacheRig rig;
	uint64_t wanted = 0;
	uint64_t i;

	REQUIRE_OK(cache_rig_init(&rig, MIB, BLOCK));
	for (i = 0; i < 50; i++)
	{
		SstCacheKey key = key_of(1, i * BLOCK);

		CHECK(sst_cache_wants(&rig.cache, &key));
		CHECK(read_block(&rig, 1, i * BLOCK, SST_CACHE_LOW));
	}
	read_through(&rig, 2, 2 * MIB);
	for (i = 0; i < 50; i++)
	{
		SstCacheKey key = key_of(3, i * BLOCK);

		CHECK(!sst_cache_wants(&rig.cache, &key));
		CHECK(sst_cache_wants(&rig.cache, &key));
	}

	/* Not when that was long ago. */
	for (i = 0; i < 5000; i++)
	{
		SstCacheKey key = key_of(4, i * BLOCK);

		wanted += sst_cache_wants(&rig.cache, &key);
	}
	CHECK(wanted < 50);
	for (i = 0; i < 50; i++)
	{
		SstCacheKey key = key_of(4, i * BLOCK);

		wanted += sst_cache_wants(&rig.cache, &key);
	}
	CHECK(wanted < 50);
	CHECK(!sst_cache_wants(&none, &(SstCacheKey){1, 2, 3}));
	cache_rig_free(&rig);
}

TEST(oversized_blocks_are_refused)
{
	SstCacheStats stats;
	CacheRig rig;
	SstBlock block;
	uint8_t *room;
	uint64_t max;
	uint64_t i;

	REQUIRE_OK(cache_rig_init(&rig, 2 * MIB, BLOCK));
	max = sst_cache_block_bytes_max(&rig.cache);
	CHECK(max > MIB / 5 && max < MIB / 3);
	cache_rig_enter(&rig);
	for (i = 0; i < 3; i++)
	{
		SstCacheKey key = key_of(1, i);

		CHECK(!sst_cache_reserve(&rig.cache, &key, (uint32_t) max + 1, 0, &block, &room));
		CHECK(!sst_cache_reserve(&rig.cache, &key, UINT32_MAX, UINT32_MAX, &block, &room));
		CHECK(!sst_cache_reserve(&rig.cache, &key, (uint32_t) max - 7, 8, &block, &room));
		CHECK(read_sized(&rig.cache, key, (uint32_t) max - 8, SST_CACHE_LOW));
	}
	cache_rig_leave(&rig);
	sst_cache_stats(&rig.cache, &stats);
	CHECK_EQ(stats.blocks, 3);
	CHECK_EQ(stats.refused, 9);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

TEST(a_reader_keeps_what_it_found_until_its_epoch_ends)
{
	SstCacheKey keys[8];
	SstBlock blocks[8];
	SstCacheStats stats;
	CacheRig rig;
	uint64_t i;

	REQUIRE_OK(cache_rig_init(&rig, MIB, BLOCK));
	for (i = 0; i < 8; i++)
	{
		keys[i] = key_of(1, i * BLOCK);
		CHECK(read_block(&rig, 1, i * BLOCK, SST_CACHE_LOW));
	}
	port_posix_set_slot(1);
	cache_rig_enter(&rig);
	for (i = 0; i < 8; i++)
		REQUIRE(sst_cache_get(&rig.cache, &keys[i], &blocks[i]));

	/* Others want the room; they get none once all that is left waits for this reader. */
	port_posix_set_slot(0);
	for (i = 0; i < 10000; i++)
		(void) read_block(&rig, 2, i * BLOCK, SST_CACHE_LOW);
	sst_cache_stats(&rig.cache, &stats);
	CHECK(stats.refused > 9000);
	CHECK(stats.evictions > 0);
	for (i = 0; i < 8; i++)
		CHECK(is_intact(&keys[i], &blocks[i]));
	CHECK_CACHE(&rig.cache);

	/* What is there is found all the same. */
	CHECK(is_there(&rig, 2, 100 * BLOCK));

	/* Its process raised, or died. */
	epoch_abort_cleanup(rig.epochs, 1);
	sst_cache_reset_stats(&rig.cache);
	for (i = 0; i < 10000; i++)
		CHECK(read_block(&rig, 3, i * BLOCK, SST_CACHE_LOW));
	sst_cache_stats(&rig.cache, &stats);
	CHECK_EQ(stats.refused, 0);
	CHECK(!is_intact(&keys[0], &blocks[0]));
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

TEST(what_a_dead_filler_had_taken_comes_back)
{
	SstCacheStats stats;
	CacheRig rig;
	SstBlock block;
	uint8_t *room;
	uint64_t taken = 0;
	uint64_t i;

	REQUIRE_OK(cache_rig_init(&rig, MIB, BLOCK));
	port_posix_set_slot(1);
	cache_rig_enter(&rig);
	for (i = 0; i < 300; i++)
	{
		SstCacheKey key = key_of(1, i);

		taken += sst_cache_reserve(&rig.cache, &key, BLOCK, 8, &block, &room);
	}
	CHECK(taken > 230);
	epoch_abort_cleanup(rig.epochs, 1);
	port_posix_set_slot(0);

	/* The hands have to come by first. */
	for (i = 0; i < 1000; i++)
		(void) read_block(&rig, 2, i * BLOCK, SST_CACHE_LOW);
	sst_cache_stats(&rig.cache, &stats);
	CHECK(stats.bytes > stats.capacity * 8 / 10);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

/* A filler so slow that the hands come by while it reads: it may use its block, but does not leave it. */
TEST(a_filler_that_was_overtaken_does_not_publish)
{
	SstCacheKey key = key_of(1, 0);
	CacheRig rig;
	SstBlock block;
	SstBlock found;
	uint8_t *room;
	uint64_t i;

	REQUIRE_OK(cache_rig_init(&rig, MIB, BLOCK));
	port_posix_set_slot(1);
	cache_rig_enter(&rig);
	REQUIRE(sst_cache_reserve(&rig.cache, &key, BLOCK, 8, &block, &room));
	fill(&key, room, BLOCK);
	port_posix_set_slot(0);
	for (i = 0; i < 1000; i++)
		(void) read_block(&rig, 2, i * BLOCK, SST_CACHE_LOW);
	port_posix_set_slot(1);
	sst_cache_publish(&rig.cache, &key, SST_CACHE_LOW, &block);
	CHECK(is_intact(&key, &block));
	CHECK(!sst_cache_get(&rig.cache, &key, &found));
	sst_cache_cancel(&rig.cache, &key, &block);
	cache_rig_leave(&rig);
	port_posix_set_slot(0);
	CHECK_CACHE(&rig.cache);
	for (i = 0; i < 1000; i++)
		CHECK(read_block(&rig, 3, i * BLOCK, SST_CACHE_LOW));
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

static CacheRig *watched;
static uint64_t gone_before; /* blocks, at the last stamp */
static unsigned stamps;

static uint64_t
stamp_what_is_gone(void *ctx)
{
	SstCacheStats stats;

	sst_cache_stats(&watched->cache, &stats);
	CHECK(stats.evictions > gone_before);
	gone_before = stats.evictions;
	stamps++;
	return epoch_retire_stamp(ctx);
}

/* Whoever comes behind the stamp must not find what it is for. */
TEST(what_goes_is_stamped_when_it_cannot_be_found)
{
	CacheRig rig;
	uint64_t i;

	REQUIRE_OK(cache_rig_init(&rig, MIB, 1 << 20));
	watched = &rig;
	rig.cache.epochs.retire_stamp = stamp_what_is_gone;
	gone_before = 0;
	stamps = 0;
	for (i = 0; i < 5000; i++)
	{
		cache_rig_enter(&rig);
		CHECK(read_sized(&rig.cache, key_of(1, i), 100, SST_CACHE_LOW));
		cache_rig_leave(&rig);
	}
	CHECK(stamps > 0);
	cache_rig_free(&rig);
}

/* More small blocks than the index was made for: it is the index that limits then. */
TEST(many_small_blocks)
{
	SstCacheStats stats;
	CacheRig rig;
	uint64_t i;

	REQUIRE_OK(cache_rig_init(&rig, MIB, 1 << 20));
	for (i = 0; i < 20000; i++)
	{
		cache_rig_enter(&rig);
		CHECK(read_sized(&rig.cache, key_of(1, i), 100, SST_CACHE_LOW));
		cache_rig_leave(&rig);
	}
	sst_cache_stats(&rig.cache, &stats);
	CHECK(stats.blocks > 0);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
	REQUIRE_OK(cache_rig_init(&rig, MIB, 128));
	for (i = 0; i < 20000; i++)
	{
		cache_rig_enter(&rig);
		CHECK(read_sized(&rig.cache, key_of(1, i), 100, SST_CACHE_LOW));
		cache_rig_leave(&rig);
	}
	sst_cache_stats(&rig.cache, &stats);
	CHECK(stats.bytes > stats.capacity * 8 / 10);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

/*
 * Sizes as tables have them, and some of any size, with survivors in between: most of the memory is in use, and the
 * often used stay.
 */
TEST(mixed_sizes_share_the_memory)
{
	unsigned popular_percent;

	for (popular_percent = 0; popular_percent <= 90; popular_percent += 30)
	{
		uint64_t popular_misses = 0;
		uint64_t popular_reads = 0;
		SstCacheStats stats;
		CacheRig rig;
		uint64_t i;

		REQUIRE_OK(cache_rig_init(&rig, 8 * MIB, 8192));
		for (i = 0; i < 40000; i++)
		{
			bool popular = check_random() % 100 < popular_percent;
			uint64_t id = popular ? check_random() % 400 : 1000000 + i;
			SstCacheKey key = {1, id * 65536, (uint32_t) id};
			SstBlock block;
			uint32_t size;

			if (id % 16 == 0)
				size = 16384 + (uint32_t) (id * 7919 % 1000);
			else if (id % 16 == 1)
				size = 2000 + (uint32_t) (id * 7919 % 20000);
			else
				size = 8192 - (uint32_t) (id * 7919 % 116);
			cache_rig_enter(&rig);
			if (popular && i > 20000)
			{
				popular_reads++;
				popular_misses += !sst_cache_get(&rig.cache, &key, &block);
			}
			(void) read_sized(&rig.cache, key, size, id % 16 == 0 ? SST_CACHE_HIGH : SST_CACHE_LOW);
			cache_rig_leave(&rig);
		}
		sst_cache_stats(&rig.cache, &stats);
		printf("%u %% popular: %" PRIu64 " %% of the memory used, %" PRIu64 " of %" PRIu64 " refused, %" PRIu64 " of %" PRIu64
			   " popular reads missed\n", popular_percent, stats.bytes * 100 / stats.capacity, stats.refused,
			   stats.inserts + stats.refused, popular_misses, popular_reads);
		CHECK(stats.bytes > stats.capacity * 75 / 100);
		CHECK(stats.refused * 50 <= stats.inserts);
		CHECK(popular_percent < 60 || popular_misses * 10 < popular_reads);
		CHECK_CACHE(&rig.cache);
		cache_rig_free(&rig);
	}
}

/* ---- several processes ---- */

#define WORKERS 4
#define WORKER_READS 40000

/* Reads blocks at random, several in one epoch, checking them all before it leaves.  0: all was well. */
static int
hammer(CacheRig *rig, int slot, uint64_t reads, uint64_t seed)
{
	uint64_t state = seed;
	uint64_t i;

	port_posix_set_slot(slot);
	for (i = 0; i < reads; i++)
	{
		SstCacheKey keys[4];
		SstBlock blocks[4];
		unsigned n = 1 + (unsigned) (i % 4);
		unsigned k;

		cache_rig_enter(rig);
		for (k = 0; k < n; k++)
		{
			uint64_t id;
			uint32_t size;
			uint8_t *room;

			state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			id = (state >> 33) % ((state >> 20) % 3 == 0 ? 2000 : 100);
			size = 1000 + (uint32_t) (id * 7919 % 12000);
			keys[k] = key_of(id % 7, id);
			if (!sst_cache_get(&rig->cache, &keys[k], &blocks[k]))
			{
				if (!sst_cache_reserve(&rig->cache, &keys[k], size, 8, &blocks[k], &room))
				{
					n = k;
					break;
				}
				fill(&keys[k], room, size);
				if ((state >> 40) % 50 == 0)
				{
					sst_cache_cancel(&rig->cache, &keys[k], &blocks[k]);
					n = k;
					break;
				}
				sst_cache_publish(&rig->cache, &keys[k], id % 5 == 0 ? SST_CACHE_HIGH : SST_CACHE_LOW, &blocks[k]);
			}
			if (blocks[k].size != size)
				return 2;
		}
		for (k = 0; k < n; k++)
			if (!is_intact(&keys[k], &blocks[k]))
				return 1;
		if (i % 5000 == 4999)
			sst_cache_drop_file(&rig->cache, i % 7);
		cache_rig_leave(rig);
	}
	return 0;
}

typedef struct Worker
{
	CacheRig *rig;
	pthread_t thread;
	int slot;
	int result;
} Worker;

static void *
hammer_thread(void *ctx)
{
	Worker *worker = ctx;

	worker->result = hammer(worker->rig, worker->slot, WORKER_READS / 4, check_seed + (uint64_t) worker->slot);
	return NULL;
}

/* What thread sanitizers can see. */
TEST(threads_see_only_intact_blocks)
{
	Worker workers[WORKERS];
	CacheRig rig;
	int i;

	REQUIRE_OK(cache_rig_init(&rig, MIB, 8192));
	for (i = 0; i < WORKERS; i++)
	{
		workers[i] = (Worker){&rig, 0, i, -1};
		REQUIRE(pthread_create(&workers[i].thread, NULL, hammer_thread, &workers[i]) == 0);
	}
	for (i = 0; i < WORKERS; i++)
	{
		REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
		CHECK_EQ(workers[i].result, 0);
	}
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

TEST(processes_see_only_intact_blocks)
{
	pid_t workers[WORKERS + 1];
	SstCacheStats stats;
	CacheRig rig;
	int i;

	REQUIRE_OK(cache_rig_init(&rig, 2 * MIB, 8192));
	(void) fflush(NULL);
	for (i = 0; i <= WORKERS; i++)
	{
		workers[i] = fork();
		REQUIRE(workers[i] >= 0);
		if (workers[i] == 0)
		{
			/* The last one never ends by itself, until it is killed in the middle of something. */
			_exit(hammer(&rig, i + 1, i < WORKERS ? WORKER_READS : UINT64_MAX, check_seed + (uint64_t) i));
		}
	}
	for (i = 0; i <= WORKERS; i++)
	{
		int status = 0;

		if (i == WORKERS)
			(void) kill(workers[i], SIGKILL);
		REQUIRE(waitpid(workers[i], &status, 0) == workers[i]);
		if (i < WORKERS)
			CHECK_EQ(status, 0);
	}

	/* If it died with a shard's lock the cache is as good as read-only; else all memory is to be had again. */
	epoch_abort_cleanup(rig.epochs, WORKERS + 1);
	port_posix_set_slot(0);
	sst_cache_stats(&rig.cache, &stats);
	CHECK(stats.hits > 0 && stats.inserts > 0 && stats.evictions > 0);
	sst_cache_reset_stats(&rig.cache);
	CHECK_EQ(hammer(&rig, 0, 1000, check_seed), 0);
	sst_cache_stats(&rig.cache, &stats);
	CHECK(stats.hits > 0);
	if (stats.inserts > 0)
		CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
}

/* ---- under a database ---- */

static NvmkvStatus
no_open(const char *path, int flags, PortFile **file_out)
{
	(void) flags;
	*file_out = NULL;
	return NVMKV_FAIL(NVMKV_IO, "\"%s\" was opened", path);
}

#define KEYS 20000

static bool
write_keys(Rig *rig)
{
	uint8_t value[200];
	uint64_t i;

	for (i = 0; i < KEYS; i++)
	{
		check_random_bytes(value, sizeof(value));
		if (rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(i), 0, 0, nvmkv_slice(value, sizeof(value))) != NVMKV_OK)
			return false;
	}
	return nvmkv_flush_all(rig->db) == NVMKV_OK && nvmkv_compact_all(rig->db) == NVMKV_OK;
}

static bool
read_keys(Rig *rig)
{
	NvmkvBuf value = {0};
	uint64_t i;

	for (i = 0; i < KEYS; i++)
		if (nvmkv_get(rig->db, rig_key(i), NULL, &value, NULL) != NVMKV_OK)
			return false;
	return true;
}

static bool
read_keys_without_opening(Rig *rig)
{
	static PortFileOps files;

	files = *port_files;
	files.open = no_open;
	port_files = &files;
	return read_keys(rig);
}

static bool
in_new_process(Rig *rig, int slot, bool (*run)(Rig *rig))
{
	int status = -1;
	pid_t child;

	(void) fflush(NULL);
	child = fork();
	if (child == 0)
	{
		port_posix_set_slot(slot);
		if (run(rig))
			_exit(0);
		(void) fprintf(stderr, "%s\n", nvmkv_error()->text);
		_exit(1);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

TEST(a_new_process_on_a_warm_database_opens_no_file)
{
	NvmkvCacheStats cold;
	NvmkvCacheStats warm;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.block_cache_bytes = 32 * MIB;
	REQUIRE_OK(rig_open(&rig));

	/* In a process of its own: this one shall have nothing to hand down. */
	REQUIRE(in_new_process(&rig, 1, write_keys));
	nvmkv_reset_stats(rig.db);
	CHECK(in_new_process(&rig, 2, read_keys));
	nvmkv_cache_stats(rig.db, &cold);
	CHECK(cold.misses > 100);
	CHECK_EQ(cold.inserts, cold.misses);
	CHECK_EQ(cold.refused, 0);
	CHECK(in_new_process(&rig, 3, read_keys_without_opening));
	nvmkv_cache_stats(rig.db, &warm);
	CHECK_EQ(warm.misses, cold.misses);
	CHECK(warm.hits > cold.hits + 2 * KEYS);
	rig_close(&rig);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST_MAIN()
