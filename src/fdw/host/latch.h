/*
 * latch.h
 *	  Key latches: writers of one key take turns.
 *
 * A key's hash picks one of many LWLocks (stripes).  Whoever decides what to
 * write for some keys holds their stripes, exclusively, from the look at the
 * newest versions until the new ones are in the memtable.  Readers take none.
 *
 * Protocol: stripes of a set are taken in ascending order, and by nobody who
 * has another set, so two sets cannot wait for each other.  Nothing that waits for another transaction happens
 * under a latch; the engine's own locks come after it.  An ERROR gives all
 * LWLocks back, and a set is a local variable: nothing else is to be cleaned.
 */
#ifndef NVMKV_FDW_LATCH_H
#define NVMKV_FDW_LATCH_H

#include "postgres.h"

#include "storage/block.h"
#include "storage/itemptr.h"

#include "engine/nvmkv.h"

/* Two bulk loaders hold NVMKV_LATCH_SET_MAX stripes each: with this many they seldom meet. */
#define NVMKV_LATCH_STRIPES 16384

/* Keys of one set; the server allows a process 200 LWLocks. */
#define NVMKV_LATCH_SET_MAX 64

typedef struct NvmkvLatchSet
{
	int count;
	bool held;
	uint16 stripes[NVMKV_LATCH_SET_MAX];
} NvmkvLatchSet;

/* shmem_request_hook and shmem_startup_hook. */
extern void nvmkv_latch_shmem_request(void);
extern void nvmkv_latch_shmem_init(void);

extern uint64 nvmkv_key_hash(NvmkvSlice key);

/*
 * The key's stand-ins where the server wants a tuple id (heavy-weight locks, error contexts) or a page (predicate
 * locks).  Always valid.
 */
extern BlockNumber nvmkv_key_hash_to_page(uint64 hash);
extern void nvmkv_key_hash_to_tid(uint64 hash, ItemPointer tid);

/*
 * How often the key's latch has been held; odd: it is held now.  If the generation is the same and even before a look
 * at the key and, holding the latch, nvmkv_latch_generation_before(), then nobody has written it in between.
 */
#define NVMKV_LATCH_UNKNOWN 1
extern uint32 nvmkv_latch_generation(uint64 key_hash);

/* The generation before the caller took the latch.  REQUIRES it. */
extern uint32 nvmkv_latch_generation_before(uint64 key_hash);

/* set->count = 0, held = false; add each key; acquire; release. */
extern void nvmkv_latch_set_init(NvmkvLatchSet *set);
extern void nvmkv_latch_set_add(NvmkvLatchSet *set, uint64 key_hash);
extern void nvmkv_latch_set_acquire(NvmkvLatchSet *set);
extern void nvmkv_latch_set_release(NvmkvLatchSet *set);

#ifdef USE_ASSERT_CHECKING
/* Does this process hold one?  Nobody waits for a transaction, or for room, who does. */
extern bool nvmkv_latch_is_held(void);
#endif

#endif
