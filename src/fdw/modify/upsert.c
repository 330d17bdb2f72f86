/*
 * upsert.c
 *	  INSERT ... ON CONFLICT.
 *
 * The planner finds the arbiter, by columns or by name, among the indexes of the
 * catalogue: it is the primary key's, the only unique one there is.  The executor
 * then leaves the conflict to the wrapper.
 *
 * DO UPDATE is for the row that has the key, whatever the statement's snapshot
 * shows there.  It computes the new row from the newest version without holding
 * anything, and writes it only if that version still is the newest, else it
 * starts over: no lock entry is needed.  Where that could be noticed - row
 * triggers would fire twice; WHERE says no, and the row is to stay locked; SET
 * names a column of the key, but may leave it as it is - the lock comes first.
 *
 * A serializable transaction has read the row that it finds, though not by its
 * snapshot: whoever takes that row away comes after it.  (On a heap nothing is
 * noted there, and a transaction that finds the key free again may commit though
 * it has no place before or after the others.)  The note comes before the look:
 * writers ask for it after they have written.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "fdw/host/rowid.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/modify/arbiter.h"
#include "fdw/modify/change.h"
#include "fdw/modify/returnold.h"
#include "fdw/modify/upsert.h"
#include "fdw/table/counters.h"
#include "fdw/txn/rowlock.h"
#include "fdw/txn/visibility.h"

/*
 * Does the view the statement names show the existing row?  Later minor versions of the server ask, by a kind of check
 * that earlier ones do not have and never find in a statement.
 */
#define WCO_EXISTING_IN_VIEW ((WCOKind) (WCO_RLS_MERGE_DELETE_CHECK + 1))

/* The existing row stands against the insertion in a way that no action can settle. */
static void
check_existing_visible(const NvmkvRowView *view)
{
	if (IsolationUsesXactSnapshot() && !view->visible && !view->own)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
}

/* The new row, in oc_ProjSlot.  False: WHERE or a trigger says no. */
static bool
project_update(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, TupleTableSlot *excluded, HeapTuple existing)
{
	ModifyTableState *mtstate = modify->mtstate;
	OnConflictSetState *oc = rri->ri_onConflict;
	ExprContext *econtext = mtstate->ps.ps_ExprContext;
	TupleConstr *constraints = RelationGetDescr(modify->rel)->constr;
	TupleTableSlot *slot = oc->oc_ProjSlot;

	econtext->ecxt_scantuple = oc->oc_Existing;
	econtext->ecxt_innertuple = excluded;
	econtext->ecxt_outertuple = NULL;
	if (rri->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(WCO_EXISTING_IN_VIEW, rri, oc->oc_Existing, estate);
	if (!ExecQual(oc->oc_WhereClause, econtext))
	{
		InstrCountFiltered1(&mtstate->ps, 1);
		return false;
	}
	if (rri->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(WCO_RLS_CONFLICT_CHECK, rri, oc->oc_Existing, estate);

	ExecProject(oc->oc_ProjInfo);
	slot->tts_tableOid = RelationGetRelid(modify->rel);
	if (!nvmkv_fire_before_update(&modify->triggers, mtstate, rri, existing, slot))
		return false;
	if (constraints != NULL && constraints->has_generated_stored)
		ExecComputeStoredGenerated(rri, estate, slot, CMD_UPDATE);
	ExecMaterializeSlot(slot);
	return true;
}

typedef enum UpsertLook
{
	LOOK_AGAIN,
	LOOK_INSERTED,
	LOOK_NOTHING, /* DO NOTHING */
	LOOK_UPDATE	  /* modify->newest is there to be updated */
} UpsertLook;

/*
 * One turn under the key's latch; waits after it.  insert: where there is no row the new one is written.  met: an
 * earlier turn has found the row and waited for its lock.  If it has gone meanwhile, a transaction that keeps its
 * snapshot cannot go on as if it had not been there.
 */
static UpsertLook
look_and_insert(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, NvmkvSlice key, bool update, bool met,
				bool insert, NvmkvRowQueue *queue, NvmkvRowView *view)
{
	FullTransactionId fxid = GetCurrentFullTransactionId();
	NvmkvRowQuery query = {
		.want = update ? nvmkv_change_lock_mode(modify, estate, rri) : NVMKV_LOCK_NONE,
		.snapshot = estate->es_snapshot,
		.anchor = {.kind = NVMKV_ANCHOR_NEWEST},
		.copy = update ? NVMKV_COPY_ALWAYS : NVMKV_COPY_NEVER,
		.value = &modify->newest,
	};
	NvmkvSlice none = nvmkv_slice(NULL, 0);
	NvmkvLatchSet latches;
	bool written;

	nvmkv_latch_set_init(&latches);
	nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
	nvmkv_latch_set_acquire(&latches);
	nvmkv_row_view(modify->db, modify->table, key, &query, view);

	if (view->state == NVMKV_ROW_WAIT)
	{
		nvmkv_latch_set_release(&latches);
		if (update)
			nvmkv_row_queue_wait(queue, modify->rel, key, view, query.want, XLTW_InsertIndex);
		else
			nvmkv_write_wait_xid(modify->rel, key, view->wait_xid, XLTW_InsertIndex);
		return LOOK_AGAIN;
	}
	if (view->state == NVMKV_ROW_LIVE)
	{
		bool lock_first = update &&
			(query.want == NVMKV_LOCK_EXCLUSIVE || nvmkv_row_triggers_on_update(&modify->triggers));

		written = !lock_first || nvmkv_row_lock(modify->db, modify->rel, key, view, query.want, fxid, modify->cid);
		nvmkv_latch_set_release(&latches);
		if (written)
			return update ? LOOK_UPDATE : LOOK_NOTHING;
	}
	else if (met && IsolationUsesXactSnapshot())
	{
		nvmkv_latch_set_release(&latches);
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 view->has_moved ? errmsg("could not serialize access due to concurrent update")
				 : errmsg("could not serialize access due to concurrent delete")));
	}
	else if (!insert)
	{
		nvmkv_latch_set_release(&latches);
		return LOOK_AGAIN;
	}
	else
	{
		nvmkv_write_begin();
		nvmkv_entries_put(none, nvmkv_buffer_slice(&modify->entries), fxid, modify->cid);
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, key, fxid, modify->cid, nvmkv_buffer_slice(&modify->value));
		nvmkv_write_tell(modify->table, NVMKV_CHANGE_INSERT, fxid, none, none);
		written = nvmkv_write_finish(modify->db, modify->rel);
		nvmkv_latch_set_release(&latches);
		if (written)
			return LOOK_INSERTED;
	}
	nvmkv_write_wait_room(modify->db, modify->rel);
	return LOOK_AGAIN;
}

/* Leaves the row that WHERE has turned down locked.  False: it has changed meanwhile. */
static bool
lock_unchanged(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, NvmkvSlice key, uint64 sequence)
{
	FullTransactionId fxid = GetCurrentFullTransactionId();
	NvmkvRowQuery query = {
		.want = nvmkv_change_lock_mode(modify, estate, rri),
		.anchor = {.kind = NVMKV_ANCHOR_VERSION, .sequence = sequence},
	};

	for (;;)
	{
		NvmkvLatchSet latches;
		NvmkvRowView view;
		bool unchanged;
		bool written = false;

		nvmkv_latch_set_init(&latches);
		nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
		nvmkv_latch_set_acquire(&latches);
		nvmkv_row_view(modify->db, modify->table, key, &query, &view);
		unchanged = view.state == NVMKV_ROW_LIVE && view.sequence == sequence;
		if (unchanged)
			written = nvmkv_row_lock(modify->db, modify->rel, key, &view, query.want, fxid, modify->cid);
		nvmkv_latch_set_release(&latches);
		if (!unchanged)
			return false;
		if (written)
			return true;
		nvmkv_write_wait_room(modify->db, modify->rel);
	}
}

/* DO UPDATE of the row in modify->newest.  False: it has changed meanwhile, start over. */
static bool
update_existing(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, NvmkvSlice key, const NvmkvRival *rival,
				const NvmkvRowView *view, TupleTableSlot *excluded, TupleTableSlot **result_out)
{
	TupleTableSlot *existing = rri->ri_onConflict->oc_Existing;
	NvmkvRowAnchor anchor = {.kind = NVMKV_ANCHOR_VERSION, .sequence = view->sequence};
	HeapTuple old_row;
	bool should_free;
	bool done;

	*result_out = NULL;
	if (view->own && view->cid >= modify->cid)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("%s command cannot affect row a second time", "ON CONFLICT DO UPDATE"),
				 errhint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")));
	check_existing_visible(view);

	nvmkv_row_to_slot(modify->table, key, nvmkv_buffer_slice(&modify->newest), existing);
	if (rival != NULL && !nvmkv_arbiter_still_conflicts(modify, existing, rival))
	{
		ExecClearTuple(existing);
		return false;
	}
	ExecMaterializeSlot(existing);
	old_row = ExecFetchSlotHeapTuple(existing, false, &should_free);
	if (modify->table->nkeys == 0)
		nvmkv_rowid_to_tid(nvmkv_key_rowid(key), &old_row->t_self);

	if (project_update(modify, estate, rri, excluded, old_row))
	{
		resetStringInfo(&modify->old_key);
		appendBinaryStringInfo(&modify->old_key, (const char *) key.data, (int) key.size);
		*result_out = nvmkv_change_replace(modify, estate, rri, rri->ri_onConflict->oc_ProjSlot, anchor, old_row);
		done = *result_out != NULL;
	}
	else
		done = lock_unchanged(modify, estate, rri, key, view->sequence);
	if (should_free)
		heap_freetuple(old_row);
	if (*result_out != NULL)
	{
		nvmkv_modify_set_ctid(modify, existing, view->sequence);
		nvmkv_return_old(&modify->return_old, estate->es_query_cxt, rri, existing);
	}
	else
		ExecClearTuple(existing);
	return done;
}

/* The row to insert, in key, value and entries of modify; again after they have been those of an updated row. */
static void
encode_insert(NvmkvModify *modify, TupleTableSlot *slot, uint64 rowid)
{
	nvmkv_modify_encode(modify, slot);
	if (modify->table->nkeys > 0)
		return;
	nvmkv_entries_set_rowid(nvmkv_buffer_slice(&modify->entries), rowid);
	nvmkv_key_from_rowid(modify->table, &modify->key, rowid);
}

static void
note_read(const NvmkvModify *modify, EState *estate, NvmkvSlice key)
{
	NvmkvVisibility visibility;

	if (!IsolationIsSerializable())
		return;
	nvmkv_visibility_init(&visibility, estate->es_snapshot, modify->rel);
	nvmkv_predicate_lock_key(&visibility, key);
}

/* What is kept between turns of an upsert; in the row's memory context. */
typedef struct Upsert
{
	bool update;
	bool met;
	bool tried; /* to update the row */
	bool key_first; /* nvmkv_arbiter_look */
	NvmkvRowQueue queue;
	StringInfoData key;		/* of the row to insert */
	StringInfoData row_key; /* of the one that it conflicts with, where other indexes than the key's decide */
	NvmkvRival rival;
} Upsert;

/* Finds the row that is there, or inserts; *key_out: of the one that was found. */
static UpsertLook
look(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, Upsert *upsert, TupleTableSlot *slot, NvmkvSlice *key_out,
	 NvmkvRowView *view)
{
	NvmkvSlice key = nvmkv_buffer_slice(&upsert->key);

	*key_out = key;
	if (!modify->has_unique)
	{
		UpsertLook result;

		note_read(modify, estate, key);
		result = look_and_insert(modify, estate, rri, key, upsert->update, upsert->met, true, &upsert->queue, view);
		if (result == LOOK_INSERTED)
			nvmkv_modify_set_ctid(modify, slot, nvmkv_write_last_sequence());
		return result;
	}

	switch (nvmkv_arbiter_look(modify, key, slot, &upsert->key_first, &upsert->row_key, &upsert->rival))
	{
		case NVMKV_CONFLICT_NONE:
			return LOOK_INSERTED;
		case NVMKV_CONFLICT_AGAIN:
			view->wait_for_lock = false;
			return LOOK_AGAIN;
		case NVMKV_CONFLICT_ROW:
			break;
	}
	*key_out = nvmkv_buffer_slice(&upsert->row_key);
	note_read(modify, estate, *key_out);
	return look_and_insert(modify, estate, rri, *key_out, upsert->update, upsert->met, false, &upsert->queue, view);
}

TupleTableSlot *
nvmkv_upsert(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, TupleTableSlot *slot)
{
	Upsert upsert = {.update = ((ModifyTable *) modify->mtstate->ps.plan)->onConflictAction == ONCONFLICT_UPDATE};
	uint64 rowid = modify->table->nkeys == 0 ? nvmkv_rowid_allocate(1) : 0;
	TupleTableSlot *result = NULL;
	bool done = false;

	/* modify->key and value will be those of the updated row. */
	MemoryContext old_context = MemoryContextSwitchTo(modify->row_context);

	/* Those of this table: the statement's may be of one that it is a partition of. */
	modify->arbiters = rri->ri_onConflictArbiterIndexes;

	if (rowid != 0)
		encode_insert(modify, slot, rowid);
	initStringInfo(&upsert.key);
	initStringInfo(&upsert.row_key);
	appendBinaryStringInfo(&upsert.key, modify->key.data, modify->key.len);
	MemoryContextSwitchTo(old_context);

	while (!done)
	{
		NvmkvRowView view;
		NvmkvSlice key;

		CHECK_FOR_INTERRUPTS();
		switch (look(modify, estate, rri, &upsert, slot, &key, &view))
		{
			case LOOK_AGAIN:
				upsert.met = upsert.met || view.wait_for_lock;
				break;
			case LOOK_INSERTED:
				if (rowid != 0)
					nvmkv_rowid_to_tid(rowid, &slot->tts_tid);
				nvmkv_write_check_serializable(modify->rel, key);
				pgstat_count_heap_insert(modify->counted, 1);
				nvmkv_fire_after_insert(&modify->triggers, modify->mtstate, rri, slot);
				result = slot;
				done = true;
				break;
			case LOOK_NOTHING:
				check_existing_visible(&view);
				InstrCountTuples2(&modify->mtstate->ps, 1);
				done = true;
				break;
			case LOOK_UPDATE:
				/* What was evaluated for the update has made one of its own: that counts, and this one is none. */
				if (upsert.tried && view.own && view.cid == modify->cid)
				{
					done = true;
					break;
				}
				done = update_existing(modify, estate, rri, key, modify->has_unique ? &upsert.rival : NULL, &view, slot,
									   &result);
				upsert.tried = true;
				if (done)
					InstrCountTuples2(&modify->mtstate->ps, 1);
				else
					encode_insert(modify, slot, rowid);
				break;
		}
	}
	nvmkv_row_queue_leave(&upsert.queue, modify->rel);
	return result;
}
