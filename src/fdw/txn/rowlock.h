/*
 * rowlock.h
 *	  Row locks: waiting in turn for a row, following it, locking it.
 */
#ifndef NVMKV_FDW_ROWLOCK_H
#define NVMKV_FDW_ROWLOCK_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "storage/itemptr.h"
#include "storage/lmgr.h"
#include "utils/rel.h"

#include "fdw/txn/conflict.h"
#include "fdw/txn/write.h"

/*
 * Waiting for a row somebody else has changed or locked, in turn: a heavy-weight lock on the key and the version that
 * all wait upon is held while one waits, so that the next in line cannot be overtaken.  Who follows a row that has
 * moved keeps his turn until he has locked it, or waits for it, where it is now: those behind find his lock there.
 * Zero-initialise but for keeps_turn; nvmkv_row_queue_leave when done.  Errors clean up by themselves.
 */
typedef struct NvmkvRowQueue
{
	/*
	 * SELECT FOR ...: as on a heap, who has waited for a change of the row keeps his turn even while he waits for the
	 * next version, in whose queue he is not, and leaves it for the one after that.
	 */
	bool keeps_turn;
	bool stays; /* while the next wait lasts he keeps his place, whatever version is the newest by now */
	bool for_change; /* what he has waited for */
	bool kept;
	bool rejoined;
	bool held;
	LOCKMODE mode;
	ItemPointerData tid;
} NvmkvRowQueue;

extern void nvmkv_row_queue_wait(NvmkvRowQueue *queue, Relation rel, NvmkvSlice key, const NvmkvRowView *view,
								 NvmkvLockMode want, XLTW_Oper oper);
/*
 * As on a heap: who has begun to wait for a row waits for all who have locked it against him by then, although the
 * row may be lost to him before they end.  holders: NvmkvRowQuery.holders of that look.  Nothing in READ COMMITTED,
 * where he looks again anyway.
 */
extern void nvmkv_row_wait_holders(Relation rel, NvmkvSlice key, const StringInfoData *holders, XLTW_Oper oper);
extern void nvmkv_row_queue_leave(NvmkvRowQueue *queue, Relation rel);
/*
 * As on a heap: UPDATE that finds its row changed gives up its turn and locks what the row has become.  While
 * somebody's KEY SHARE lock stands, the version it has found is not done with, and it waits for its turn there again,
 * once, behind those who have come meanwhile.
 */
extern bool nvmkv_row_queue_may_rejoin(const NvmkvRowQueue *queue);
extern void nvmkv_row_queue_rejoin(NvmkvRowQueue *queue, Relation rel);

/*
 * READ COMMITTED: follows a row to where the view says it has moved.  key and *anchor become those to look at next.
 * False: it has not moved, it is gone.  Raises 40001 when it has left the partition.
 */
extern bool nvmkv_row_follow(StringInfo key, const StringInfoData *moved, const NvmkvRowView *view,
							 NvmkvRowAnchor *anchor);

/* Is the row lost to this transaction, which has a snapshot of its own?  Never in READ COMMITTED. */
extern bool nvmkv_row_is_lost(const NvmkvRowView *view);
/* 40001 if it is. */
extern void nvmkv_row_check_loss(const NvmkvRowView *view);

/*
 * Writes a LOCK entry unless the transaction holds as much already.  REQUIRES the key's latch.  False: no room; release
 * latches, nvmkv_write_wait_room, look again.
 */
extern bool nvmkv_row_lock(NvmkvDb *db, Relation rel, NvmkvSlice key, const NvmkvRowView *view, NvmkvLockMode mode,
						   FullTransactionId fxid, CommandId cid);

#endif
