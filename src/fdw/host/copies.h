/*
 * copies.h
 *	  Who copies the data directory while the server runs, and what is kept for them.
 *
 * A copy is sound by a backup point (engine/db/backup.c) that was complete
 * before the copier looked at the directory, and by the files that it names.
 * So copiers must be known before they begin:
 *
 *	  base backup	(walsender)	On a primary its own checkpoint waits for the barrier (bgworker/barrier.c), which looks
 *					for walsenders in the state of a backup.  On a standby nothing waits for anybody: any walsender
 *					counts as a copy from its authentication on, and gets its point before it takes commands, until
 *					it is seen to stream.
 *	  pg_backup_start()		Seen before the function is executed.  On a primary its checkpoint waits, as above; on a
 *					standby the point is made there and then.
 *	  pg_rewind			An ordinary session, known by the statement it prepares; at its first look at a file.
 *	  nvmkv.copy_start()	Whoever copies by other means says so.
 *
 * On a standby a base backup begins at the last restartpoint, whose redo point
 * is that of a checkpoint record replayed before.  So before one of these is
 * replayed, a point is made at or behind its redo point, as long as there is a
 * copy that may not have begun.
 *
 * A copy ends with its session at the latest, and what was kept for it goes
 * within a second or so: the flush worker looks (nvmkv_copies_tend).
 */
#ifndef NVMKV_FDW_COPIES_H
#define NVMKV_FDW_COPIES_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

#include "engine/nvmkv.h"

/* Why a process copies; it may have several reasons. */
#define NVMKV_COPY_WALSENDER	(1 << 0)
#define NVMKV_COPY_BACKUP		(1 << 1)	/* between pg_backup_start() and pg_backup_stop() */
#define NVMKV_COPY_REWIND		(1 << 2)
#define NVMKV_COPY_SESSION	(1 << 3)	/* nvmkv.copy_start() */

typedef struct NvmkvCopy
{
	int pid; /* 0: none */
	int kinds;
	bool started;	/* of pg_backup_start(): it has begun, and needs no further point */
	uint64 stamp;
	TimestampTz since;
	XLogRecPtr position;	/* of the last point that it may use; invalid: there is none yet */
	char broken[256];		/* not empty: why nothing is kept for it any more */
} NvmkvCopy;

/* From shmem_request_hook and shmem_startup_hook, after the engine's. */
extern void nvmkv_copies_shmem_request(void);
extern void nvmkv_copies_shmem_init(void);

/* ---- of this process (copysession.c) ---- */

/* Its element, which it may read without the lock; NULL: it makes no copy, or there is no list. */
extern const NvmkvCopy *nvmkv_copy_mine(void);

/* It begins to copy, or has one more reason to; it has one less. */
extern void nvmkv_copy_mine_add(NvmkvDb *db, int kind);
extern void nvmkv_copy_mine_end(NvmkvDb *db, int kinds);

/* REQUIRES nvmkv_copy_mine.  pg_backup_start() has returned. */
extern void nvmkv_copy_mine_has_begun(void);

/* REQUIRES nvmkv_copy_mine.  Sees to it that it has a point. */
extern NvmkvStatus nvmkv_copy_mine_get_point(NvmkvDb *db);

/* ---- of all ---- */

/* Is anything kept for it? */
extern bool nvmkv_copy_is_needed(const NvmkvCopy *copy);

/* What there is, into room for MaxBackends of them; returns how many. */
extern unsigned nvmkv_copies_list(NvmkvCopy *copies);

/* By the barrier, with the redo point fixed: flushes, and makes a point if there is a copy that may need it. */
extern NvmkvStatus nvmkv_copies_at_checkpoint(NvmkvDb *db);

/* Does a copy wait for a point that the next checkpoint is to make? */
extern bool nvmkv_copies_need_point(void);

/*
 * By the startup process, before it replays a checkpoint record with this redo point.  If a point cannot be made, those
 * who need it are told that their copies are of no use.
 */
extern void nvmkv_copies_before_redo(NvmkvDb *db, XLogRecPtr redo);

/* The same, of all copies: what is about to be replayed takes away files that they need. */
extern void nvmkv_copies_break(NvmkvDb *db, const char *why);

/* Lets go of what ended copies have left, and of the oldest ones that need more space than they may have. */
extern void nvmkv_copies_tend(NvmkvDb *db);

#endif
