/*
 * indexconcurrent.c
 *	  Filling an index while others write to its table.
 *
 * The index is there, invalid and ready: whoever begins to write to the table
 * keeps it.  Those who have begun before it was committed are waited for.  Then
 * the table's keys are gone through, and of each row that is there the entry is
 * written that it has to have, if it has none.
 *
 * A row is looked at under the latch of its key, and of the value that is to be
 * unique.
 *	 - Nobody is changing it: its newest version is the row.  Whoever has written
 *		that has kept the index, and the entry is there, or had not, and it is
 *		written now.  Who changes the row later comes later, and takes the entry
 *		away again where it has to go.
 *	 - Somebody is: he is waited for, since the version below comes back, and has
 *		perhaps no entry, if he rolls back.
 *	 - It has gone: so have its entries.
 * Rows that come after their key has been passed are of writers who keep the
 * index.
 *
 * This is done in many transactions, so that those who want a value that is
 * theirs are not kept for long.  The last one makes the index valid.  No
 * snapshot that is older than it uses the index (indcheckxmin), so that nobody
 * misses a version that was the newest before.
 *
 * AFTER A CRASH OR AN ERROR there are entries of transactions that have
 * committed in an index that is invalid: writers keep them right.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/backend_progress.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/indexbuild.h"
#include "fdw/ddl/indexconcurrent.h"
#include "fdw/host/family.h"
#include "fdw/host/latch.h"
#include "fdw/host/ownercontext.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"
#include "fdw/txn/conflict.h"
#include "fdw/txn/everyrow.h"
#include "fdw/txn/unique.h"
#include "fdw/txn/write.h"

/* Rows of a transaction; a unique value of one of them is waited for until its end. */
#define STEP_ROWS 1024

typedef struct Filling
{
	Relation rel;
	const NvmkvTable *table;
	const NvmkvIndex *index;
	NvmkvDb *db;
	EState *estate;
	NvmkvEntryMaker *maker;
	TupleTableSlot *slot;
	StringInfoData value;	/* of the row at hand */
	StringInfoData entries; /* of the row at hand: one, or none */
} Filling;

/* ---------------------------------------------------------------- a row */

static const NvmkvRowQuery newest = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};

/* The row's newest version, in *view and filling->value. */
static void
look_at_row(Filling *filling, NvmkvSlice key, NvmkvRowView *view)
{
	NvmkvRowQuery query = newest;
	NvmkvLatchSet latches;

	query.copy = NVMKV_COPY_ALWAYS;
	query.value = &filling->value;
	nvmkv_latch_set_init(&latches);
	nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
	nvmkv_latch_set_acquire(&latches);
	nvmkv_row_view(filling->db, filling->table, key, &query, view);
	nvmkv_latch_set_release(&latches);
}

/* Has whoever wrote the row written its entry?  REQUIRES the latch of the row's key. */
static bool
has_entry(const Filling *filling, const NvmkvEntry *entry)
{
	NvmkvRowView view;

	nvmkv_row_view(filling->db, &filling->index->entries, entry->key, &newest, &view);
	return view.state == NVMKV_ROW_LIVE;
}

/* What a turn under the latches has come to. */
typedef enum TurnResult
{
	TURN_DONE,
	TURN_AGAIN,
	TURN_NO_ROOM,
	TURN_WAITS, /* for rival.wait_xid */
	TURN_DUPLICATE
} TurnResult;

/* Writes the entry of the row that was seen as "seen", if it has none and is still the same. */
static TurnResult
write_entry(Filling *filling, NvmkvSlice key, const NvmkvRowView *seen, const NvmkvEntry *entry, NvmkvRival *rival)
{
	const NvmkvSlice none = nvmkv_slice(NULL, 0);
	NvmkvSlice entries = nvmkv_buffer_slice(&filling->entries);
	TurnResult result = TURN_DONE;
	NvmkvLatchSet latches;
	NvmkvRowView view;

	nvmkv_latch_set_init(&latches);
	nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
	nvmkv_unique_add_latches(&latches, none, entries);
	nvmkv_latch_set_acquire(&latches);
	nvmkv_row_view(filling->db, filling->table, key, &newest, &view);
	if (view.state != NVMKV_ROW_LIVE || view.sequence != seen->sequence)
		result = TURN_AGAIN;
	else if (!has_entry(filling, entry))
	{
		if (nvmkv_unique_find_rival(filling->db, filling->table, none, entries, rival, NULL))
			result = TransactionIdIsValid(rival->wait_xid) ? TURN_WAITS : TURN_DUPLICATE;
		else
		{
			nvmkv_write_begin();
			nvmkv_entries_put(none, entries, GetCurrentFullTransactionId(), GetCurrentCommandId(true));
			if (!nvmkv_write_finish(filling->db, filling->rel))
				result = TURN_NO_ROOM;
		}
	}
	nvmkv_latch_set_release(&latches);
	return result;
}

static void
fill_row(Filling *filling, NvmkvSlice key)
{
	TurnResult result = TURN_AGAIN;

	while (result != TURN_DONE)
	{
		NvmkvRowView view;
		NvmkvRival rival;
		NvmkvEntry entry;
		size_t at = 0;

		CHECK_FOR_INTERRUPTS();
		look_at_row(filling, key, &view);
		if (view.state == NVMKV_ROW_WAIT)
		{
			nvmkv_write_wait_xid(filling->rel, key, view.wait_xid, XLTW_None);
			continue;
		}
		if (view.state != NVMKV_ROW_LIVE)
			return;
		nvmkv_row_to_slot(filling->table, key, nvmkv_buffer_slice(&filling->value), filling->slot);
		nvmkv_entries_of_row(filling->maker, filling->slot, filling->table->nkeys == 0 ? nvmkv_key_rowid(key) : 0,
							 &filling->entries);
		if (!nvmkv_entries_next(nvmkv_buffer_slice(&filling->entries), &at, &entry))
			return; /* not in a partial index */

		result = write_entry(filling, key, &view, &entry, &rival);
		if (result == TURN_NO_ROOM)
			nvmkv_write_wait_room(filling->db, filling->rel);
		else if (result == TURN_WAITS)
			nvmkv_write_wait_xid(filling->rel, key, rival.wait_xid, XLTW_None);
		else if (result == TURN_DUPLICATE)
			nvmkv_unique_report_build(filling->rel, filling->index, entry.key, entry.value);
	}
}

/* ---------------------------------------------------------------- rows of a transaction */

/* Keys, one behind the other, each with its size before it. */
static void
note_key(void *ctx, const NvmkvScanRow *row)
{
	uint32 size = (uint32) row->key.size;

	appendBinaryStringInfo(ctx, (const char *) &size, sizeof(size));
	appendBinaryStringInfo(ctx, (const char *) row->key.data, (int) size);
}

static NvmkvSlice
noted_key(const StringInfoData *keys, int *at)
{
	NvmkvSlice key;
	uint32 size;

	memcpy(&size, keys->data + *at, sizeof(size));
	key = nvmkv_slice(keys->data + *at + sizeof(size), size);
	*at += (int) (sizeof(size) + size);
	return key;
}

/*
 * The rows of one transaction, with keys from *next on; returns how many.  *next is then where to go on, and empty
 * behind the last one.  The scan is closed before, since rows may have to be waited for.
 */
static int64
fill_rows(Relation rel, Oid index_oid, StringInfo next)
{
	Filling filling = {.rel = rel, .table = nvmkv_table(rel)};
	int64 count = 0;
	NvmkvSlice key = nvmkv_slice(NULL, 0);
	StringInfoData keys;
	int at = 0;

	filling.index = nvmkv_find_index(filling.table, index_oid);
	if (filling.index == NULL)
		elog(ERROR, "foreign table %u has no index with OID %u", filling.table->relid, index_oid);
	filling.db = nvmkv_engine_of(filling.table->storage_id);
	filling.estate = CreateExecutorState();
	filling.maker = nvmkv_entry_maker_create(filling.table, filling.estate, index_oid);
	filling.slot = MakeSingleTupleTableSlot(filling.table->tupdesc, &TTSOpsVirtual);
	initStringInfo(&filling.value);
	initStringInfo(&filling.entries);

	initStringInfo(&keys);
	nvmkv_some_keys(filling.table, GetActiveSnapshot(), nvmkv_buffer_slice(next), STEP_ROWS, note_key, &keys);
	nvmkv_write_wait_turn(filling.table, rel, (Size) keys.len);
	while (at < keys.len)
	{
		MemoryContext old_context = MemoryContextSwitchTo(GetPerTupleMemoryContext(filling.estate));

		key = noted_key(&keys, &at);
		fill_row(&filling, key);
		count++;
		MemoryContextSwitchTo(old_context);
		ResetPerTupleExprContext(filling.estate);
	}
	resetStringInfo(next);
	if (count > 0)
	{
		/* The least key behind the last one. */
		appendBinaryStringInfo(next, (const char *) key.data, (int) key.size);
		appendStringInfoChar(next, '\0');
	}
	ExecDropSingleTupleTableSlot(filling.slot);
	FreeExecutorState(filling.estate);
	return count;
}

/* In a transaction of its own.  False: that were the last ones. */
static bool
fill_step(Oid relid, Oid index_oid, StringInfo next, int64 *rows)
{
	NvmkvOwnerContext context;
	Relation rel;

	StartTransactionCommand();
	rel = table_open(relid, ShareUpdateExclusiveLock);
	nvmkv_become_owner(&context, rel->rd_rel->relowner);
	PushActiveSnapshot(GetTransactionSnapshot());
	*rows += fill_rows(rel, index_oid, next);
	PopActiveSnapshot();
	nvmkv_become_user(&context);
	table_close(rel, NoLock);
	CommitTransactionCommand();
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, *rows);
	return next->len > 0;
}

static void
open_to_readers(Oid relid, Oid index_oid)
{
	Relation rel;

	StartTransactionCommand();
	rel = table_open(relid, ShareUpdateExclusiveLock);
	nvmkv_index_open_to_readers(rel, index_oid);
	table_close(rel, NoLock);
	CommitTransactionCommand();
}

void
nvmkv_index_fill_concurrently(Oid relid, Oid index_oid, bool becomes_valid)
{
	LockRelId id = {.relId = relid, .dbId = MyDatabaseId};
	MemoryContext context = AllocSetContextCreate(PortalContext, "rows to be indexed", ALLOCSET_SMALL_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	StringInfo next = makeStringInfo();
	int64 rows = 0;
	LOCKTAG tag;

	MemoryContextSwitchTo(old_context);

	/* The table is not dropped between the transactions; an error gives the lock back, too. */
	LockRelationIdForSession(&id, ShareUpdateExclusiveLock);
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();

	StartTransactionCommand();
	nvmkv_index_begin_progress(relid, index_oid, true);
	SET_LOCKTAG_RELATION(tag, id.dbId, id.relId);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_PHASE, PROGRESS_CREATEIDX_PHASE_WAIT_1);
	WaitForLockers(tag, ShareLock, true);
	CommitTransactionCommand();

	pgstat_progress_update_param(PROGRESS_CREATEIDX_PHASE, PROGRESS_CREATEIDX_PHASE_BUILD);
	while (fill_step(relid, index_oid, next, &rows))
		CHECK_FOR_INTERRUPTS();
	MemoryContextDelete(context);

	if (becomes_valid)
		open_to_readers(relid, index_oid);
	pgstat_progress_end_command();

	UnlockRelationIdForSession(&id, ShareUpdateExclusiveLock);
	StartTransactionCommand();
}
