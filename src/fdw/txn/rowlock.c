/*
 * rowlock.c
 *	  Row locks: waiting in turn for a row, following it, locking it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/rel.h"

#include "engine/base/coding.h"
#include "fdw/txn/rowlock.h"

/* ---------------------------------------------------------------- waiting */

/* As a heap's tupleLockExtraInfo: these conflict as the row locks do. */
static LOCKMODE
queue_mode(NvmkvLockMode want)
{
	switch (want)
	{
		case NVMKV_LOCK_KEY_SHARE:
			return AccessShareLock;
		case NVMKV_LOCK_SHARE:
			return RowShareLock;
		case NVMKV_LOCK_NO_KEY_UPDATE:
			return ExclusiveLock;
		case NVMKV_LOCK_EXCLUSIVE:
		case NVMKV_LOCK_NONE:
			break;
	}
	return AccessExclusiveLock;
}

void
nvmkv_row_queue_wait(NvmkvRowQueue *queue, Relation rel, NvmkvSlice key, const NvmkvRowView *view, NvmkvLockMode want,
					 XLTW_Oper oper)
{
	ItemPointerData tid;

	Assert(!nvmkv_latch_is_held());
	/* As on a heap there is a queue for each version: who waits for a later one does not keep those behind him here. */
	nvmkv_key_hash_to_tid(hash_bytes_extended(key.data, (int) key.size, view->base), &tid);
	if (queue->held && !queue->stays && !ItemPointerEquals(&tid, &queue->tid))
	{
		if (queue->keeps_turn && queue->for_change && !queue->kept)
		{
			queue->kept = true;
			nvmkv_write_wait_xid(rel, key, view->wait_xid, oper);
			return;
		}
		nvmkv_row_queue_leave(queue, rel);
	}

	/* Who holds a lock on the row already must not queue behind those who wait for it to go away. */
	if (!queue->held && view->own_lock == NVMKV_LOCK_NONE)
	{
		queue->tid = tid;
		queue->mode = queue_mode(want);
		LockTuple(rel, &queue->tid, queue->mode);
		queue->held = true;
	}
	queue->for_change = !view->wait_for_lock;
	nvmkv_write_wait_xid(rel, key, view->wait_xid, oper);
}

void
nvmkv_row_wait_holders(Relation rel, NvmkvSlice key, const StringInfoData *holders, XLTW_Oper oper)
{
	if (!IsolationUsesXactSnapshot())
		return;
	for (int i = 0; i < holders->len / (int) sizeof(NvmkvLockHolder); i++)
	{
		const NvmkvLockHolder *holder = (const NvmkvLockHolder *) holders->data + i;

		nvmkv_write_wait_xid(rel, key, (TransactionId) holder->fxid, oper);
	}
}

void
nvmkv_row_queue_leave(NvmkvRowQueue *queue, Relation rel)
{
	if (queue->held)
		UnlockTuple(rel, &queue->tid, queue->mode);
	queue->held = false;
	queue->kept = false;
}

bool
nvmkv_row_queue_may_rejoin(const NvmkvRowQueue *queue)
{
	return queue->held && queue->for_change && !queue->rejoined;
}

void
nvmkv_row_queue_rejoin(NvmkvRowQueue *queue, Relation rel)
{
	Assert(!nvmkv_latch_is_held());
	UnlockTuple(rel, &queue->tid, queue->mode);
	queue->held = false;
	LockTuple(rel, &queue->tid, queue->mode);
	queue->held = true;
	queue->rejoined = true;
}

bool
nvmkv_row_follow(StringInfo key, const StringInfoData *moved, const NvmkvRowView *view, NvmkvRowAnchor *anchor)
{
	if (view->state == NVMKV_ROW_ABSENT && anchor->kind == NVMKV_ANCHOR_ARRIVAL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of a foreign table is not where the update of its key has put it")));
	if (view->state != NVMKV_ROW_DELETED || view->own || !view->has_moved)
		return false;
	if (moved->len == 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("tuple to be locked was already moved to another partition due to concurrent update")));
	resetStringInfo(key);
	appendBinaryStringInfo(key, moved->data, moved->len);
	*anchor = view->arrival;
	return true;
}

bool
nvmkv_row_is_lost(const NvmkvRowView *view)
{
	return view->loss != NVMKV_NOT_LOST && IsolationUsesXactSnapshot();
}

void
nvmkv_row_check_loss(const NvmkvRowView *view)
{
	if (!nvmkv_row_is_lost(view))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 view->loss == NVMKV_LOST_BY_DELETE ? errmsg("could not serialize access due to concurrent delete") :
			 errmsg("could not serialize access due to concurrent update")));
}

bool
nvmkv_row_lock(NvmkvDb *db, Relation rel, NvmkvSlice key, const NvmkvRowView *view, NvmkvLockMode mode,
			   FullTransactionId fxid, CommandId cid)
{
	/* A row that is locked as it was, not as it is. */
	bool older = mode == NVMKV_LOCK_KEY_SHARE && view->visible && view->anchor < view->sequence;
	uint8 value[1 + sizeof(uint64)];

	if (nvmkv_lock_strength(view->own_lock) >= nvmkv_lock_strength(mode))
		return true;
	nvmkv_write_begin();
	value[0] = (uint8) mode;
	put_u64(value + 1, view->anchor);
	nvmkv_write_put(NVMKV_TYPE_TAGGED_LOCK, key, fxid, cid, nvmkv_slice(value, older ? sizeof(value) : 1));
	return nvmkv_write_finish(db, rel);
}
