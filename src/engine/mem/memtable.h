/*
 * memtable.h
 *	  One write buffer in shared memory: an arena with a lock-free skiplist.
 *
 * Nodes refer to each other by 32-bit offsets in units of 8 bytes from the
 * memtable's start, so a process may map it anywhere.  Inserters link nodes by
 * compare-and-swap, bottom level first; readers never lock; nothing is ever
 * unlinked.  The memory is reused as a whole (mempool.h decides when).
 *
 * Room is taken in one step for a whole batch before its log record is
 * written: after memtable_reserve succeeded, linking cannot fail.
 *
 *	  reserve(bytes) -> log record -> insert ... insert -> finish
 *
 * A blocked bloom filter of user keys at the arena's start lets a point lookup
 * of an absent key end after one cache miss.
 */
#ifndef NVMKV_MEM_MEMTABLE_H
#define NVMKV_MEM_MEMTABLE_H

#include "engine/base/batch.h"
#include "engine/base/iter.h"

#define MEMTABLE_HEIGHT_MAX 20

typedef struct MemtableShm MemtableShm; /* opaque: header, filter, arena */

/* Lays an empty memtable over "bytes" of 64-byte aligned memory, MEMTABLE_BYTES_MIN .. MEMTABLE_BYTES_MAX. */
#define MEMTABLE_BYTES_MIN UINT64_C(65536)
#define MEMTABLE_BYTES_MAX (UINT64_C(1) << 31) /* payload offsets are 32 bits wide */
extern void memtable_init(MemtableShm *mt, uint64_t bytes);

/* Upper bound of what one entry takes, tower included; never more than key + payload + BATCH_ENTRY_OVERHEAD. */
extern size_t memtable_entry_bytes_max(size_t key_bytes, size_t payload_bytes);

/* The largest reservation an empty memtable of this size can take. */
extern size_t memtable_capacity(uint64_t bytes);

/*
 * A batch's claim on a memtable, in the inserter's own memory.  It also keeps the path to the entry inserted last
 * ("finger"): the next one is searched from there, so entries that come in key order cost a few comparisons each.
 */
typedef struct MemtableRoom
{
	size_t left; /* bytes of the claim not yet used */
	uint64_t random;
	uint64_t entries, first_sequence, last_sequence; /* of this batch */
	uint64_t first_fxid, last_fxid;					 /* of its tagged entries; UINT64_MAX, 0: there are none */
	unsigned finger_levels;							 /* 0: no finger yet */
	uint32_t finger[MEMTABLE_HEIGHT_MAX];
} MemtableRoom;

/* Takes room for a batch: false when it does not fit.  Lock-free. */
extern bool memtable_reserve(MemtableShm *mt, size_t bytes, MemtableRoom *room_out);

/* Would a reservation of this size succeed now? */
extern bool memtable_has_room(const MemtableShm *mt, size_t bytes);

/* One entry to be linked; its bytes are copied. */
typedef struct MemtableEntry
{
	NvmkvSlice key;
	uint64_t tag;
	NvmkvSlice payload;
} MemtableEntry;

/*
 * Links 1 .. MEMTABLE_GROUP entries from reserved room, searching for their places at the same time, which takes little
 * longer than a search for one, and fewer steps where they come in ascending order.  (key, tag) must be new or an exact
 * repetition, which is ignored (log replay).  Never fails, never blocks; concurrent inserters and readers welcome.
 */
#define MEMTABLE_GROUP 16
extern void memtable_insert(MemtableShm *mt, MemtableRoom *room, const MemtableEntry *entries, unsigned n);

/*
 * The same for entries that come one by one: they are linked when there are MEMTABLE_GROUP of one room, or one of
 * another room comes, or at memtable_group_finish; their bytes must stay until then.  An empty group: n = 0.
 */
typedef struct MemtableGroup
{
	unsigned n;
	MemtableShm *mt;
	MemtableRoom *room;
	MemtableEntry entry[MEMTABLE_GROUP];
} MemtableGroup;

extern void memtable_group_add(MemtableGroup *group, MemtableShm *mt, MemtableRoom *room, MemtableEntry entry);
extern void memtable_group_finish(MemtableGroup *group);

/*
 * The batch is complete: gives the unused part of the room back and adds the batch to the statistics.
 * An inserter that dies without it leaves some room unused and its entries uncounted, nothing worse.
 */
extern void memtable_finish(MemtableShm *mt, MemtableRoom *room);

/* No entry is linked (exact, whatever the statistics say). */
extern bool memtable_is_empty(const MemtableShm *mt);

/* Statistics of finished batches, racy. */
extern uint64_t memtable_bytes_used(const MemtableShm *mt);		/* reservations included */
extern uint64_t memtable_entries(const MemtableShm *mt);
extern uint64_t memtable_first_sequence(const MemtableShm *mt); /* smallest sequence inserted, UINT64_MAX when empty */
extern uint64_t memtable_last_sequence(const MemtableShm *mt);	/* largest, 0 when empty */

/* No tagged entry that is linked is of an older transaction; UINT64_MAX: there is no tagged entry. */
extern uint64_t memtable_first_fxid(const MemtableShm *mt);

/* Estimated entries in [lower, upper); an empty upper is none.  Small ranges are counted. */
extern uint64_t memtable_range_estimate(const MemtableShm *mt, NvmkvSlice lower, NvmkvSlice upper);

/* false: no version of this user key is here (hash = filter_hash(key)). */
extern bool memtable_may_contain(const MemtableShm *mt, uint64_t hash);

/*
 * Status hint of the entry an iterator stands on: 0 unknown, else a value the host chose (server: committed / aborted).
 * One byte beside the node, racy and monotonic; lives as long as the memtable.  REQUIRES: a memtable's iterator, valid.
 */
extern uint8_t *memtable_iter_hint(NvmkvIter *it);

/*
 * Iterator over the memtable in the caller's memory, no allocation, destroy is a no-op. Backward steps cost what
 * forward steps cost.
 */
typedef struct MemtableIter
{
	NvmkvIter base;
	MemtableShm *mt;
	uint32_t node;
	bool finger_valid; /* finger[l] stands before the node, for every level l the node is not in */
	uint32_t finger[MEMTABLE_HEIGHT_MAX];
} MemtableIter;

extern void memtable_iter_init(MemtableIter *it, MemtableShm *mt);

/* As seek.  Takes few steps where the place comes soon behind that of the last seek, and no step was taken since. */
extern void memtable_iter_seek_near(MemtableIter *it, NvmkvSlice key, uint64_t tag);

#endif
