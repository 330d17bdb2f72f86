/*
 * target.h
 *	  The row an UPDATE or DELETE is about to change: may it?
 */
#ifndef NVMKV_FDW_TARGET_H
#define NVMKV_FDW_TARGET_H

#include "postgres.h"

#include "storage/lmgr.h"

#include "fdw/host/latch.h"
#include "fdw/modify/modify.h"

typedef enum NvmkvTargetState
{
	NVMKV_TARGET_READY,	  /* go ahead: the latches are held */
	NVMKV_TARGET_LOCKED,  /* as asked for: it is the row the statement means, and cannot change any more */
	NVMKV_TARGET_CHANGED, /* another transaction has changed it; it is locked for us, modify->newest has it */
	NVMKV_TARGET_GONE	  /* nothing to do */
} NvmkvTargetState;

typedef struct NvmkvTarget
{
	bool is_delete;		   /* for messages and error contexts */
	NvmkvLockMode mode;	   /* EXCLUSIVE if the key changes or goes, else NO_KEY_UPDATE */
	bool lock_only;		   /* LOCKED is wanted instead of READY */
	NvmkvRowAnchor anchor; /* which row at old_key; moves on with CHANGED: the version found then may be replaced */
	NvmkvLatchSet latches;
} NvmkvTarget;

/*
 * Decides about the row at modify->old_key under the rules of heap_update and heap_delete, waiting as long as it
 * takes.  A row that has got another key meanwhile is followed: old_key changes, and the result is CHANGED or GONE.
 * extra_key: another key whose latch the caller needs (size 0: none).  READY: modify->standing has the locks to be
 * written again above a version that follows in place.  Raises 40001, 27000 as the executor does for a heap table.
 */
extern NvmkvTargetState nvmkv_target_claim(NvmkvModify *modify, EState *estate, NvmkvTarget *target,
										   NvmkvSlice extra_key);

/*
 * Waiting for a row somebody else has changed or locked, in turn: a heavy-weight lock on the key and the version that
 * all wait upon is held while one waits, so that the next in line cannot be overtaken.  Zero-initialise;
 * nvmkv_row_queue_leave when done, or when the row turns out to be at another key.  Errors clean up by themselves.
 */
typedef struct NvmkvRowQueue
{
	bool held;
	LOCKMODE mode;
	ItemPointerData tid;
} NvmkvRowQueue;

extern void nvmkv_row_queue_wait(NvmkvRowQueue *queue, Relation rel, NvmkvSlice key, const NvmkvRowView *view,
								 NvmkvLockMode want, XLTW_Oper oper);
extern void nvmkv_row_queue_leave(NvmkvRowQueue *queue, Relation rel);

/*
 * READ COMMITTED: follows a row to where the view says it has moved.  key and *anchor become those to look at next.
 * False: it has not moved, it is gone.  Raises 40001 when it has left the partition.
 */
extern bool nvmkv_row_follow(StringInfo key, const StringInfoData *moved, const NvmkvRowView *view,
							 NvmkvRowAnchor *anchor);

/* 40001 for a row that is lost to a transaction with a snapshot of its own; nothing in READ COMMITTED. */
extern void nvmkv_row_check_loss(const NvmkvRowView *view);

/*
 * Writes a LOCK entry unless the transaction holds as much already.  REQUIRES the key's latch.  False: no room; release
 * latches, nvmkv_write_wait_room, look again.
 */
extern bool nvmkv_row_lock(NvmkvDb *db, Relation rel, NvmkvSlice key, const NvmkvRowView *view, NvmkvLockMode mode,
						   FullTransactionId fxid, CommandId cid);

#endif
