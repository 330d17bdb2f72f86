/*
 * bulkwrite.c
 *	  Rows that one statement inserts into one table, written several at a time.
 *
 * A key is looked at twice.  The first look holds nothing: when a row of an
 * INSERT is made, or for COPY before rows are written.  The first row, in the
 * order in which they came, for which it finds the key taken is written by
 * itself, after those before it: so, as on a heap, who waits or fails has
 * inserted what came before and nothing of what comes after.
 *
 * Rows whose keys are free are written a chunk at a time: all latches of a
 * chunk, the second look, one record.  It costs nothing where nobody has held
 * the key's latch since the first (latch.h).  Who finds a key taken now writes
 * nothing of the chunk and begins again with the first look.  For the same
 * reason as above chunks are taken in the order in which the rows came; within
 * one they are in key order, because the nearer keys are the nearer are their
 * places in the memtable.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "fdw/host/latch.h"
#include "fdw/host/rowid.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/txn/bulkrows.h"
#include "fdw/txn/bulkwrite.h"
#include "fdw/txn/conflict.h"
#include "fdw/txn/entries.h"
#include "fdw/txn/write.h"

/* A chunk ends at this many rows or bytes; one row may be larger. */
#define CHUNK_ROWS NVMKV_LATCH_SET_MAX
#define CHUNK_BYTES (128 * 1024)

typedef NvmkvBulkRow *RowPointer;

static inline int
compare_rows(const NvmkvBulkRow *a, const NvmkvBulkRow *b, const NvmkvWriteBatch *batch)
{
	int c;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	c = slice_compare(nvmkv_bulk_key(batch, a), nvmkv_bulk_key(batch, b));
	if (c != 0)
		return c;
	return a < b ? -1 : 1;
}

#define ST_SORT sort_rows
#define ST_ELEMENT_TYPE RowPointer
#define ST_COMPARE(a, b, arg) compare_rows(*(a), *(b), arg)
#define ST_COMPARE_ARG_TYPE const NvmkvWriteBatch
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* ---------------------------------------------------------------- looking */

bool
nvmkv_bulk_key_is_free(const NvmkvWriteBatch *batch, NvmkvSlice key, TransactionId *xid_out)
{
	static const NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};
	NvmkvRowView view;

	nvmkv_row_view(batch->db, batch->table, key, &query, &view);
	*xid_out = view.state == NVMKV_ROW_WAIT ? view.wait_xid : InvalidTransactionId;
	return view.state != NVMKV_ROW_LIVE && view.state != NVMKV_ROW_WAIT;
}

/* Does the look at the row still tell what there is? */
static bool
look_is_good(const NvmkvBulkRow *row, uint32 generation)
{
	return row->generation == generation && generation % 2 == 0;
}

/* The first look.  Of these rows, sorted by key, the one added first whose key is not free; NULL: all are. */
static NvmkvBulkRow *
look_ahead(const NvmkvWriteBatch *batch, const RowPointer *rows, int n)
{
	NvmkvBulkRow *found = NULL;

	for (int i = 0; i < n; i++)
	{
		NvmkvBulkRow *row = rows[i];
		uint32 generation = nvmkv_latch_generation(row->hash);
		TransactionId xid;

		if (found != NULL && row > found)
			continue;
		if (i > 0 && slice_equal(nvmkv_bulk_key(batch, row), nvmkv_bulk_key(batch, rows[i - 1])))
			found = row;
		else if (!look_is_good(row, generation))
		{
			if (!nvmkv_bulk_key_is_free(batch, nvmkv_bulk_key(batch, row), &xid))
				found = row;
			else
				row->generation = generation;
		}
	}
	return found;
}

/* ---------------------------------------------------------------- writing */

static void
raise_duplicate(const NvmkvWriteBatch *batch, const NvmkvBulkRow *row)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(batch->rel), &TTSOpsVirtual);

	/* A serializable transaction would rather hear that it cannot be serialized. */
	nvmkv_write_check_serializable(batch->rel, nvmkv_bulk_key(batch, row));
	nvmkv_row_to_slot(batch->table, nvmkv_bulk_key(batch, row), nvmkv_bulk_value(batch, row), slot);
	nvmkv_write_duplicate(batch->table, batch->rel, slot);
}

typedef enum ChunkResult
{
	CHUNK_WRITTEN,
	CHUNK_NO_ROOM,
	CHUNK_TAKEN /* a key is not free: of the transaction *xid_out, or it exists */
} ChunkResult;

/* The second look, and the record; nothing is waited for. */
static ChunkResult
try_chunk(NvmkvWriteBatch *batch, const RowPointer *rows, int n, TransactionId *xid_out)
{
	NvmkvSlice none = nvmkv_slice(NULL, 0);
	NvmkvLatchSet latches;
	bool written;

	nvmkv_latch_set_init(&latches);
	for (int i = 0; i < n; i++)
		nvmkv_latch_set_add(&latches, rows[i]->hash);
	nvmkv_latch_set_acquire(&latches);
	for (int i = 0; i < n; i++)
	{
		if (!look_is_good(rows[i], nvmkv_latch_generation_before(rows[i]->hash)) &&
			!nvmkv_bulk_key_is_free(batch, nvmkv_bulk_key(batch, rows[i]), xid_out))
		{
			nvmkv_latch_set_release(&latches);
			return CHUNK_TAKEN;
		}
	}

	nvmkv_write_begin();
	for (int i = 0; i < n; i++)
		nvmkv_entries_put(none, nvmkv_bulk_entries(batch, rows[i]), batch->fxid, batch->cid);
	for (int i = 0; i < n; i++)
	{
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, nvmkv_bulk_key(batch, rows[i]), batch->fxid, batch->cid,
						nvmkv_bulk_value(batch, rows[i]));
		nvmkv_write_tell(batch->table, NVMKV_CHANGE_INSERT, batch->fxid, none, none);
	}
	written = nvmkv_write_finish(batch->db, batch->rel);
	nvmkv_latch_set_release(&latches);
	return written ? CHUNK_WRITTEN : CHUNK_NO_ROOM;
}

static void
note_written(const NvmkvWriteBatch *batch, const RowPointer *rows, int n)
{
	for (int i = 0; i < n; i++)
		rows[i]->written = true;
	if (IsolationIsSerializable())
	{
		for (int i = 0; i < n; i++)
			nvmkv_write_check_serializable(batch->rel, nvmkv_bulk_key(batch, rows[i]));
	}
}

/* Writes a row, once its key is free; 23505 if it is not going to be. */
static void
write_row(NvmkvWriteBatch *batch, NvmkvBulkRow *row)
{
	TransactionId xid = InvalidTransactionId;
	ChunkResult result;

	if (batch->copy != NULL)
		nvmkv_copyfrom_set_line(batch->copy, row->line);
	while ((result = try_chunk(batch, &row, 1, &xid)) != CHUNK_WRITTEN)
	{
		if (result == CHUNK_NO_ROOM)
			nvmkv_write_wait_room(batch->db, batch->rel);
		else if (TransactionIdIsValid(xid))
			nvmkv_write_wait_xid(batch->rel, nvmkv_bulk_key(batch, row), xid, XLTW_InsertIndex);
		else
			raise_duplicate(batch, row);
	}
	note_written(batch, &row, 1);
}

/* Rows of the next chunk. */
static int
chunk_size(const NvmkvWriteBatch *batch, const RowPointer *rows, int n, Size *bytes_out)
{
	int count = 0;

	*bytes_out = 0;
	while (count < n && count < CHUNK_ROWS)
	{
		Size bytes = rows[count]->key_size + rows[count]->value_size + BATCH_ENTRY_OVERHEAD +
			nvmkv_entries_record_bytes(nvmkv_bulk_entries(batch, rows[count]));

		if (count > 0 && *bytes_out + bytes > CHUNK_BYTES)
			break;
		*bytes_out += bytes;
		count++;
	}
	return count;
}

/* Writes rows, in order of addition, that were found free.  Somebody may have been faster: then not all of them. */
static void
write_free_rows(NvmkvWriteBatch *batch, RowPointer *rows, int n)
{
	while (n > 0)
	{
		TransactionId xid;
		Size bytes;
		int count = chunk_size(batch, rows, n, &bytes);

		CHECK_FOR_INTERRUPTS();
		nvmkv_write_wait_turn(batch->table, batch->rel, bytes);
		sort_rows(rows, (size_t) count, batch);
		switch (try_chunk(batch, rows, count, &xid))
		{
			case CHUNK_TAKEN:
				return;
			case CHUNK_NO_ROOM:
				nvmkv_write_wait_room(batch->db, batch->rel);
				break;
			case CHUNK_WRITTEN:
				note_written(batch, rows, count);
				rows += count;
				n -= count;
				break;
		}
	}
}

/* In order of addition; all of them unless a flush was interrupted. */
static int
unwritten_rows(NvmkvWriteBatch *batch, RowPointer *rows)
{
	int n = 0;

	for (int i = 0; i < batch->count; i++)
	{
		if (!batch->rows[i].written)
			rows[n++] = &batch->rows[i];
	}
	return n;
}

void
nvmkv_bulk_write_keyed(NvmkvWriteBatch *batch)
{
	RowPointer rows[NVMKV_BULK_ROWS];
	RowPointer sorted[NVMKV_BULK_ROWS];
	int n;

	while ((n = unwritten_rows(batch, rows)) > 0)
	{
		NvmkvBulkRow *taken = rows[0];

		if (n > 1)
		{
			memcpy(sorted, rows, sizeof(RowPointer) * (size_t) n);
			sort_rows(sorted, (size_t) n, batch);
			taken = look_ahead(batch, sorted, n);
		}
		if (taken == rows[0])
			write_row(batch, taken);
		else
		{
			int before = 0;

			while (before < n && (taken == NULL || rows[before] < taken))
				before++;
			write_free_rows(batch, rows, before);
		}
	}
}

/* Fresh row ids meet nobody: no latch, no look. */
static void
write_rowid_chunk(NvmkvWriteBatch *batch, const RowPointer *rows, int n, ItemPointerData *tids)
{
	uint64 rowid = nvmkv_rowid_allocate((uint32) n);
	NvmkvSlice none = nvmkv_slice(NULL, 0);

	nvmkv_write_begin();
	for (int i = 0; i < n; i++)
	{
		NvmkvSlice entries = nvmkv_bulk_entries(batch, rows[i]);

		nvmkv_entries_set_rowid(entries, rowid + (uint64) i);
		nvmkv_entries_put(none, entries, batch->fxid, batch->cid);
		nvmkv_key_from_rowid(batch->table, &batch->rowid_key, rowid + (uint64) i);
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, nvmkv_buffer_slice(&batch->rowid_key), batch->fxid, batch->cid,
						nvmkv_bulk_value(batch, rows[i]));
		nvmkv_write_tell(batch->table, NVMKV_CHANGE_INSERT, batch->fxid, none, none);
		if (tids != NULL)
			nvmkv_rowid_to_tid(rowid + (uint64) i, &tids[rows[i] - batch->rows]);
	}
	while (!nvmkv_write_finish(batch->db, batch->rel))
		nvmkv_write_wait_room(batch->db, batch->rel);
	for (int i = 0; i < n; i++)
	{
		rows[i]->written = true;
		nvmkv_key_from_rowid(batch->table, &batch->rowid_key, rowid + (uint64) i);
		nvmkv_write_check_serializable(batch->rel, nvmkv_buffer_slice(&batch->rowid_key));
	}
}

void
nvmkv_bulk_write_without_key(NvmkvWriteBatch *batch, ItemPointerData *tids)
{
	RowPointer rows[NVMKV_BULK_ROWS];
	int n = unwritten_rows(batch, rows);

	for (int next = 0; next < n;)
	{
		Size bytes;
		int count = chunk_size(batch, rows + next, n - next, &bytes);

		CHECK_FOR_INTERRUPTS();
		nvmkv_write_wait_turn(batch->table, batch->rel, bytes);
		write_rowid_chunk(batch, rows + next, count, tids);
		next += count;
	}
}
