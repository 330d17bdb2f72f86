/*
 * latch.c
 *	  Key latches in shared memory.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "storage/lwlock.h"

#include "engine/port/port_pg.h"
#include "fdw/host/latch.h"

#define TRANCHE_NAME "nvmkv_key"

StaticAssertDecl((NVMKV_LATCH_STRIPES & (NVMKV_LATCH_STRIPES - 1)) == 0, "stripes must be a power of two");
StaticAssertDecl(NVMKV_LATCH_STRIPES <= PG_UINT16_MAX + 1, "a stripe's number must fit 16 bits");

StaticAssertDecl(sizeof(LWLock) + 2 * sizeof(uint32) <= LWLOCK_PADDED_SIZE, "there must be room beside a lock");

static LWLockPadded *latches;

/* A stripe's generation, in the room that pads its lock; shared memory begins as zeros. */
static inline pg_atomic_uint32 *
generation_of(uint16 stripe)
{
	return (pg_atomic_uint32 *) (latches[stripe].pad + LWLOCK_PADDED_SIZE - sizeof(pg_atomic_uint32));
}

static inline uint16
stripe_of(uint64 key_hash)
{
	return (uint16) (key_hash & (NVMKV_LATCH_STRIPES - 1));
}

void
nvmkv_latch_shmem_request(void)
{
	RequestNamedLWLockTranche(TRANCHE_NAME, NVMKV_LATCH_STRIPES);
}

void
nvmkv_latch_shmem_init(void)
{
	latches = GetNamedLWLockTranche(TRANCHE_NAME);
}

uint64
nvmkv_key_hash(NvmkvSlice key)
{
	return hash_bytes_extended(key.data, (int) key.size, 0);
}

BlockNumber
nvmkv_key_hash_to_page(uint64 hash)
{
	BlockNumber block = (BlockNumber) (hash >> 32);

	return block == InvalidBlockNumber ? 0 : block;
}

void
nvmkv_key_hash_to_tid(uint64 hash, ItemPointer tid)
{
	OffsetNumber offset = (OffsetNumber) (FirstOffsetNumber + ((hash >> 16) & PG_UINT16_MAX) % MaxOffsetNumber);

	ItemPointerSet(tid, nvmkv_key_hash_to_page(hash), offset);
}

uint32
nvmkv_latch_generation(uint64 key_hash)
{
	uint32 generation = pg_atomic_read_u32(generation_of(stripe_of(key_hash)));

	pg_read_barrier(); /* the look comes after it */
	return generation;
}

/* An ERROR leaves the generation odd, and whoever has looked meanwhile does not trust it. */
static void
begin_generation(uint16 stripe)
{
	pg_atomic_uint32 *generation = generation_of(stripe);

	pg_atomic_write_u32(generation, (pg_atomic_read_u32(generation) + 1) | 1);
	pg_write_barrier();
}

static void
end_generation(uint16 stripe)
{
	pg_atomic_uint32 *generation = generation_of(stripe);

	pg_write_barrier();
	pg_atomic_write_u32(generation, pg_atomic_read_u32(generation) + 1);
}

uint32
nvmkv_latch_generation_before(uint64 key_hash)
{
	return pg_atomic_read_u32(generation_of(stripe_of(key_hash))) - 1;
}

void
nvmkv_latch_set_init(NvmkvLatchSet *set)
{
	set->count = 0;
	set->held = false;
}

void
nvmkv_latch_set_add(NvmkvLatchSet *set, uint64 key_hash)
{
	Assert(!set->held);
	Assert(set->count < NVMKV_LATCH_SET_MAX);
	set->stripes[set->count++] = stripe_of(key_hash);
}

/* Sorts the stripes and removes repetitions; sets are small. */
static void
normalise(NvmkvLatchSet *set)
{
	int kept = 0;

	for (int i = 1; i < set->count; i++)
	{
		uint16 stripe = set->stripes[i];
		int j = i;

		for (; j > 0 && set->stripes[j - 1] > stripe; j--)
			set->stripes[j] = set->stripes[j - 1];
		set->stripes[j] = stripe;
	}
	for (int i = 0; i < set->count; i++)
	{
		if (kept == 0 || set->stripes[kept - 1] != set->stripes[i])
			set->stripes[kept++] = set->stripes[i];
	}
	set->count = kept;
}

#ifdef USE_ASSERT_CHECKING
bool
nvmkv_latch_is_held(void)
{
	return LWLockAnyHeldByMe(&latches[0].lock, NVMKV_LATCH_STRIPES, sizeof(LWLockPadded));
}
#endif

void
nvmkv_latch_set_acquire(NvmkvLatchSet *set)
{
	Assert(!set->held && !nvmkv_latch_is_held() && !port_pg_holds_lock());
	normalise(set);
	for (int i = 0; i < set->count; i++)
	{
		LWLockAcquire(&latches[set->stripes[i]].lock, LW_EXCLUSIVE);
		begin_generation(set->stripes[i]);
	}
	set->held = true;
}

void
nvmkv_latch_set_release(NvmkvLatchSet *set)
{
	Assert(set->held);
	for (int i = set->count; i-- > 0;)
	{
		end_generation(set->stripes[i]);
		LWLockRelease(&latches[set->stripes[i]].lock);
	}
	set->held = false;
}
