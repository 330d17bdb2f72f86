/*
 * write_control.h
 *	  Slowing writers down before the room for writes ends.
 *
 * Three things can end, or get out of hand, and each has a zone (write_rate.h):
 *	  memtables	 the last write buffer's worth of free room but for one that a
 *				 flush under way will free.  Drained by flushes.
 *	  extents	 an eighth of the pool, beyond what memtables hold (one at most) and one
 *				 more column.  Drained by columns.
 *	  debt		 a level with 2 to 4 times its target (8 to 24 tables in level 0,
 *				 where there is no container).  Drained by level compaction (by
 *				 the merge of level 0).  Nothing ends here, so nobody is stopped.
 * Steps under way count as far as they have come, so that the reserves move
 * evenly although room comes in pieces; the piece that is promised and not there
 * yet is what lies below the zone.
 *
 * All processes look, one at a time, none is in charge: a writer looks every some
 * bytes, every 2 ms at most; background work looks when it asks for the pressure.
 *
 * A writer whose turn has not come gets BUSY from nvmkv_write before anything
 * was done, and waits in nvmkv_wait_room (or before, in nvmkv_wait_turn), where
 * it holds nothing.  There it draws a ticket (bucket.h), and what it has paid
 * for is not asked for again when it tries once more.
 *
 * Each family has its own control.
 *
 * Where nobody but the writer itself does background work, delays would be time
 * lost: there are none.  Nor while that work fails (a full disk, say), for no
 * room comes of it: writers take what is left, and are told why when it ends.
 */
#ifndef NVMKV_TREE_WRITE_CONTROL_H
#define NVMKV_TREE_WRITE_CONTROL_H

#include "engine/tree/tree.h"

/* A process looks after so many bytes: this share of a write buffer. */
#define WRITE_CONTROL_LOOK_SHARE 64

/* The slow part of write_control_admits. */
extern bool write_control_ask(NvmkvDb *db, size_t bytes);

/* May this process write so many bytes now?  True: they are paid for. */
static inline bool
write_control_admits(NvmkvDb *db, size_t bytes)
{
	db->unlooked_bytes += bytes;
	if (__builtin_expect(port_load_relaxed(&db->shm->control.rate) == 0 &&
							 db->unlooked_bytes < db->options.write_buffer_bytes / WRITE_CONTROL_LOOK_SHARE,
						 1))
		return true;
	return write_control_ask(db, bytes);
}

/* The write that was admitted did not take place. */
static inline void
write_control_give_back(NvmkvDb *db, size_t bytes)
{
	if (port_load_relaxed(&db->shm->control.rate) != 0)
		db->paid_bytes += bytes;
}

/*
 * Waits until the process may write so many bytes, and pays for them.  Counts the delay.  CANCELLED, or READ_ONLY when
 * the gate is closed meanwhile.  Hold nothing, be in no epoch.
 */
extern NvmkvStatus write_control_wait(NvmkvDb *db, size_t bytes);

/* Brings the rate up to date if that was not done just now. */
extern void write_control_look(NvmkvDb *db, uint64_t now_us);

/* Nobody of this process slot looks any more. */
extern void write_control_abort(NvmkvDb *db);

/* Does any reserve shrink?  Background work then has no time for anything that can wait. */
extern bool write_control_is_pressed(NvmkvDb *db);

/* Somebody does background work. */
extern void write_control_note_worker(NvmkvDb *db);

/* How a step of a flush (memtables), or of compaction (extents), has ended. */
extern void write_control_note_step(NvmkvDb *db, NvmkvStallCause cause, NvmkvStatus status);

/* Under so many free extents a batch is started whatever it costs: before writers are slowed down. */
extern bool write_control_pool_is_low(const NvmkvDb *db);

#endif
