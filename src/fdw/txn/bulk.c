/*
 * bulk.c
 *	  Rows that one statement inserts into one table, several at a time.
 *
 * They are written in the order in which they came, a chunk at a time: all
 * latches of a chunk, a look at all its keys, one record.  Where a row has to
 * wait, or must not be inserted, those before it are written, and it is the
 * first of the next chunk: as on a heap, who waits has inserted what came before
 * and nothing of what comes after.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/tuptable.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/rowid.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/txn/bulk.h"

/* A chunk ends at this many rows or bytes; one row may be larger. */
#define CHUNK_ROWS NVMKV_LATCH_SET_MAX
#define CHUNK_BYTES (128 * 1024)

/* A batch wants to be flushed at this many rows or bytes. */
#define BATCH_ROWS 1024
#define BATCH_ROWS_FIRST 128
#define BATCH_BYTES (256 * 1024)

/* Memory for rows that is kept between flushes. */
#define KEPT_BYTES (1024 * 1024)

typedef struct BatchRow
{
	uint64 prefix; /* first key bytes after the storage id: decides most comparisons */
	uint64 hash;   /* nvmkv_key_hash */
	uint64 line;   /* of COPY */
	uint32 offset; /* in bytes: key, then value */
	uint32 key_size;
	uint32 value_size;
} BatchRow;

typedef const BatchRow *RowPointer;

struct NvmkvWriteBatch
{
	Relation rel;
	const NvmkvTable *table;
	NvmkvDb *db;
	FullTransactionId fxid; /* of the statement, fixed by the first row: a flush may come from within a function */
	CommandId cid;
	StringInfoData bytes;
	StringInfoData rowid_key;
	int count;
	int written;  /* rows of a flush that was interrupted and may be taken up again */
	int capacity; /* of rows */
	BatchRow *rows;
	uint16 *places; /* hash table of rows by key hash: number of the row and 1, or 0; twice the capacity */
	MemoryContext context;
	NvmkvCopyFrom *copy;
	bool deferred;
	SubTransactionId subid; /* that it was deferred in */
	dlist_node link;		/* in deferred_batches */
};

static dlist_head deferred_batches = DLIST_STATIC_INIT(deferred_batches);

static inline NvmkvSlice
row_key(const NvmkvWriteBatch *batch, const BatchRow *row)
{
	return nvmkv_slice(batch->bytes.data + row->offset, row->key_size);
}

static inline NvmkvSlice
row_value(const NvmkvWriteBatch *batch, const BatchRow *row)
{
	return nvmkv_slice(batch->bytes.data + row->offset + row->key_size, row->value_size);
}

static inline int
compare_rows(const BatchRow *a, const BatchRow *b, const NvmkvWriteBatch *batch)
{
	int c;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	c = slice_compare(row_key(batch, a), row_key(batch, b));
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

/* ---------------------------------------------------------------- collecting */

NvmkvWriteBatch *
nvmkv_write_batch_create(Relation rel, const NvmkvTable *table, CommandId cid)
{
	NvmkvWriteBatch *batch = palloc(sizeof(NvmkvWriteBatch));

	batch->rel = rel;
	batch->table = table;
	batch->db = nvmkv_engine_of(table->storage_id);
	batch->fxid = InvalidFullTransactionId;
	batch->cid = cid;
	initStringInfo(&batch->bytes);
	initStringInfo(&batch->rowid_key);
	batch->count = 0;
	batch->written = 0;
	batch->capacity = BATCH_ROWS_FIRST;
	batch->rows = palloc(BATCH_ROWS_FIRST * sizeof(BatchRow));
	batch->places = NULL;
	batch->context = CurrentMemoryContext;
	batch->copy = NULL;
	batch->deferred = false;
	return batch;
}

static uint64
key_prefix(NvmkvSlice key)
{
	uint64 prefix = 0;
	size_t size;

	if (key.size <= NVMKV_STORAGE_ID_BYTES)
		return 0;
	size = Min(key.size - NVMKV_STORAGE_ID_BYTES, sizeof(prefix));
	memcpy(&prefix, key.data + NVMKV_STORAGE_ID_BYTES, size);
	return pg_ntoh64(prefix);
}

/* Where in places a row with this hash is, or would be. */
static uint16 *
find_place(const NvmkvWriteBatch *batch, uint64 hash)
{
	uint32 mask = (uint32) batch->capacity * 2 - 1;
	uint32 i = (uint32) (hash >> 32) & mask;

	while (batch->places[i] != 0 && batch->rows[batch->places[i] - 1].hash != hash)
		i = (i + 1) & mask;
	return &batch->places[i];
}

static void
enlarge(NvmkvWriteBatch *batch)
{
	batch->capacity *= 2;
	batch->rows = repalloc(batch->rows, (Size) batch->capacity * sizeof(BatchRow));
	if (batch->places == NULL)
		return;
	pfree(batch->places);
	batch->places = MemoryContextAllocZero(batch->context, (Size) batch->capacity * 2 * sizeof(uint16));
	for (int i = 0; i < batch->count; i++)
		*find_place(batch, batch->rows[i].hash) = (uint16) (i + 1);
}

bool
nvmkv_write_batch_add(NvmkvWriteBatch *batch, NvmkvSlice key, NvmkvSlice value)
{
	BatchRow *row;

	Assert(batch->count < BATCH_ROWS);
	if (batch->count == 0)
		batch->fxid = GetCurrentFullTransactionId();
	if (batch->count == batch->capacity)
		enlarge(batch);
	row = &batch->rows[batch->count];
	row->offset = (uint32) batch->bytes.len;
	row->key_size = batch->table->nkeys > 0 ? (uint32) key.size : 0;
	row->value_size = (uint32) value.size;
	row->line = batch->copy != NULL ? nvmkv_copyfrom_line(batch->copy) : 0;
	if (row->key_size > 0)
	{
		row->prefix = key_prefix(key);
		row->hash = nvmkv_key_hash(key);
	}
	appendBinaryStringInfoNT(&batch->bytes, (const char *) key.data, (int) row->key_size);
	appendBinaryStringInfoNT(&batch->bytes, (const char *) value.data, (int) row->value_size);
	batch->count++;
	if (batch->places != NULL)
		*find_place(batch, row->hash) = (uint16) batch->count;
	return batch->count == BATCH_ROWS || batch->bytes.len >= BATCH_BYTES;
}

int
nvmkv_write_batch_count(const NvmkvWriteBatch *batch)
{
	return batch->count;
}

/* ---------------------------------------------------------------- writing */

static const NvmkvRowQuery newest = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};

static bool
must_wait_or_fail(const NvmkvRowView *view)
{
	return view->state == NVMKV_ROW_LIVE || view->state == NVMKV_ROW_WAIT;
}

bool
nvmkv_write_batch_meets(NvmkvWriteBatch *batch, NvmkvSlice key)
{
	NvmkvRowView view;

	if (batch->table->nkeys == 0)
		return false;
	if (batch->places == NULL)
		batch->places = MemoryContextAllocZero(batch->context, (Size) batch->capacity * 2 * sizeof(uint16));
	if (batch->count > 0 && *find_place(batch, nvmkv_key_hash(key)) != 0)
		return true;
	nvmkv_row_view(batch->db, batch->table, key, &newest, &view);
	return must_wait_or_fail(&view);
}

static void
raise_duplicate(const NvmkvWriteBatch *batch, const BatchRow *row)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(batch->rel), &TTSOpsVirtual);

	/* A serializable transaction would rather hear that it cannot be serialized. */
	nvmkv_write_check_serializable(batch->rel, row_key(batch, row));
	nvmkv_row_to_slot(batch->table, row_key(batch, row), row_value(batch, row), slot);
	nvmkv_write_duplicate(batch->table, batch->rel, slot);
}

/* Rows of the next chunk, from "first" on. */
static int
chunk_size(const NvmkvWriteBatch *batch, int first, Size *bytes_out)
{
	Size bytes = 0;
	int n = 0;

	while (first + n < batch->count && n < CHUNK_ROWS)
	{
		const BatchRow *row = &batch->rows[first + n];

		bytes += row->key_size + row->value_size + BATCH_ENTRY_OVERHEAD;
		if (n > 0 && bytes > CHUNK_BYTES)
			break;
		n++;
		*bytes_out = bytes;
	}
	return n;
}

/*
 * Of these rows, sorted by key, the first one to be written that must not be, and why; NULL: all may be.  REQUIRES their
 * latches.
 */
static const BatchRow *
find_obstacle(const NvmkvWriteBatch *batch, const RowPointer *rows, int n, TransactionId *xid_out)
{
	const BatchRow *found = NULL;

	for (int i = 0; i < n; i++)
	{
		const BatchRow *row = rows[i];
		bool repeated = i > 0 && slice_equal(row_key(batch, row), row_key(batch, rows[i - 1]));
		NvmkvRowView view;

		if (found != NULL && row > found)
			continue;
		nvmkv_row_view(batch->db, batch->table, row_key(batch, row), &newest, &view);
		if (!repeated && !must_wait_or_fail(&view))
			continue;
		found = row;
		*xid_out = !repeated && view.state == NVMKV_ROW_WAIT ? view.wait_xid : InvalidTransactionId;
	}
	return found;
}

/* Writes n rows from "first" on, or as many as there are before one that has to wait or to fail.  How many it were. */
static int
write_keyed_chunk(NvmkvWriteBatch *batch, int first, int n)
{
	RowPointer rows[CHUNK_ROWS];

	for (;;)
	{
		NvmkvLatchSet latches;
		const BatchRow *obstacle;
		TransactionId xid = InvalidTransactionId;
		bool written;

		nvmkv_latch_set_init(&latches);
		for (int i = 0; i < n; i++)
		{
			rows[i] = &batch->rows[first + i];
			nvmkv_latch_set_add(&latches, rows[i]->hash);
		}
		sort_rows(rows, (size_t) n, batch);
		nvmkv_latch_set_acquire(&latches);

		obstacle = find_obstacle(batch, rows, n, &xid);
		if (obstacle != NULL)
		{
			int before = (int) (obstacle - &batch->rows[first]);

			nvmkv_latch_set_release(&latches);
			if (before > 0)
			{
				n = before;
				continue;
			}
			if (batch->copy != NULL)
				nvmkv_copyfrom_set_line(batch->copy, obstacle->line);
			if (!TransactionIdIsValid(xid))
				raise_duplicate(batch, obstacle);
			nvmkv_write_wait_xid(batch->rel, row_key(batch, obstacle), xid, XLTW_InsertIndex);
			continue;
		}

		nvmkv_write_begin();
		for (int i = 0; i < n; i++)
			nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, row_key(batch, rows[i]), batch->fxid, batch->cid,
							row_value(batch, rows[i]));
		written = nvmkv_write_finish(batch->db, batch->rel);
		nvmkv_latch_set_release(&latches);
		if (written)
			break;
		nvmkv_write_wait_room(batch->db, batch->rel);
	}

	if (IsolationIsSerializable())
	{
		for (int i = first; i < first + n; i++)
			nvmkv_write_check_serializable(batch->rel, row_key(batch, &batch->rows[i]));
	}
	return n;
}

/* Fresh row ids meet nobody: no latch, no look. */
static void
write_rowid_chunk(NvmkvWriteBatch *batch, int first, int n, ItemPointerData *tids)
{
	uint64 rowid = nvmkv_rowid_allocate((uint32) n);

	nvmkv_write_begin();
	for (int i = 0; i < n; i++)
	{
		nvmkv_key_from_rowid(batch->table, &batch->rowid_key, rowid + (uint64) i);
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, nvmkv_buffer_slice(&batch->rowid_key), batch->fxid, batch->cid,
						row_value(batch, &batch->rows[first + i]));
		if (tids != NULL)
			nvmkv_rowid_to_tid(rowid + (uint64) i, &tids[first + i]);
	}
	while (!nvmkv_write_finish(batch->db, batch->rel))
		nvmkv_write_wait_room(batch->db, batch->rel);

	if (IsolationIsSerializable())
	{
		for (int i = 0; i < n; i++)
		{
			nvmkv_key_from_rowid(batch->table, &batch->rowid_key, rowid + (uint64) i);
			nvmkv_write_check_serializable(batch->rel, nvmkv_buffer_slice(&batch->rowid_key));
		}
	}
}

static void
forget_rows(NvmkvWriteBatch *batch)
{
	batch->count = 0;
	batch->written = 0;
	if (batch->places != NULL)
		memset(batch->places, 0, (Size) batch->capacity * 2 * sizeof(uint16));
	if (batch->bytes.maxlen > KEPT_BYTES)
	{
		/* A huge value came by. */
		MemoryContext old_context = MemoryContextSwitchTo(batch->context);

		pfree(batch->bytes.data);
		initStringInfo(&batch->bytes);
		MemoryContextSwitchTo(old_context);
	}
	else
		resetStringInfo(&batch->bytes);
}

void
nvmkv_write_batch_flush(NvmkvWriteBatch *batch, ItemPointerData *tids)
{
	NvmkvCopyLine saved;

	if (batch->count == 0)
		return;

	/*
	 * A log record names the transaction that writes it, and recovery gives out only ids above those it has met.  In
	 * a subtransaction without an id of its own the record would name none, and the statement's id could be given out
	 * again.
	 */
	(void) GetCurrentFullTransactionId();
	if (batch->copy != NULL)
		nvmkv_copyfrom_begin_writing(batch->copy, &saved);
	while (batch->written < batch->count)
	{
		Size bytes = 0;
		int n = chunk_size(batch, batch->written, &bytes);

		CHECK_FOR_INTERRUPTS();
		nvmkv_write_wait_turn(batch->table, batch->rel, bytes);
		if (batch->table->nkeys > 0)
			n = write_keyed_chunk(batch, batch->written, n);
		else
			write_rowid_chunk(batch, batch->written, n, tids);
		batch->written += n;
	}
	if (batch->copy != NULL)
		nvmkv_copyfrom_end_writing(batch->copy, &saved);
	forget_rows(batch);
}

/* ---------------------------------------------------------------- deferred batches */

void
nvmkv_write_batch_defer(NvmkvWriteBatch *batch, NvmkvCopyFrom *copy)
{
	Assert(!batch->deferred);
	batch->deferred = true;
	batch->copy = copy;
	batch->subid = GetCurrentSubTransactionId();
	dlist_push_tail(&deferred_batches, &batch->link);
}

void
nvmkv_write_batch_undefer(NvmkvWriteBatch *batch)
{
	if (!batch->deferred)
		return;
	dlist_delete(&batch->link);
	batch->deferred = false;
}

void
nvmkv_write_flush_copy(const NvmkvCopyFrom *copy)
{
	dlist_iter iter;

	dlist_foreach(iter, &deferred_batches)
	{
		NvmkvWriteBatch *batch = dlist_container(NvmkvWriteBatch, link, iter.cur);

		if (batch->copy != copy)
			continue;
		nvmkv_write_batch_flush(batch, NULL);
		batch->copy->rows = 0;
		batch->copy->bytes = 0;
	}
}

void
nvmkv_write_flush_deferred(void)
{
	dlist_iter iter;

	dlist_foreach(iter, &deferred_batches)
	{
		NvmkvWriteBatch *batch = dlist_container(NvmkvWriteBatch, link, iter.cur);

		if (batch->count > 0 && (batch->copy == NULL || nvmkv_copyfrom_shows_rows(batch->copy)))
			nvmkv_write_batch_flush(batch, NULL);
	}
}

NvmkvCopyFrom *
nvmkv_write_find_copy(const struct CopyFromStateData *state)
{
	dlist_iter iter;

	dlist_foreach(iter, &deferred_batches)
	{
		NvmkvWriteBatch *batch = dlist_container(NvmkvWriteBatch, link, iter.cur);

		if (batch->copy != NULL && batch->copy->state == state)
			return batch->copy;
	}
	return NULL;
}

void
nvmkv_write_abort(SubTransactionId subid)
{
	dlist_mutable_iter iter;

	if (subid == InvalidSubTransactionId)
	{
		dlist_init(&deferred_batches);
		return;
	}
	dlist_foreach_modify(iter, &deferred_batches)
	{
		NvmkvWriteBatch *batch = dlist_container(NvmkvWriteBatch, link, iter.cur);

		if (batch->subid == subid)
			nvmkv_write_batch_undefer(batch);
	}
}

void
nvmkv_write_subcommit(SubTransactionId subid, SubTransactionId parent)
{
	dlist_iter iter;

	dlist_foreach(iter, &deferred_batches)
	{
		NvmkvWriteBatch *batch = dlist_container(NvmkvWriteBatch, link, iter.cur);

		if (batch->subid == subid)
			batch->subid = parent;
	}
}

bool
nvmkv_write_nothing_deferred(void)
{
	return dlist_is_empty(&deferred_batches);
}
