/*
 * cache_rig.c
 *	  A block cache with its epochs in shared memory, without a database.
 */
#include "lib/cache_rig.h"

#include <sys/mman.h>

static int
slot_inside(void *ctx)
{
	int slot = port_process_slot();

	return slot >= 0 && epoch_is_inside(ctx, slot) ? slot : -1;
}

static uint64_t
retire_stamp(void *ctx)
{
	return epoch_retire_stamp(ctx);
}

static bool
is_safe(void *ctx, uint64_t stamp)
{
	return epoch_is_safe(ctx, stamp);
}

NvmkvStatus
cache_rig_init(CacheRig *rig, uint64_t cache_bytes, uint32_t block_bytes)
{
	size_t epoch_bytes = (epoch_shm_bytes(CACHE_RIG_SLOTS) + 63) & ~(size_t) 63;
	SstCacheEpochs epochs = {NULL, slot_inside, retire_stamp, is_safe};
	SstCacheShm *shm;

	rig->memory_bytes = epoch_bytes + sst_cache_shm_bytes(cache_bytes, CACHE_RIG_SLOTS, block_bytes);
	rig->memory = mmap(NULL, rig->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (rig->memory == MAP_FAILED)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for a cache");
	rig->epochs = rig->memory;
	epoch_init(rig->epochs, CACHE_RIG_SLOTS);
	shm = (SstCacheShm *) (void *) ((uint8_t *) rig->memory + epoch_bytes);
	sst_cache_shm_init(shm, cache_bytes, CACHE_RIG_SLOTS, block_bytes);
	epochs.ctx = rig->epochs;
	sst_cache_attach(&rig->cache, shm, &epochs);
	return NVMKV_OK;
}

void
cache_rig_free(CacheRig *rig)
{
	sst_cache_detach(&rig->cache);
	(void) munmap(rig->memory, rig->memory_bytes);
}

void
cache_rig_enter(CacheRig *rig)
{
	epoch_enter(rig->epochs, port_process_slot());
}

void
cache_rig_leave(CacheRig *rig)
{
	epoch_leave(rig->epochs, port_process_slot());
}
