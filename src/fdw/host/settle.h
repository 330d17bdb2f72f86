/*
 * settle.h
 *	  The server's commit log becomes the tree's outcome record, and is kept
 *	  until it has.
 */
#ifndef NVMKV_FDW_SETTLE_H
#define NVMKV_FDW_SETTLE_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "lib/stringinfo.h"

#include "engine/nvmkv.h"

/*
 * One round: everything that has ended by now is settled.  May raise, as reading the commit log may; the caller's
 * clean-up of the engine takes the rest apart.  Statuses: CANCELLED, and what keeps a file from being written.
 * Does nothing in recovery, nor while the barrier is away, unless it is the barrier that calls.
 */
extern NvmkvStatus nvmkv_settle_round(NvmkvDb *db, bool is_barrier);

/* Has there been a transaction since the last round?  Cheap. */
extern bool nvmkv_settle_is_due(NvmkvDb *db);

/* Does a process run a transaction that has begun before "limit"?  Prepared ones are no process's. */
extern bool nvmkv_settle_waits_for_process(uint64 limit);

/* The server's next transaction id. */
extern uint64 nvmkv_settle_next_fxid(void);

/*
 * The same for a session that is about to give space back: what has ended must not be held for its commit log.
 * ERROR where the round fails.
 */
extern void nvmkv_settle_now(NvmkvDb *db);

/* nvmkv_set_outcome, logged: durable when it returns how many transactions it was about.  first and last included. */
extern uint64 nvmkv_settle_by_word(NvmkvDb *db, uint64 first, uint64 last, bool committed);

/* Replays a record of wal.h's OUTCOMES. */
extern NvmkvStatus nvmkv_settle_redo(NvmkvDb *db, NvmkvSlice record, XLogRecPtr end);

/* The same of outcomes that were kept when they could not be saved (kept.h). */
extern NvmkvStatus nvmkv_settle_kept(NvmkvDb *db, uint64 from, uint64 to, const uint8 *bits);

/* What recovery has to do for the server's own sake, whether there is a tree that takes the record or not. */
extern void nvmkv_settle_redo_ids(NvmkvSlice record);

/* What such a record says, for pg_waldump. */
extern void nvmkv_settle_desc(StringInfo buf, NvmkvSlice record);

/*
 * Can the record and this server's transaction ids belong together?  NULL: yes; else what is wrong.  Not in recovery.
 */
extern const char *nvmkv_settle_objection(NvmkvDb *db);

/* Where a new tree's record begins, from the control file. */
extern uint64 nvmkv_settle_first_fxid(void);

/* ---- the guard of the commit log (settle.c) ---- */

/* From the hook that makes shared memory, once the engine has been opened or has not (NULL). */
extern void nvmkv_settle_guard_init(NvmkvDb *db);
extern Size nvmkv_settle_shmem_bytes(void);

/* Recovery begins, and ends: meanwhile the guard keeps nothing, since replay does what the log says. */
extern void nvmkv_settle_guard_lift(void);
extern void nvmkv_settle_guard_lower(NvmkvDb *db);

#endif
