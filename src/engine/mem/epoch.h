/*
 * epoch.h
 *	  Who is inside the engine: per-process slots in shared memory, and the
 *	  rule that says when memory may be reused.
 *
 * A process publishes the global epoch in its slot before it looks at anything
 * that may be reclaimed, and clears it when it has let go.  Whoever unlinks
 * something takes a stamp afterwards; the thing may be reused once no slot
 * shows an epoch up to that stamp.
 *
 * The same slots show into which memtable buffer a process is writing.  They
 * are slots and not counters so that what a dead or aborted process left
 * behind can be found and cleared.
 *
 * A slot is written by its process alone (or for it, after its death).
 * Slot numbers are 0 .. slots-1; before processes have slots (start-up in the
 * server's postmaster) only epoch_init may be called.
 */
#ifndef NVMKV_MEM_EPOCH_H
#define NVMKV_MEM_EPOCH_H

#include "engine/port/port.h"

typedef struct EpochShm EpochShm; /* opaque: global epoch, slots */

extern size_t epoch_shm_bytes(unsigned slots);

/* memory: 64-byte aligned. */
extern void epoch_init(EpochShm *shm, unsigned slots);

/* Nests; the outermost pair counts.  What was reachable after enter stays until the matching leave. */
extern void epoch_enter(EpochShm *shm, int slot);
extern void epoch_leave(EpochShm *shm, int slot);
extern bool epoch_is_inside(const EpochShm *shm, int slot);

/* Call after unlinking; the result belongs to everything unlinked before the call.  Never 0. */
extern uint64_t epoch_retire_stamp(EpochShm *shm);

/*
 * May what carries this stamp be reused? Once true, true for ever. Costs a scan of the slots unless a later stamp
 * was safe before.
 */
extern bool epoch_is_safe(EpochShm *shm, uint64_t stamp);

/*
 * "Process slot is writing into buffer" (0 ..).  Not nested.  After begin the caller must check that the buffer
 * still takes writers and withdraw (end) if not: either it then sees the buffer closed, or whoever closed it sees
 * the writer.
 */
extern void epoch_writing_begin(EpochShm *shm, int slot, unsigned buffer);
extern void epoch_writing_end(EpochShm *shm, int slot);
extern bool epoch_is_writing(const EpochShm *shm, int slot);

/* Nobody is writing into the buffer / into any buffer. */
extern bool epoch_buffer_is_quiet(const EpochShm *shm, unsigned buffer);
extern bool epoch_writers_are_quiet(const EpochShm *shm);

/* The slot as if its process had never entered: for an aborted call in the own process, or for a dead process. */
extern void epoch_abort_cleanup(EpochShm *shm, int slot);

#endif
