/*
 * target.h
 *	  The row an UPDATE or DELETE is about to change: may it?
 */
#ifndef NVMKV_FDW_TARGET_H
#define NVMKV_FDW_TARGET_H

#include "postgres.h"

#include "storage/lmgr.h"

#include "fdw/latch.h"
#include "fdw/modify.h"

typedef enum NvmkvTargetState
{
	NVMKV_TARGET_READY,	  /* go ahead: the latches are held */
	NVMKV_TARGET_CHANGED, /* another transaction has changed it; it is locked for us, modify->newest has it */
	NVMKV_TARGET_GONE	  /* nothing to do */
} NvmkvTargetState;

typedef struct NvmkvTarget
{
	bool is_delete; /* for messages and error contexts */
	uint64 known_sequence; /* this version may be changed though the snapshot does not see it: set by CHANGED */
	uint64 origin;		   /* 0 at first; see NvmkvRowQuery */
	NvmkvLatchSet latches;
} NvmkvTarget;

/*
 * Decides about the row at modify->old_key under the rules of heap_update and heap_delete, waiting as long as it
 * takes.  A row that has got another key meanwhile is followed: old_key changes, and the result is CHANGED or GONE.
 * extra_key: another key whose latch the caller needs (size 0: none). Raises 40001, 27000 as the executor does for a
 * heap table.
 */
extern NvmkvTargetState nvmkv_target_claim(NvmkvModify *modify, EState *estate, NvmkvTarget *target,
										   NvmkvSlice extra_key);

/*
 * Waiting for a row somebody else has changed or locked, in turn: a heavy-weight lock on the key is held while one
 * waits, so that the next in line cannot be overtaken.  Zero-initialise; nvmkv_row_queue_leave when done.  Errors
 * clean up by themselves.
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
 * READ COMMITTED: follows a row to where the view says it has moved.  key and *origin become those to look at next.
 * False: it has not moved, it is gone.  Raises 40001 when it has left the partition.
 */
extern bool nvmkv_row_follow(StringInfo key, const StringInfoData *moved, const NvmkvRowView *view, uint64 *origin);

/*
 * Writes a LOCK entry unless the transaction holds as much already.  REQUIRES the key's latch.  False: no room; release
 * latches, nvmkv_write_wait_room, look again.
 */
extern bool nvmkv_row_lock(NvmkvDb *db, Relation rel, NvmkvSlice key, const NvmkvRowView *view, NvmkvLockMode mode,
						   FullTransactionId fxid, CommandId cid);

#endif
