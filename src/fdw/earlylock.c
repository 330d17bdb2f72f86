/*
 * earlylock.c
 *	  Locks before row triggers.
 *
 * For a heap table the executor locks the row, in its newest version, before
 * BEFORE ROW triggers see it, and AFTER ROW triggers get the version that was
 * replaced.  For a foreign table it gives triggers the row the plan has found;
 * if that had changed meanwhile, triggers would have worked on a stale row.
 * So with such triggers, in READ COMMITTED, the scan of the target finds no
 * stale rows in the first place: what satisfies the scan's conditions is
 * locked right there, and the newest version goes up the plan.  (The scan's
 * conditions on it are evaluated by the executor as for any row, those that
 * became key ranges here if it has got another key.)
 *
 * Compared with a heap, rows that a join would drop later are locked too.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "utils/rel.h"

#include "fdw/earlylock.h"
#include "fdw/rowcode.h"
#include "fdw/target.h"

struct NvmkvEarlyLock
{
	NvmkvDb *db;
	const NvmkvTable *table;
	StringInfoData newest;
	StringInfoData key; /* of the row, where it is now */
	StringInfoData moved;
};

static bool
has_row_triggers(const TriggerDesc *triggers)
{
	return triggers != NULL && (triggers->trig_update_before_row || triggers->trig_update_after_row ||
								triggers->trig_delete_before_row || triggers->trig_delete_after_row);
}

NvmkvEarlyLock *
nvmkv_early_lock_begin(ForeignScanState *node, NvmkvDb *db, const NvmkvTable *table)
{
	EState *estate = node->ss.ps.state;
	Index scanrelid = ((Scan *) node->ss.ps.plan)->scanrelid;
	NvmkvEarlyLock *lock;

	/* The higher isolation levels do not take changed rows at all. */
	if (!has_row_triggers(node->ss.ss_currentRelation->trigdesc) || estate->es_epq_active != NULL ||
		!ExecRelationIsTargetRelation(estate, scanrelid) || IsolationUsesXactSnapshot())
		return NULL;

	lock = palloc(sizeof(NvmkvEarlyLock));
	lock->db = db;
	lock->table = table;
	initStringInfo(&lock->newest);
	initStringInfo(&lock->key);
	initStringInfo(&lock->moved);
	return lock;
}

/* Does the row satisfy the scan's conditions, as far as it is known yet? */
static bool
is_meant(ForeignScanState *node, TupleTableSlot *slot)
{
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	if (node->ss.ps.qual == NULL)
		return true;
	econtext->ecxt_scantuple = slot;
	return ExecQual(node->ss.ps.qual, econtext);
}

bool
nvmkv_early_lock_row(NvmkvEarlyLock *lock, ForeignScanState *node, NvmkvSlice key, TupleTableSlot *slot)
{
	EState *estate = node->ss.ps.state;
	Relation rel = node->ss.ss_currentRelation;
	NvmkvRowQuery query = {
		.want = NVMKV_LOCK_EXCLUSIVE,
		.snapshot = estate->es_snapshot,
		.copy = NVMKV_COPY_CHANGED,
		.value = &lock->newest,
		.moved = &lock->moved,
	};
	NvmkvRowQueue queue = {0};
	FullTransactionId fxid;
	NvmkvRowView view;

	if (!is_meant(node, slot))
		return true; /* the executor will see that, too */

	resetStringInfo(&lock->key);
	appendBinaryStringInfo(&lock->key, (const char *) key.data, (int) key.size);
	fxid = GetCurrentFullTransactionId();
	for (;;)
	{
		NvmkvLatchSet latches;
		bool locked = true;

		key = nvmkv_buffer_slice(&lock->key);

		nvmkv_latch_set_init(&latches);
		nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
		nvmkv_latch_set_acquire(&latches);
		nvmkv_row_view(lock->db, lock->table, key, &query, &view);
		if (view.state == NVMKV_ROW_LIVE && !view.replaced)
			locked = nvmkv_row_lock(lock->db, rel, key, &view, NVMKV_LOCK_EXCLUSIVE, fxid, estate->es_output_cid);
		nvmkv_latch_set_release(&latches);

		if (view.state == NVMKV_ROW_WAIT)
			nvmkv_row_queue_wait(&queue, rel, key, &view, NVMKV_LOCK_EXCLUSIVE, XLTW_Update);
		else if (!locked)
			nvmkv_write_wait_room(lock->db, rel);
		else if (view.own || !nvmkv_row_follow(&lock->key, &lock->moved, &view, &query.origin))
			break;
	}
	nvmkv_row_queue_leave(&queue, rel);

	/* What this transaction has done to the row meanwhile is for the modification to judge. */
	if (view.visible || view.own)
		return true;
	if (view.state != NVMKV_ROW_LIVE || view.replaced)
		return false;
	nvmkv_row_to_slot(lock->table, nvmkv_buffer_slice(&lock->key), nvmkv_buffer_slice(&lock->newest), slot);
	if (query.origin == 0)
		return true;
	node->ss.ps.ps_ExprContext->ecxt_scantuple = slot;
	return ExecQual(node->fdw_recheck_quals, node->ss.ps.ps_ExprContext);
}
