/*
 * target.c
 *	  First updater wins; the others wait, then look again.
 *
 * These are heap_update's and heap_delete's rules with versions in
 * place of tuples.  The statement's snapshot has shown the plan one version of
 * the row (conflict.c: the anchor).  If that is still the newest, it may be
 * replaced.  If another transaction has written a newer one and committed, READ
 * COMMITTED locks the row, where it is now, and has the caller evaluate the
 * statement for it; the higher levels give up.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "utils/snapmgr.h"

#include "fdw/modify/target.h"

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

	/* As on a heap there is a queue for each version: who waits for a later one does not keep those behind him here. */
	nvmkv_key_hash_to_tid(hash_bytes_extended(key.data, (int) key.size, view->base), &tid);
	if (queue->held && !ItemPointerEquals(&tid, &queue->tid))
		nvmkv_row_queue_leave(queue, rel);

	/* Who holds a lock on the row already must not queue behind those who wait for it to go away. */
	if (!queue->held && view->own_lock == NVMKV_LOCK_NONE)
	{
		queue->tid = tid;
		queue->mode = queue_mode(want);
		LockTuple(rel, &queue->tid, queue->mode);
		queue->held = true;
	}
	nvmkv_write_wait_xid(rel, key, view->wait_xid, oper);
}

void
nvmkv_row_queue_leave(NvmkvRowQueue *queue, Relation rel)
{
	if (queue->held)
		UnlockTuple(rel, &queue->tid, queue->mode);
	queue->held = false;
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

void
nvmkv_row_check_loss(const NvmkvRowView *view)
{
	if (view->loss == NVMKV_NOT_LOST || !IsolationUsesXactSnapshot())
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
	uint8 byte = (uint8) mode;

	if (nvmkv_lock_strength(view->own_lock) >= nvmkv_lock_strength(mode))
		return true;
	nvmkv_write_begin();
	nvmkv_write_put(NVMKV_TYPE_TAGGED_LOCK, key, fxid, cid, nvmkv_slice(&byte, 1));
	return nvmkv_write_finish(db, rel);
}

/* ---------------------------------------------------------------- deciding */

static void
raise_modified_by_trigger(bool is_delete)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 is_delete ?
			 errmsg("tuple to be deleted was already modified by an operation triggered by the current command") :
			 errmsg("tuple to be updated was already modified by an operation triggered by the current command"),
			 errhint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.")));
}

static NvmkvTargetState
judge(const NvmkvModify *modify, const NvmkvTarget *target, const NvmkvRowView *view)
{
	bool live = view->state == NVMKV_ROW_LIVE;

	if (view->own && view->cid >= modify->cid)
	{
		/*
		 * By this command: the plan has met the row twice, and the first time counts.  By a later one: a trigger has
		 * interfered.
		 */
		if (view->cid > modify->cid)
			raise_modified_by_trigger(target->is_delete);
		return NVMKV_TARGET_GONE;
	}
	if (view->visible)
		return NVMKV_TARGET_READY;
	if (live && target->anchor.kind == NVMKV_ANCHOR_VERSION && view->sequence == target->anchor.sequence)
		return NVMKV_TARGET_READY;
	if (view->state == NVMKV_ROW_ABSENT)
		return NVMKV_TARGET_GONE;
	if (IsolationUsesXactSnapshot()) /* an upsert, or it would have been said earlier */
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
	return live ? NVMKV_TARGET_CHANGED : NVMKV_TARGET_GONE;
}

NvmkvTargetState
nvmkv_target_claim(NvmkvModify *modify, EState *estate, NvmkvTarget *target, NvmkvSlice extra_key)
{
	FullTransactionId fxid = GetCurrentFullTransactionId();
	NvmkvRowQuery query = {
		.want = target->mode,
		.snapshot = estate->es_snapshot,
		.copy = NVMKV_COPY_CHANGED,
		.value = &modify->newest,
		.moved = &modify->moved,
		.standing = &modify->standing,
	};
	NvmkvRowQueue queue = {0};
	NvmkvTargetState state;

	for (;;)
	{
		NvmkvSlice key = nvmkv_buffer_slice(&modify->old_key);
		NvmkvRowView view;
		bool locked;

		nvmkv_latch_set_init(&target->latches);
		nvmkv_latch_set_add(&target->latches, nvmkv_key_hash(key));
		if (extra_key.size > 0)
			nvmkv_latch_set_add(&target->latches, nvmkv_key_hash(extra_key));
		nvmkv_latch_set_acquire(&target->latches);

		query.anchor = target->anchor;
		nvmkv_row_view(modify->db, modify->table, key, &query, &view);
		nvmkv_row_check_loss(&view);
		if (view.state == NVMKV_ROW_WAIT)
		{
			nvmkv_latch_set_release(&target->latches);
			nvmkv_row_queue_wait(&queue, modify->rel, key, &view, target->mode,
								 target->is_delete ? XLTW_Delete : XLTW_Update);
			continue;
		}

		state = judge(modify, target, &view);
		if (state == NVMKV_TARGET_GONE)
		{
			nvmkv_latch_set_release(&target->latches);
			if (modify->mtstate->operation == CMD_INSERT || /* an upsert is for the key, not for the row */
				!nvmkv_row_follow(&modify->old_key, &modify->moved, &view, &target->anchor))
				break;
			nvmkv_row_queue_leave(&queue, modify->rel);
			continue;
		}
		if (state == NVMKV_TARGET_READY && !target->lock_only)
			break;

		locked = nvmkv_row_lock(modify->db, modify->rel, key, &view, target->mode, fxid, modify->cid);
		nvmkv_latch_set_release(&target->latches);
		if (!locked)
		{
			nvmkv_write_wait_room(modify->db, modify->rel);
			continue;
		}
		target->anchor = (NvmkvRowAnchor){.kind = NVMKV_ANCHOR_VERSION, .sequence = view.sequence};
		if (state == NVMKV_TARGET_READY)
			state = NVMKV_TARGET_LOCKED;
		break;
	}
	nvmkv_row_queue_leave(&queue, modify->rel);
	return state;
}
