/*
 * rowmark.c
 *	  Late row locks: SELECT ... FOR UPDATE, NO KEY UPDATE, SHARE, KEY SHARE.
 *
 * A lock is an entry of its own beside the row's versions (conflict.h).  The
 * row that is locked is the newest; when that is not the one the scan saw,
 * READ COMMITTED evaluates the query for it (the executor does, told by
 * *updated), and the higher levels give up.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/host/family.h"
#include "fdw/host/latch.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/scan/rowmark.h"
#include "fdw/storage/storage.h"
#include "fdw/txn/addressbook.h"
#include "fdw/txn/conflict.h"
#include "fdw/txn/rowlock.h"
#include "fdw/txn/write.h"

/* One locked table of a query: ermExtra. */
struct NvmkvRowMarks
{
	MemoryContext context;
	NvmkvDb *db;
	NvmkvTable *table;
	StringInfoData key; /* of the row at hand */
	uint64 sequence; /* of its newest version, once it is locked */
	StringInfoData value;
	StringInfoData moved;
	StringInfoData holders; /* who has locked the row against us */
	NvmkvAddressBook *book; /* rows of a table with a primary key */
};

RowMarkType
nvmkv_get_row_mark_type(RangeTblEntry *rte, LockClauseStrength strength)
{
	switch (strength)
	{
		case LCS_NONE:
			return ROW_MARK_COPY;
		case LCS_FORKEYSHARE:
			return ROW_MARK_KEYSHARE;
		case LCS_FORSHARE:
			return ROW_MARK_SHARE;
		case LCS_FORNOKEYUPDATE:
			return ROW_MARK_NOKEYEXCLUSIVE;
		case LCS_FORUPDATE:
			return ROW_MARK_EXCLUSIVE;
	}
	return ROW_MARK_COPY;
}

/* ---------------------------------------------------------------- rows the scan returns */

static NvmkvRowMarks *
get_marks(ExecRowMark *erm, Relation rel)
{
	NvmkvRowMarks *marks = erm->ermExtra;
	MemoryContext old_context;

	if (marks != NULL)
		return marks;

	/* The query's context, also when a recheck within it comes first. */
	old_context = MemoryContextSwitchTo(GetMemoryChunkContext(erm));
	marks = palloc0(sizeof(NvmkvRowMarks));
	marks->context = CurrentMemoryContext;
	marks->table = nvmkv_table(rel);
	marks->db = nvmkv_engine_of(marks->table->storage_id);
	nvmkv_buffer_init(&marks->key);
	nvmkv_buffer_init(&marks->value);
	nvmkv_buffer_init(&marks->moved);
	nvmkv_buffer_init(&marks->holders);
	MemoryContextSwitchTo(old_context);
	erm->ermExtra = marks;
	return marks;
}

NvmkvRowMarks *
nvmkv_rowmark_begin(EState *estate, Index scanrelid, bool shows_ctid)
{
	ExecRowMark *erm = ExecFindRowMark(estate, scanrelid, true);
	NvmkvRowMarks *marks;

	if (erm == NULL || erm->relation == NULL || !RowMarkRequiresRowShareLock(erm->markType))
		return NULL;
	marks = get_marks(erm, erm->relation);
	if (marks->book == NULL && shows_ctid)
		marks->book = nvmkv_addressbook_of_transaction();
	else if (marks->book == NULL)
	{
		MemoryContext old_context = MemoryContextSwitchTo(marks->context);

		marks->book = nvmkv_addressbook_create();
		MemoryContextSwitchTo(old_context);
	}
	return marks;
}

void
nvmkv_rowmark_note(NvmkvRowMarks *marks, NvmkvSlice key, uint64 sequence, bool covered)
{
	nvmkv_addressbook_enter(marks->book, key, sequence, covered);
}

/* As the executor says it for a heap, whatever has become of the row. */
static void
raise_concurrent_update(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update")));
}

/* marks->key := the key of a row the scan has returned.  Raises 40001 for a covered one. */
static void
find_row(NvmkvRowMarks *marks, ItemPointer tid)
{
	const NvmkvAddress *address;

	if (marks->table->nkeys == 0)
	{
		nvmkv_key_from_rowid(marks->table, &marks->key, nvmkv_rowid_from_tid(tid));
		return;
	}
	address = marks->book != NULL ? nvmkv_addressbook_find(marks->book, nvmkv_address_from_tid(tid)) : NULL;
	if (address == NULL)
		elog(ERROR, "a row to be locked was not returned by this query");
	if (address->covered)
		raise_concurrent_update();
	resetStringInfo(&marks->key);
	appendBinaryStringInfo(&marks->key, (const char *) address->key.data, (int) address->key.size);
}

/* ---------------------------------------------------------------- locking */

static NvmkvLockMode
lock_mode(RowMarkType type)
{
	switch (type)
	{
		case ROW_MARK_EXCLUSIVE:
			return NVMKV_LOCK_EXCLUSIVE;
		case ROW_MARK_NOKEYEXCLUSIVE:
			return NVMKV_LOCK_NO_KEY_UPDATE;
		case ROW_MARK_SHARE:
			return NVMKV_LOCK_SHARE;
		case ROW_MARK_KEYSHARE:
			return NVMKV_LOCK_KEY_SHARE;
		case ROW_MARK_REFERENCE:
		case ROW_MARK_COPY:
			break;
	}
	elog(ERROR, "unsupported rowmark type %d", (int) type);
	return NVMKV_LOCK_NONE;
}

typedef enum LockResult
{
	LOCK_DONE,
	LOCK_CHANGED, /* done, on a version the snapshot does not see */
	LOCK_GONE,
	LOCK_AGAIN /* look again */
} LockResult;

/* Decides under the latch; on DONE and CHANGED the lock is written. */
static LockResult
lock_newest(NvmkvRowMarks *marks, EState *estate, Relation rel, NvmkvSlice key, const NvmkvRowView *view,
			NvmkvLockMode mode, FullTransactionId fxid)
{
	/*
	 * Changed by this very command, or by one that came from within: treated as deleted, as the executor does for a
	 * heap.
	 */
	if (view->own && view->cid >= estate->es_output_cid)
		return LOCK_GONE;
	if (!view->visible && IsolationUsesXactSnapshot())
		raise_concurrent_update();
	if (view->state != NVMKV_ROW_LIVE)
		return LOCK_GONE;
	if (!nvmkv_row_lock(marks->db, rel, key, view, mode, fxid, estate->es_output_cid))
		return LOCK_AGAIN;
	return view->visible ? LOCK_DONE : LOCK_CHANGED;
}

void
nvmkv_refetch_row(EState *estate, ExecRowMark *erm, Datum rowid, TupleTableSlot *slot, bool *updated)
{
	Relation rel = erm->relation;
	NvmkvRowMarks *marks = get_marks(erm, rel);
	NvmkvLockMode mode = lock_mode(erm->markType);
	FullTransactionId fxid = GetCurrentFullTransactionId();
	NvmkvRowQuery query = {
		.want = mode,
		.snapshot = estate->es_snapshot,
		.any_version = mode == NVMKV_LOCK_KEY_SHARE,
		.copy = NVMKV_COPY_ALWAYS,
		.value = &marks->value,
		.moved = &marks->moved,
		.holders = &marks->holders,
	};
	NvmkvRowQueue queue = {.keeps_turn = true};
	LockResult result;
	bool waited = false;
	bool followed = false; /* to where the row has moved */
	bool lost = false; /* to a transaction with a snapshot of its own */
	bool held = false; /* but others have locked what is lost */

	find_row(marks, (ItemPointer) DatumGetPointer(rowid));
	for (;;)
	{
		NvmkvSlice key = nvmkv_buffer_slice(&marks->key);
		NvmkvLatchSet latches;
		NvmkvRowView view;

		nvmkv_latch_set_init(&latches);
		nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
		nvmkv_latch_set_acquire(&latches);

		nvmkv_row_view(marks->db, marks->table, key, &query, &view);
		if (query.any_version && (view.for_update || view.changed_again))
		{
			/* To a heap an UPDATE by who has locked the row FOR UPDATE is one of the key; a later one may be. */
			query.any_version = false;
			nvmkv_row_view(marks->db, marks->table, key, &query, &view);
		}
		lost = lost || nvmkv_row_is_lost(&view);
		held = lost && !waited && marks->holders.len > 0;
		/* As on a heap: who has waited follows to the next version, and gives up if that has been changed again. */
		if (lost && !held && (!waited || view.changed_again || (followed && view.loss != NVMKV_NOT_LOST)))
			raise_concurrent_update();
		if (view.state == NVMKV_ROW_WAIT || held)
		{
			/* On a heap it is a later version that is locked or changed, and such are waited for in any case. */
			LockWaitPolicy policy = query.any_version && view.in_place ? LockWaitBlock : erm->waitPolicy;

			nvmkv_latch_set_release(&latches);
			switch (policy)
			{
				case LockWaitBlock:
					if (!held)
						nvmkv_row_queue_wait(&queue, rel, key, &view, mode, XLTW_Lock);
					nvmkv_row_wait_holders(rel, key, &marks->holders, XLTW_Lock);
					waited = true;
					if (!view.in_place)
						query.any_version = false; /* as on a heap: it has waited for what comes next */
					break;
				case LockWaitSkip:
					ExecClearTuple(slot);
					return;
				case LockWaitError:
					ereport(ERROR,
							(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
							 errmsg("could not obtain lock on row in relation \"%s\"", RelationGetRelationName(rel))));
			}
			continue;
		}
		if (lost)
		{
			/* As on a heap: who has waited for a row has queued for all that has become of it. */
			nvmkv_latch_set_release(&latches);
			if (!view.has_moved || marks->moved.len == 1 ||
				!nvmkv_row_follow(&marks->key, &marks->moved, &view, &query.anchor))
				raise_concurrent_update();
			followed = true;
			continue;
		}

		marks->sequence = view.sequence;
		result = lock_newest(marks, estate, rel, key, &view, mode, fxid);
		nvmkv_latch_set_release(&latches);
		if (result == LOCK_AGAIN)
			nvmkv_write_wait_room(marks->db, rel);
		else if (result != LOCK_GONE || !nvmkv_row_follow(&marks->key, &marks->moved, &view, &query.anchor))
			break;
		else
			query.any_version = false;
	}
	nvmkv_row_queue_leave(&queue, rel);

	if (result == LOCK_GONE)
	{
		ExecClearTuple(slot);
		return;
	}
	nvmkv_row_to_slot(marks->table, nvmkv_buffer_slice(&marks->key), nvmkv_buffer_slice(&marks->value), slot);
	if (marks->table->nkeys > 0)
		nvmkv_address_to_tid(marks->sequence, &slot->tts_tid);

	/* For WHERE CURRENT OF, as the executor does for a heap. */
	erm->curCtid = slot->tts_tid;
	ExecMaterializeSlot(slot);
	if (result == LOCK_CHANGED)
		*updated = true;
}

void
nvmkv_rowmark_locked(const ExecRowMark *erm, NvmkvSlice *key_out, uint64 *sequence_out)
{
	const NvmkvRowMarks *marks = erm->ermExtra;

	*key_out = nvmkv_buffer_slice(&marks->key);
	*sequence_out = marks->sequence;
}
