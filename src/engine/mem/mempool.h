/*
 * mempool.h
 *	  The pool of memtable buffers in shared memory: which one takes writes,
 *	  which wait to be flushed, which may be reused.
 *
 * Life of a buffer:
 *	  FREE		 empty
 *	  ACTIVE	 takes writes; exactly one does
 *	  IMMUTABLE	 waits for its flush
 *	  FLUSHED	 unlinked; a reader may still be inside
 *	  CLEANING	 being laid out anew; then FREE
 *
 * The live ones (ACTIVE and IMMUTABLE), newest first, are packed in one word,
 * so that a reader takes them all in one load.  Changes happen under the lock
 * of rank MEMTABLES, which is held for a few stores only.
 *
 * Readers: enter an epoch, take the list, then the version (in this order: a flush publishes its row before it
 * unlinks the memtable, so an entry may be seen twice but is never missed), leave.
 * Writers: mempool_write_begin, log record, memtable_insert for each entry, mempool_write_end.
 * Flusher: mempool_oldest_immutable, build and publish the row with mempool_durable_after(), mempool_flushed.
 */
#ifndef NVMKV_MEM_MEMPOOL_H
#define NVMKV_MEM_MEMPOOL_H

#include "engine/base/logops.h"
#include "engine/base/options.h"
#include "engine/mem/epoch.h"
#include "engine/mem/memtable.h"

typedef struct MemPoolShm MemPoolShm; /* opaque */

/* Process-local handle; forked children inherit it when the mapping stays where it is. */
typedef struct MemPool
{
	MemPoolShm *shm;
	EpochShm *epochs;
	const NvmkvLogOps *log; /* only position() is used: may not raise, may take locks of rank LOG */
	void (*wake)(void);		/* called when the flusher may have work; NULL: none */
} MemPool;

extern size_t mempool_shm_bytes(unsigned buffers, uint64_t buffer_bytes);

/*
 * Lays out the pool with one empty ACTIVE buffer whose start is start_seq. memory: 64-byte aligned. The gate is
 * closed.
 */
extern void mempool_init(MemPoolShm *shm, unsigned buffers, uint64_t buffer_bytes, uint64_t start_seq);
extern void mempool_attach(MemPool *pool, MemPoolShm *shm, EpochShm *epochs, const NvmkvLogOps *log);

/* The largest reservation a write can ever get. */
extern size_t mempool_batch_bytes_max(const MemPool *pool);

/* ---- readers ---- */

typedef struct MemList
{
	unsigned count;
	uint8_t buffer[NVMKV_MEMTABLES_MAX];
	MemtableShm *memtable[NVMKV_MEMTABLES_MAX]; /* newest first */
} MemList;

/* REQUIRES: inside an epoch; the result is good until it is left. */
extern void mempool_list(const MemPool *pool, MemList *out);

/*
 * A number that changes whenever the set of sources a reader must ask has changed.  A reader that takes the number
 * first and (list, version) then may keep them, and use them again in a later epoch if the number, taken inside
 * that epoch, is still the same. Whoever installs a version calls mempool_bump after publishing it and before
 * taking the old one's stamp.
 */
extern uint64_t mempool_super_version(const MemPool *pool);
extern void mempool_bump(MemPool *pool);

/* ---- writers ---- */

typedef struct MemRoom
{
	MemtableShm *memtable;
	unsigned buffer;
	MemtableRoom room; /* for memtable_insert */
} MemRoom;

/*
 * Registers the process as writer of the active buffer and takes room for a batch, switching buffers when the
 * active one is full. Never waits.  OK: mempool_write_end is owed.  Otherwise nothing happened: BUSY no room now
 * (let go of locks, mempool_wait_room, try again), LIMIT the batch can never fit, READ_ONLY the gate is closed.
 * Takes MEMTABLES briefly, and lays out a buffer when it must.
 */
extern NvmkvStatus mempool_write_begin(MemPool *pool, int slot, size_t bytes, MemRoom *out);
extern void mempool_write_end(MemPool *pool, int slot, MemRoom *room);

/*
 * Waits until a write of this size has a chance.  OK: try again.  BUSY: the time is over.  LIMIT, READ_ONLY as
 * above, CANCELLED. timeout_ms < 0: for ever.  Hold nothing, be in no epoch.
 */
extern NvmkvStatus mempool_wait_room(MemPool *pool, int slot, size_t bytes, int timeout_ms);

/* The gate.  After close, no new writer gets in; those inside are done when mempool_writers_are_quiet. */
extern void mempool_open_gate(MemPool *pool);
extern void mempool_close_gate(MemPool *pool);
extern bool mempool_writers_are_quiet(const MemPool *pool);

/*
 * Waits until each writer that is inside now has linked what it has in the log, or gone.  CANCELLED.  Hold nothing, be
 * in no epoch.
 */
extern NvmkvStatus mempool_wait_writers(const MemPool *pool);

/* What an aborted call of this process, or a dead process, left behind. */
extern void mempool_abort_cleanup(MemPool *pool, int slot);

/* ---- flush ---- */

/*
 * Everything logged before the call is in immutable buffers on OK.  An empty active buffer stays, its start moves
 * up to the log's position.  BUSY: no free buffer.
 */
extern NvmkvStatus mempool_switch(MemPool *pool, int slot);

/* The buffer to flush next.  NOT_FOUND: none.  BUSY: a writer is still inside; it wakes the flusher when it is done. */
extern NvmkvStatus mempool_oldest_immutable(MemPool *pool, unsigned *buffer_out, MemtableShm **memtable_out);

/*
 * durable_seq once this buffer, the oldest, will be flushed: to be recorded with its row, when the log has been synced
 * after this call.
 */
extern uint64_t mempool_durable_after(MemPool *pool, unsigned buffer);

/* Its row is published: unlinks it and starts its reclamation.  Returns the new durable_seq. */
extern uint64_t mempool_flushed(MemPool *pool, int slot, unsigned buffer);

/* Every log record that starts below this has been flushed. */
extern uint64_t mempool_durable_seq(MemPool *pool);

/* Makes flushed buffers free that no reader is inside of.  Returns how many are still waiting for readers. */
extern unsigned mempool_reclaim(MemPool *pool, int slot);

/* ---- statistics, racy ---- */

typedef enum MemBufferState
{
	MEM_BUFFER_FREE,
	MEM_BUFFER_ACTIVE,
	MEM_BUFFER_IMMUTABLE,
	MEM_BUFFER_FLUSHED,
	MEM_BUFFER_CLEANING
} MemBufferState;

typedef struct MemBufferStats
{
	MemBufferState state;
	uint64_t generation; /* how many buffers had become active before it, and it; 0 never */
	uint64_t start_seq;	 /* log position when it became active */
	uint64_t bytes, capacity, entries;
	uint64_t first_sequence, last_sequence; /* 0 when empty */
} MemBufferStats;

typedef struct MemPoolStats
{
	unsigned buffers, live, free;
	uint64_t switches;
	uint64_t stalls, stall_us; /* mempool_wait_room that had to wait */
} MemPoolStats;

extern void mempool_stats(const MemPool *pool, MemPoolStats *out);
extern void mempool_buffer_stats(const MemPool *pool, unsigned buffer, MemBufferStats *out);

/* "free", "active", "immutable", "flushed" (also while it is being cleaned). */
extern const char *mempool_state_name(MemBufferState state);

#endif
