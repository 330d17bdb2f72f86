/*
 * target.c
 *	  First updater wins; the others wait, then look again.
 *
 * These are heap_update's and heap_delete's rules with versions in
 * place of tuples.  The statement's snapshot has shown the plan one version of
 * the row.  If that is still the newest, it may be replaced.  If
 * another transaction has written a newer one and committed, READ COMMITTED
 * locks the row and has the caller evaluate the statement for it; the higher
 * levels give up.  A row that was deleted and made anew under its key is a
 * different row: the one the plan saw is gone.  A row whose key was updated is
 * still the same: its tombstone says where it is.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "utils/snapmgr.h"

#include "fdw/rowcode.h"
#include "fdw/target.h"

/* ---------------------------------------------------------------- waiting */

void
nvmkv_row_queue_wait(NvmkvRowQueue *queue, Relation rel, NvmkvSlice key, const NvmkvRowView *view, NvmkvLockMode want,
					 XLTW_Oper oper)
{
	/* Who holds a lock on the row already must not queue behind those who wait for it to go away. */
	if (!queue->held && view->own_lock == NVMKV_LOCK_NONE)
	{
		nvmkv_key_hash_to_tid(nvmkv_key_hash(key), &queue->tid);
		queue->mode = want == NVMKV_LOCK_EXCLUSIVE ? AccessExclusiveLock : RowShareLock;
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
nvmkv_row_follow(StringInfo key, const StringInfoData *moved, const NvmkvRowView *view, uint64 *origin)
{
	if (view->moved_sequence == 0)
		return false;
	if (moved->len == 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("tuple to be locked was already moved to another partition due to concurrent update")));
	resetStringInfo(key);
	appendBinaryStringInfo(key, moved->data, moved->len);
	*origin = view->moved_sequence;
	return true;
}

bool
nvmkv_row_lock(NvmkvDb *db, Relation rel, NvmkvSlice key, const NvmkvRowView *view, NvmkvLockMode mode,
			   FullTransactionId fxid, CommandId cid)
{
	uint8 byte = (uint8) mode;

	/* A version of our own keeps others off as well as a lock does. */
	if (view->own || view->own_lock >= mode)
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

/*
 * Is the newest version, for all the plan can tell, the row it found?  Then the plan would come to the same result,
 * and row triggers that have fired for it need not, and must not, be passed over.
 */
static bool
same_as_plan_found(NvmkvModify *modify, const NvmkvTarget *target)
{
	StringInfoData found;
	MemoryContext old_context;
	bool same;

	/* A row that has moved here has had another key. */
	if (!AttributeNumberIsValid(modify->wholerow_attno) || target->origin != 0)
		return false;
	old_context = MemoryContextSwitchTo(modify->row_context);
	initStringInfo(&found);
	nvmkv_row_encode(modify->table, &found, modify->old_slot);
	same = found.len == modify->newest.len && memcmp(found.data, modify->newest.data, (size_t) found.len) == 0;
	MemoryContextSwitchTo(old_context);
	return same;
}

static NvmkvTargetState
judge(NvmkvModify *modify, NvmkvTarget *target, const NvmkvRowView *view)
{
	bool gone = view->state != NVMKV_ROW_LIVE || view->replaced;

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
		return gone ? NVMKV_TARGET_GONE : NVMKV_TARGET_READY;
	if (!gone && view->sequence == target->known_sequence)
		return NVMKV_TARGET_READY;
	if (view->state == NVMKV_ROW_ABSENT)
		return NVMKV_TARGET_GONE;
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 gone && view->moved_sequence == 0 ? errmsg("could not serialize access due to concurrent delete") :
				 errmsg("could not serialize access due to concurrent update")));
	return gone ? NVMKV_TARGET_GONE : NVMKV_TARGET_CHANGED;
}

NvmkvTargetState
nvmkv_target_claim(NvmkvModify *modify, EState *estate, NvmkvTarget *target, NvmkvSlice extra_key)
{
	FullTransactionId fxid = GetCurrentFullTransactionId();
	NvmkvRowQuery query = {
		.want = NVMKV_LOCK_EXCLUSIVE,
		.snapshot = estate->es_snapshot,
		.copy = NVMKV_COPY_CHANGED,
		.value = &modify->newest,
		.moved = &modify->moved,
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

		query.origin = target->origin;
		nvmkv_row_view(modify->db, modify->table, key, &query, &view);
		if (view.state == NVMKV_ROW_WAIT)
		{
			nvmkv_latch_set_release(&target->latches);
			nvmkv_row_queue_wait(&queue, modify->rel, key, &view, NVMKV_LOCK_EXCLUSIVE,
								 target->is_delete ? XLTW_Delete : XLTW_Update);
			continue;
		}

		state = judge(modify, target, &view);
		if (state == NVMKV_TARGET_READY)
			break;
		if (state == NVMKV_TARGET_GONE)
		{
			nvmkv_latch_set_release(&target->latches);
			if (modify->mtstate->operation != CMD_INSERT && /* an upsert is for the key, not for the row */
				nvmkv_row_follow(&modify->old_key, &modify->moved, &view, &target->origin))
				continue;
			break;
		}

		locked = nvmkv_row_lock(modify->db, modify->rel, key, &view, NVMKV_LOCK_EXCLUSIVE, fxid, modify->cid);
		nvmkv_latch_set_release(&target->latches);
		if (!locked)
		{
			nvmkv_write_wait_room(modify->db, modify->rel);
			continue;
		}
		target->known_sequence = view.sequence;

		/* Now that it cannot change any more: does the plan have to be asked again? */
		if (!same_as_plan_found(modify, target))
			break;
	}
	nvmkv_row_queue_leave(&queue, modify->rel);
	return state;
}
