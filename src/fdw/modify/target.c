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
#include "executor/executor.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/key/rowcode.h"
#include "fdw/modify/target.h"
#include "fdw/txn/covered.h"
#include "fdw/txn/rowlock.h"
#include "fdw/txn/unique.h"
#include "fdw/txn/visibility.h"

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

static void
raise_concurrent_update(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update")));
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
		raise_concurrent_update();
	return live ? NVMKV_TARGET_CHANGED : NVMKV_TARGET_GONE;
}

/*
 * The server's queries for foreign keys may see rows that the transaction's snapshot does not, and give that as another
 * snapshot: such a row must not be changed, as heap_delete() and heap_update() have it.
 */
static void
crosscheck(NvmkvModify *modify, EState *estate, NvmkvSlice key, const NvmkvRowView *view)
{
	NvmkvRowQuery query = {
		.snapshot = estate->es_crosscheck_snapshot,
		.anchor = {.kind = NVMKV_ANCHOR_VERSION, .sequence = view->sequence},
	};
	NvmkvRowView other;

	if (query.snapshot == InvalidSnapshot)
		return;
	nvmkv_row_view(modify->db, modify->table, key, &query, &other);
	if (!other.visible)
		raise_concurrent_update();
}

/*
 * The version that the plan's scan has just found is what the statement's snapshot sees.  Where it is the newest, and
 * nobody has the row locked, nothing else has to be asked; that takes less work than to find all of it out again, and
 * no look at files.  REQUIRES the latch.
 */
static bool
is_as_found(NvmkvModify *modify, const EState *estate, NvmkvTarget *target, NvmkvSlice key)
{
	if (modify->found_mark == 0 || target->anchor.kind != NVMKV_ANCHOR_SNAPSHOT || target->lock_only ||
		estate->es_crosscheck_snapshot != InvalidSnapshot ||
		!nvmkv_row_is_untouched(modify->db, modify->table, key, modify->found_sequence, modify->found_mark))
		return false;
	resetStringInfo(&modify->standing);
	target->sequence = modify->newest_sequence = modify->found_sequence;
	return true;
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
		.holders = &modify->holders,
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
		if (target->brings_values)
			nvmkv_unique_add_latches(&target->latches, nvmkv_buffer_slice(&modify->old_entries),
									 nvmkv_buffer_slice(&modify->entries));
		nvmkv_latch_set_acquire(&target->latches);

		if (is_as_found(modify, estate, target, key))
		{
			state = NVMKV_TARGET_READY;
			break;
		}
		query.anchor = target->anchor;
		nvmkv_row_view(modify->db, modify->table, key, &query, &view);
		if (nvmkv_row_is_lost(&view) && modify->holders.len > 0)
		{
			nvmkv_latch_set_release(&target->latches);
			nvmkv_row_wait_holders(modify->rel, key, &modify->holders, target->is_delete ? XLTW_Delete : XLTW_Update);
			continue;
		}
		nvmkv_row_check_loss(&view);
		if (view.state == NVMKV_ROW_WAIT)
		{
			nvmkv_latch_set_release(&target->latches);
			/* Against whoever has locked the version he has found he waits in the queue for that one. */
			queue.stays = view.wait_for_lock && modify->holders.len > 0;
			nvmkv_row_queue_wait(&queue, modify->rel, key, &view, target->mode,
								 target->is_delete ? XLTW_Delete : XLTW_Update);
			nvmkv_row_wait_holders(modify->rel, key, &modify->holders, target->is_delete ? XLTW_Delete : XLTW_Update);
			continue;
		}

		state = judge(modify, target, &view);
		target->sequence = view.sequence;
		modify->newest_sequence = view.sequence;
		if (state == NVMKV_TARGET_GONE)
		{
			nvmkv_latch_set_release(&target->latches);
			if (modify->operation == CMD_INSERT || /* an upsert is for the key, not for the row */
				!nvmkv_row_follow(&modify->old_key, &modify->moved, &view, &target->anchor))
				break;
			continue;
		}
		if (state == NVMKV_TARGET_CHANGED && !target->lock_only && modify->standing.len > 0 &&
			nvmkv_row_queue_may_rejoin(&queue))
		{
			nvmkv_latch_set_release(&target->latches);
			nvmkv_row_queue_rejoin(&queue, modify->rel);
			continue;
		}
		if (state == NVMKV_TARGET_READY)
			crosscheck(modify, estate, key, &view);
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

/* ---------------------------------------------------------------- covered rows */

/* Have both the same content, column by column? */
static bool
rows_are_alike(TupleTableSlot *a, TupleTableSlot *b)
{
	TupleDesc tupdesc = a->tts_tupleDescriptor;

	slot_getallattrs(a);
	slot_getallattrs(b);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i);

		if (attribute->attisdropped)
			continue;
		if (a->tts_isnull[i] != b->tts_isnull[i])
			return false;
		if (!a->tts_isnull[i] &&
			!datum_image_eq(a->tts_values[i], b->tts_values[i], attribute->attbyval, attribute->attlen))
			return false;
	}
	return true;
}

/* Is there a covered row at modify->old_key?  Its value bytes go to modify->newest; *loss_out: by what it is lost. */
static bool
find_covered(NvmkvModify *modify, EState *estate, NvmkvRowLoss *loss_out)
{
	NvmkvVisibility visibility;

	nvmkv_visibility_init(&visibility, estate->es_snapshot, NULL);
	nvmkv_visibility_show_two(&visibility);
	return nvmkv_covered_row(modify->db, modify->table, nvmkv_buffer_slice(&modify->old_key), &visibility,
							 &modify->newest, NULL, loss_out);
}

void
nvmkv_target_check_covered(NvmkvModify *modify, EState *estate)
{
	NvmkvRowView view = {0};

	if (!nvmkv_covered_were_shown() || modify->table->nkeys == 0)
		return;
	if (find_covered(modify, estate, &view.loss))
	{
		TupleTableSlot *covered = MakeSingleTupleTableSlot(RelationGetDescr(modify->rel), &TTSOpsVirtual);

		nvmkv_row_to_slot(modify->table, nvmkv_buffer_slice(&modify->old_key), nvmkv_buffer_slice(&modify->newest),
						  covered);
		if (rows_are_alike(covered, modify->old_slot))
			nvmkv_row_check_loss(&view);
		ExecDropSingleTupleTableSlot(covered);
	}
}

void
nvmkv_target_refuse_covered(NvmkvModify *modify, EState *estate)
{
	NvmkvRowView view = {0};

	if (find_covered(modify, estate, &view.loss))
		nvmkv_row_check_loss(&view);
}
