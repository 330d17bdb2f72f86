/*
 * change.c
 *	  UPDATE and DELETE, row by row, in the order in which the executor does it
 *	  for a heap:
 *
 *	  - with BEFORE ROW triggers: lock the row, have the plan look at it again if
 *		it has changed meanwhile, fire them;
 *	  - constraints;
 *	  - claim the row (target.h), again with a second look where it has changed,
 *		and write;
 *	  - AFTER ROW triggers.
 *
 * An UPDATE of the key takes the row away from its old key before it waits for
 * whoever has the new one: nobody can pass, and two that want each other's keys
 * find out.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/key/keycode.h"
#include "fdw/modify/change.h"
#include "fdw/modify/doubts.h"
#include "fdw/modify/epq.h"
#include "fdw/modify/generated.h"
#include "fdw/modify/rowmove.h"
#include "fdw/modify/target.h"
#include "fdw/scan/scanstate.h"
#include "fdw/table/counters.h"
#include "fdw/txn/unique.h"

/* ---------------------------------------------------------------- the row the plan has found */

/* old_tuple, old_slot from the plan's slot. */
static void
read_old_tuple(NvmkvModify *modify, TupleTableSlot *plan_slot)
{
	bool isnull;
	Datum datum = ExecGetJunkAttribute(plan_slot, modify->wholerow_attno, &isnull);

	if (isnull)
		elog(ERROR, "wholerow is NULL");
	modify->old_tuple.t_data = DatumGetHeapTupleHeader(datum);
	modify->old_tuple.t_len = HeapTupleHeaderGetDatumLength(modify->old_tuple.t_data);
	modify->old_tuple.t_tableOid = RelationGetRelid(modify->rel);
	ExecStoreHeapTuple(&modify->old_tuple, modify->old_slot, false);
}

/* The same, and old_key. */
static void
read_old_row(NvmkvModify *modify, TupleTableSlot *plan_slot)
{
	MemoryContext old_context = MemoryContextSwitchTo(modify->row_context);

	ItemPointerSetInvalid(&modify->old_tuple.t_self);
	if (modify->table->nkeys == 0)
	{
		bool isnull;
		Datum datum = ExecGetJunkAttribute(plan_slot, modify->ctid_attno, &isnull);

		if (isnull)
			elog(ERROR, "ctid is NULL");
		modify->old_tuple.t_self = *(ItemPointer) DatumGetPointer(datum);
		nvmkv_key_from_rowid(modify->table, &modify->old_key, nvmkv_rowid_from_tid(&modify->old_tuple.t_self));
	}
	read_old_tuple(modify, plan_slot);
	if (modify->table->nkeys > 0)
		nvmkv_key_from_slot(modify->table, &modify->old_key, modify->old_slot);
	MemoryContextSwitchTo(old_context);
}

/*
 * Whether the row at old_key is the one that the plan's scan has just found, and then as which version.  A join may
 * bring rows long after the scan of the target has gone on, or has ended.
 */
static void
note_found(NvmkvModify *modify)
{
	const NvmkvTableScan *scan;

	modify->found_mark = 0;
	if (modify->scan == NULL || TupIsNull(modify->scan->ss.ss_ScanTupleSlot))
		return;
	scan = modify->scan->fdw_state;
	if (scan->row_covered || scan->row_mark == 0 ||
		!slice_equal(scan->row_key, nvmkv_buffer_slice(&modify->old_key)))
		return;
	modify->found_sequence = scan->row_sequence;
	modify->found_mark = scan->row_mark;
}

/*
 * The row has changed meanwhile and is locked now.  Does the plan still mean it?  If so, old_tuple is what it has found
 * this time, and the result is the plan's slot; else NULL.
 */
static TupleTableSlot *
look_again(NvmkvModify *modify, ResultRelInfo *rri)
{
	TupleTableSlot *plan_slot = nvmkv_epq_recheck(modify, rri);

	if (plan_slot != NULL)
		read_old_tuple(modify, plan_slot);
	return plan_slot;
}

NvmkvLockMode
nvmkv_change_lock_mode(NvmkvModify *modify, EState *estate, ResultRelInfo *rri)
{
	Bitmapset *updated;

	if (modify->lock_mode != NVMKV_LOCK_NONE)
		return modify->lock_mode;
	updated = ExecGetAllUpdatedCols(rri, estate);
	modify->lock_mode = NVMKV_LOCK_NO_KEY_UPDATE;
	for (int i = 0; i < modify->table->nkeys; i++)
	{
		if (bms_is_member(modify->table->keys[i].attnum - FirstLowInvalidHeapAttributeNumber, updated))
			modify->lock_mode = NVMKV_LOCK_EXCLUSIVE;
	}
	for (int i = 0; i < modify->table->nindexes; i++)
	{
		const NvmkvIndex *index = &modify->table->indexes[i];

		for (int column = 0; index->is_key && column < index->ncolumns; column++)
		{
			if (bms_is_member(index->attnums[column] - FirstLowInvalidHeapAttributeNumber, updated))
				modify->lock_mode = NVMKV_LOCK_EXCLUSIVE;
		}
	}
	return modify->lock_mode;
}

/* ---------------------------------------------------------------- writing */

static void
check_update(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, TupleTableSlot *slot)
{
	if (rri->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(WCO_RLS_UPDATE_CHECK, rri, slot, estate);
	if (RelationGetDescr(modify->rel)->constr != NULL)
		ExecConstraints(rri, slot, estate);
}

typedef enum ReplaceResult
{
	REPLACE_DONE,
	REPLACE_NO_ROOM,
	REPLACE_ARRIVES,   /* it has left its old key; the new one is another transaction's until that ends */
	REPLACE_DUPLICATE, /* the new key exists */
	REPLACE_RIVAL	   /* a value that is to be unique does */
} ReplaceResult;

/* What stands at the key a row moves to?  REQUIRES its latch. */
static NvmkvRowState
look_at_new_key(NvmkvModify *modify, TransactionId *xid_out)
{
	static const NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};
	NvmkvRowView view;

	nvmkv_row_view(modify->db, modify->table, nvmkv_buffer_slice(&modify->key), &query, &view);
	*xid_out = view.wait_xid;
	return view.state;
}

/* What was put last is this change of the row at old_key. */
static void
tell(const NvmkvModify *modify, NvmkvChange change, FullTransactionId fxid)
{
	nvmkv_write_tell(modify->table, change, fxid, nvmkv_buffer_slice(&modify->old_key),
					 nvmkv_buffer_slice(&modify->old_row));
}

/* Into the record: the entries of the row that goes go, these come. */
static void
put_entries(const NvmkvModify *modify, NvmkvSlice entries, FullTransactionId fxid)
{
	nvmkv_entries_put(nvmkv_buffer_slice(&modify->old_entries), entries, fxid, modify->cid);
}

/*
 * Writes modify->value upon the claimed row.  changes_key: of a unique index; as after FOR UPDATE, to those who come
 * with FOR KEY SHARE that is an UPDATE of the key.  REQUIRES the latch.
 */
static ReplaceResult
write_in_place(NvmkvModify *modify, FullTransactionId fxid, NvmkvSlice entries, bool changes_key, uint64 *sequence_out)
{
	static const uint8 key_share = NVMKV_LOCK_KEY_SHARE;
	static const uint8 exclusive = NVMKV_LOCK_EXCLUSIVE;
	NvmkvSlice key = nvmkv_buffer_slice(&modify->old_key);

	nvmkv_write_begin();
	put_entries(modify, entries, fxid);
	if (changes_key)
		nvmkv_write_put(NVMKV_TYPE_TAGGED_LOCK, key, fxid, modify->cid, nvmkv_slice(&exclusive, 1));
	nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, key, fxid, modify->cid, nvmkv_buffer_slice(&modify->value));
	tell(modify, NVMKV_CHANGE_UPDATE, fxid);
	for (int i = 0; i < modify->standing.len; i += (int) sizeof(uint64))
	{
		uint64 holder;

		memcpy(&holder, modify->standing.data + i, sizeof(holder));
		nvmkv_write_put(NVMKV_TYPE_TAGGED_LOCK, key, FullTransactionIdFromU64(holder), FirstCommandId,
						nvmkv_slice(&key_share, 1));
	}
	if (!nvmkv_write_finish(modify->db, modify->rel))
		return REPLACE_NO_ROOM;
	*sequence_out = nvmkv_write_last_sequence() - (uint64) modify->standing.len / sizeof(uint64);
	return REPLACE_DONE;
}

/* Writes modify->value under its new key instead of the claimed row.  REQUIRES the latches of both. */
static ReplaceResult
write_move(NvmkvModify *modify, FullTransactionId fxid, NvmkvSlice entries)
{
	NvmkvSlice new_key = nvmkv_buffer_slice(&modify->key);
	TransactionId xid;
	NvmkvRowState state = look_at_new_key(modify, &xid);

	if (state == NVMKV_ROW_LIVE)
		return REPLACE_DUPLICATE;
	nvmkv_write_begin();
	put_entries(modify, state == NVMKV_ROW_WAIT ? nvmkv_slice(NULL, 0) : entries, fxid);
	nvmkv_write_put(NVMKV_TYPE_TAGGED_DELETION, nvmkv_buffer_slice(&modify->old_key), fxid, modify->cid, new_key);
	if (state != NVMKV_ROW_WAIT)
	{
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, new_key, fxid, modify->cid, nvmkv_buffer_slice(&modify->value));
		tell(modify, NVMKV_CHANGE_MOVE, fxid);
	}
	if (!nvmkv_write_finish(modify->db, modify->rel))
		return REPLACE_NO_ROOM;
	return state == NVMKV_ROW_WAIT ? REPLACE_ARRIVES : REPLACE_DONE;
}

/* The rest of a move, when somebody else had the new key; but for its entries. */
static ReplaceResult
write_arrival(NvmkvModify *modify, FullTransactionId fxid)
{
	NvmkvSlice key = nvmkv_buffer_slice(&modify->key);

	for (;;)
	{
		NvmkvLatchSet latches;
		TransactionId xid;
		NvmkvRowState state;
		bool written = false;

		CHECK_FOR_INTERRUPTS();
		nvmkv_latch_set_init(&latches);
		nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
		nvmkv_latch_set_acquire(&latches);
		state = look_at_new_key(modify, &xid);
		if (state == NVMKV_ROW_ABSENT || state == NVMKV_ROW_DELETED)
		{
			nvmkv_write_begin();
			nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, key, fxid, modify->cid, nvmkv_buffer_slice(&modify->value));
			tell(modify, NVMKV_CHANGE_MOVE, fxid);
			written = nvmkv_write_finish(modify->db, modify->rel);
		}
		nvmkv_latch_set_release(&latches);

		if (written)
			return REPLACE_DONE;
		if (state == NVMKV_ROW_LIVE)
			return REPLACE_DUPLICATE;
		if (state == NVMKV_ROW_WAIT)
			nvmkv_write_wait_xid(modify->rel, key, xid, XLTW_InsertIndex);
		else
			nvmkv_write_wait_room(modify->db, modify->rel);
	}
}

/* Of modify->entries those that have not been written with the row. */
static void
write_rest(NvmkvModify *modify, FullTransactionId fxid, size_t written)
{
	const StringInfo key = modify->table->nkeys > 0 ? &modify->key : &modify->old_key;

	nvmkv_unique_write_rest(modify->db, modify->table, modify->rel, nvmkv_buffer_slice(key),
							nvmkv_slice(modify->entries.data + written, (size_t) modify->entries.len - written), fxid,
							modify->cid, &modify->doubts);
	nvmkv_doubts_keep(modify);
}

/* For a row that goes to another partition: only its end here. */
static ReplaceResult
write_removal(NvmkvModify *modify, FullTransactionId fxid)
{
	static const uint8 elsewhere = NVMKV_MOVED_TO_PARTITION;

	nvmkv_write_begin();
	put_entries(modify, nvmkv_slice(NULL, 0), fxid);
	nvmkv_write_put(NVMKV_TYPE_TAGGED_DELETION, nvmkv_buffer_slice(&modify->old_key), fxid, modify->cid,
					nvmkv_slice(&elsewhere, 1));
	tell(modify, NVMKV_CHANGE_DELETE, fxid);
	return nvmkv_write_finish(modify->db, modify->rel) ? REPLACE_DONE : REPLACE_NO_ROOM;
}

bool
nvmkv_change_write_end(NvmkvModify *modify, FullTransactionId fxid)
{
	nvmkv_write_begin();
	put_entries(modify, nvmkv_slice(NULL, 0), fxid);
	nvmkv_write_put(NVMKV_TYPE_TAGGED_DELETION, nvmkv_buffer_slice(&modify->old_key), fxid, modify->cid,
					nvmkv_slice(NULL, 0));
	tell(modify, NVMKV_CHANGE_DELETE, fxid);
	return nvmkv_write_finish(modify->db, modify->rel);
}

/* ---------------------------------------------------------------- BEFORE ROW triggers */

/*
 * Before BEFORE ROW triggers: the row is locked, and old_tuple is what they are to see.  *slot (slot NULL for DELETE):
 * the new row, made again when the row had changed.  False: it is not meant any more.
 */
static bool
lock_for_triggers(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, NvmkvTarget *target, TupleTableSlot **slot)
{
	target->lock_only = true;
	for (;;)
	{
		TupleTableSlot *plan_slot;

		switch (nvmkv_target_claim(modify, estate, target, nvmkv_slice(NULL, 0)))
		{
			case NVMKV_TARGET_GONE:
				return false;
			case NVMKV_TARGET_CHANGED:
				plan_slot = look_again(modify, rri);
				if (plan_slot == NULL)
					return false;
				if (slot != NULL)
					*slot = nvmkv_epq_new_row(estate, rri, plan_slot);
				break;
			case NVMKV_TARGET_LOCKED:
			case NVMKV_TARGET_READY:
				target->lock_only = false;
				return true;
		}
	}
}

/* ---------------------------------------------------------------- UPDATE */

TupleTableSlot *
nvmkv_change_replace(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, TupleTableSlot *slot,
					 NvmkvRowAnchor anchor, HeapTuple old_row)
{
	NvmkvTarget target = {.is_delete = false, .anchor = anchor};
	bool moving = false; /* a move to another partition has been announced to triggers */

	for (;;)
	{
		bool leaves = nvmkv_row_must_move(modify->mtstate, estate, rri, slot);
		bool same_key = true;
		bool changes_key;
		NvmkvSlice extra_key = nvmkv_slice(NULL, 0);
		FullTransactionId fxid = GetCurrentFullTransactionId();
		ReplaceResult result;
		NvmkvSlice entries;
		NvmkvRival rival;
		bool has_rival;
		uint64 sequence = 0;

		resetStringInfo(&modify->entries);
		if (!leaves)
		{
			check_update(modify, estate, rri, slot);
			nvmkv_modify_encode(modify, slot);
			same_key = modify->table->nkeys == 0 ||
				slice_equal(nvmkv_buffer_slice(&modify->key), nvmkv_buffer_slice(&modify->old_key));
			if (!same_key)
				extra_key = nvmkv_buffer_slice(&modify->key);
		}
		else if (!moving)
		{
			if (nvmkv_row_triggers_before_delete(&modify->triggers) && target.anchor.kind == NVMKV_ANCHOR_SNAPSHOT)
			{
				target.mode = NVMKV_LOCK_EXCLUSIVE;
				if (!lock_for_triggers(modify, estate, rri, &target, &slot))
					return NULL;
				continue;
			}
			moving = true;
			if (!nvmkv_fire_before_delete(&modify->triggers, modify->mtstate, rri, old_row))
				return NULL;
		}

		nvmkv_modify_encode_old(modify, old_row);
		target.brings_values = modify->has_unique &&
			nvmkv_unique_concerns(nvmkv_buffer_slice(&modify->old_entries), nvmkv_buffer_slice(&modify->entries));
		changes_key = same_key && !leaves &&
			nvmkv_entries_change_key(modify->table, nvmkv_buffer_slice(&modify->old_entries),
									 nvmkv_buffer_slice(&modify->entries));
		target.mode = leaves || !same_key || changes_key ? NVMKV_LOCK_EXCLUSIVE : NVMKV_LOCK_NO_KEY_UPDATE;
		switch (nvmkv_target_claim(modify, estate, &target, extra_key))
		{
			case NVMKV_TARGET_GONE:
				return NULL;

			case NVMKV_TARGET_CHANGED:
				if (modify->operation != CMD_UPDATE)
					return NULL; /* an upsert starts over */
				slot = look_again(modify, rri);
				if (slot == NULL)
					return NULL;
				slot = nvmkv_epq_new_row(estate, rri, slot);
				continue;

			case NVMKV_TARGET_LOCKED:
			case NVMKV_TARGET_READY:
				break;
		}

		entries = nvmkv_buffer_slice(&modify->entries);
		has_rival = target.brings_values &&
			nvmkv_unique_find_rival(modify->db, modify->table, nvmkv_buffer_slice(&modify->old_entries), entries,
									&rival, NULL);
		if (has_rival)
			entries.size = rival.at;
		if (target.brings_values)
			nvmkv_doubts_find(modify, nvmkv_buffer_slice(&modify->old_entries), entries);
		if (leaves)
			result = write_removal(modify, fxid);
		else if (has_rival && !TransactionIdIsValid(rival.wait_xid))
			result = REPLACE_RIVAL;
		else if (same_key)
			result = write_in_place(modify, fxid, entries, changes_key, &sequence);
		else
			result = write_move(modify, fxid, entries);
		nvmkv_latch_set_release(&target.latches);
		if (result == REPLACE_NO_ROOM)
		{
			nvmkv_write_wait_room(modify->db, modify->rel);
			continue;
		}
		if (result == REPLACE_ARRIVES)
		{
			entries.size = 0;
			resetStringInfo(&modify->doubts);
			result = write_arrival(modify, fxid);
		}
		if (!same_key)
			sequence = nvmkv_write_last_sequence();
		if (result == REPLACE_DONE && !leaves)
			write_rest(modify, fxid, entries.size);

		nvmkv_write_check_serializable(modify->rel, nvmkv_buffer_slice(&modify->old_key));
		if (!same_key)
			nvmkv_write_check_serializable(modify->rel, nvmkv_buffer_slice(&modify->key));
		if (result == REPLACE_DUPLICATE)
			nvmkv_write_duplicate(modify->table, modify->rel, slot);
		if (result == REPLACE_RIVAL)
			nvmkv_unique_report(modify->table, modify->rel, &rival);
		if (leaves)
		{
			pgstat_count_heap_delete(modify->counted);
			nvmkv_fire_after_delete(&modify->triggers, modify->mtstate, rri, old_row, true);
			return nvmkv_row_move(&modify->moved_row, modify->mtstate, estate, rri, old_row, modify->old_slot, slot,
								  modify->plan_slot);
		}
		nvmkv_count_update(modify->counted);
		nvmkv_modify_set_ctid(modify, slot, sequence);
		if (rri->ri_oldTupleSlot != NULL)
			nvmkv_modify_set_ctid(modify, rri->ri_oldTupleSlot, target.sequence);
		nvmkv_fire_after_update(&modify->triggers, modify->mtstate, rri, old_row, slot);
		return slot;
	}
}

TupleTableSlot *
nvmkv_exec_update(EState *estate, ResultRelInfo *rri, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	NvmkvModify *modify = rri->ri_FdwState;
	NvmkvTarget target = {.is_delete = false};

	MemoryContextReset(modify->row_context);
	nvmkv_row_move_done(&modify->moved_row, rri);
	modify->plan_slot = plan_slot;
	read_old_row(modify, plan_slot);
	note_found(modify);
	nvmkv_target_check_covered(modify, estate);
	if (nvmkv_row_triggers_before_update(&modify->triggers))
	{
		target.mode = nvmkv_change_lock_mode(modify, estate, rri);
		if (!lock_for_triggers(modify, estate, rri, &target, &slot) ||
			!nvmkv_fire_before_update(&modify->triggers, modify->mtstate, rri, &modify->old_tuple, slot))
			return NULL;
		slot->tts_tableOid = RelationGetRelid(modify->rel);
		nvmkv_generate(modify, rri, slot);
	}
	slot = nvmkv_change_replace(modify, estate, rri, slot, target.anchor, &modify->old_tuple);
	if (slot != NULL && modify->table->nkeys == 0)
		slot->tts_tid = rri->ri_oldTupleSlot->tts_tid = modify->old_tuple.t_self;
	return slot;
}

/* ---------------------------------------------------------------- DELETE */

TupleTableSlot *
nvmkv_exec_delete(EState *estate, ResultRelInfo *rri, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	NvmkvModify *modify = rri->ri_FdwState;
	NvmkvTarget target = {.is_delete = true, .mode = NVMKV_LOCK_EXCLUSIVE};
	FullTransactionId fxid;

	MemoryContextReset(modify->row_context);
	read_old_row(modify, plan_slot);
	note_found(modify);
	nvmkv_target_check_covered(modify, estate);
	fxid = GetCurrentFullTransactionId();

	if (nvmkv_row_triggers_before_delete(&modify->triggers) &&
		(!lock_for_triggers(modify, estate, rri, &target, NULL) ||
		 !nvmkv_fire_before_delete(&modify->triggers, modify->mtstate, rri, &modify->old_tuple)))
		return NULL;

	for (;;)
	{
		bool written;

		nvmkv_modify_encode_old(modify, &modify->old_tuple);
		switch (nvmkv_target_claim(modify, estate, &target, nvmkv_slice(NULL, 0)))
		{
			case NVMKV_TARGET_GONE:
				return NULL;
			case NVMKV_TARGET_CHANGED:
				if (look_again(modify, rri) == NULL)
					return NULL;
				continue;
			case NVMKV_TARGET_LOCKED:
			case NVMKV_TARGET_READY:
				break;
		}

		written = nvmkv_change_write_end(modify, fxid);
		nvmkv_latch_set_release(&target.latches);
		if (written)
			break;
		nvmkv_write_wait_room(modify->db, modify->rel);
	}
	nvmkv_write_check_serializable(modify->rel, nvmkv_buffer_slice(&modify->old_key));
	pgstat_count_heap_delete(modify->counted);
	nvmkv_fire_after_delete(&modify->triggers, modify->mtstate, rri, &modify->old_tuple, false);

	if (rri->ri_projectReturning != NULL)
	{
		ExecForceStoreHeapTuple(&modify->old_tuple, slot, false);
		slot->tts_tid = modify->old_tuple.t_self;
		nvmkv_modify_set_ctid(modify, slot, target.sequence);
	}
	return slot;
}
