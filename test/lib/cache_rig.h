/*
 * cache_rig.h
 *	  A block cache with its epochs in shared memory, without a database.
 */
#ifndef NVMKV_TEST_CACHE_RIG_H
#define NVMKV_TEST_CACHE_RIG_H

#include "engine/mem/epoch.h"
#include "engine/port/port_posix.h"
#include "engine/sst/sst_cache.h"

#define CACHE_RIG_SLOTS 16

typedef struct CacheRig
{
	void *memory;
	size_t memory_bytes;
	EpochShm *epochs;
	SstCache cache; /* good in forked processes, too */
} CacheRig;

/* Blocks of about block_bytes.  The process is in no epoch. */
extern NvmkvStatus cache_rig_init(CacheRig *rig, uint64_t cache_bytes, uint32_t block_bytes);
extern void cache_rig_free(CacheRig *rig);

/* Of the calling process's slot. */
extern void cache_rig_enter(CacheRig *rig);
extern void cache_rig_leave(CacheRig *rig);

/* Nobody else uses the cache, and all is well in it. */
#define CHECK_CACHE(cache) \
	do \
	{ \
		const char *problem_ = sst_cache_check(cache); \
\
		if (problem_ != NULL) \
			check_failed(__FILE__, __LINE__, problem_); \
	} while (0)

#endif
