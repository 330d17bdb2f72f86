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
#include "fdw/txn/conflict.h"
#include "fdw/txn/rowlock.h"
#include "fdw/txn/write.h"

typedef struct MarkedRow
{
	NvmkvSlice key;
	bool covered;
} MarkedRow;

/* One locked table of a query: ermExtra. */
struct NvmkvRowMarks
{
	MemoryContext context;
	NvmkvDb *db;
	NvmkvTable *table;
	StringInfoData key; /* of the row at hand */
	StringInfoData value;
	StringInfoData moved;

	/* Rows by number, for tables with a primary key. */
	MarkedRow *rows;
	uint64 count;
	uint64 capacity;
	char *room; /* where keys are put, piece by piece */
	Size room_left;
};

#define KEYS_INITIAL 64
#define ROOM_BYTES (64 * 1024)

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

/* ---------------------------------------------------------------- numbers for keys */

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
	initStringInfo(&marks->key);
	initStringInfo(&marks->value);
	initStringInfo(&marks->moved);
	MemoryContextSwitchTo(old_context);
	erm->ermExtra = marks;
	return marks;
}

NvmkvRowMarks *
nvmkv_rowmark_begin(EState *estate, Index scanrelid)
{
	ExecRowMark *erm = ExecFindRowMark(estate, scanrelid, true);

	if (erm == NULL || erm->relation == NULL || !RowMarkRequiresRowShareLock(erm->markType))
		return NULL;
	return get_marks(erm, erm->relation);
}

bool
nvmkv_rowmark_is_of_parent(EState *estate, Index scanrelid)
{
	ExecRowMark *erm = ExecFindRowMark(estate, scanrelid, true);

	return erm != NULL && erm->rti != erm->prti;
}

static uint8 *
keep_bytes(NvmkvRowMarks *marks, NvmkvSlice bytes)
{
	uint8 *kept;

	if (bytes.size > marks->room_left)
	{
		marks->room_left = Max(bytes.size, ROOM_BYTES);
		marks->room = MemoryContextAlloc(marks->context, marks->room_left);
	}
	kept = (uint8 *) marks->room;
	memcpy(kept, bytes.data, bytes.size);
	marks->room += bytes.size;
	marks->room_left -= bytes.size;
	return kept;
}

void
nvmkv_rowmark_assign(NvmkvRowMarks *marks, NvmkvSlice key, bool covered, ItemPointer tid)
{
	if (marks->count == marks->capacity)
	{
		uint64 capacity = Max(marks->capacity * 2, KEYS_INITIAL);

		if (marks->rows == NULL)
			marks->rows = MemoryContextAlloc(marks->context, capacity * sizeof(MarkedRow));
		else
			marks->rows = repalloc_huge(marks->rows, capacity * sizeof(MarkedRow));
		marks->capacity = capacity;
	}
	marks->rows[marks->count] = (MarkedRow){nvmkv_slice(keep_bytes(marks, key), key.size), covered};
	nvmkv_rowid_to_tid(marks->count, tid);
	marks->count++;
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
	uint64 number = nvmkv_rowid_from_tid(tid);
	const MarkedRow *row;

	if (marks->table->nkeys == 0)
	{
		nvmkv_key_from_rowid(marks->table, &marks->key, number);
		return;
	}
	if (number >= marks->count)
		elog(ERROR, "row %llu to be locked was not returned by this query", (unsigned long long) number);
	row = &marks->rows[number];
	if (row->covered)
		raise_concurrent_update();
	resetStringInfo(&marks->key);
	appendBinaryStringInfo(&marks->key, (const char *) row->key.data, (int) row->key.size);
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
	};
	NvmkvRowQueue queue = {0};
	LockResult result;
	bool waited = false;
	bool lost = false; /* to a transaction with a snapshot of its own */

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
		if (query.any_version && view.for_update)
		{
			/* To a heap an UPDATE by who has locked the row FOR UPDATE is one of the key. */
			query.any_version = false;
			nvmkv_row_view(marks->db, marks->table, key, &query, &view);
		}
		lost = lost || (view.loss != NVMKV_NOT_LOST && IsolationUsesXactSnapshot());
		if (lost && !waited)
			raise_concurrent_update();
		if (view.state == NVMKV_ROW_WAIT)
		{
			/* On a heap it is a later version that is locked or changed, and such are waited for in any case. */
			LockWaitPolicy policy = query.any_version && view.in_place ? LockWaitBlock : erm->waitPolicy;

			nvmkv_latch_set_release(&latches);
			switch (policy)
			{
				case LockWaitBlock:
					nvmkv_row_queue_wait(&queue, rel, key, &view, mode, XLTW_Lock);
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
			nvmkv_row_queue_leave(&queue, rel);
			continue;
		}

		result = lock_newest(marks, estate, rel, key, &view, mode, fxid);
		nvmkv_latch_set_release(&latches);
		if (result == LOCK_AGAIN)
			nvmkv_write_wait_room(marks->db, rel);
		else if (result != LOCK_GONE || !nvmkv_row_follow(&marks->key, &marks->moved, &view, &query.anchor))
			break;
		else
		{
			nvmkv_row_queue_leave(&queue, rel);
			query.any_version = false;
		}
	}
	nvmkv_row_queue_leave(&queue, rel);

	if (result == LOCK_GONE)
	{
		ExecClearTuple(slot);
		return;
	}
	nvmkv_row_to_slot(marks->table, nvmkv_buffer_slice(&marks->key), nvmkv_buffer_slice(&marks->value), slot);
	ExecMaterializeSlot(slot);
	if (result == LOCK_CHANGED)
		*updated = true;
}
