/*
 * bulk.c
 *	  Rows that one statement inserts into one table, several at a time.
 *
 * A key is looked at twice.  The first look holds nothing: when a row of an
 * INSERT is made, or for COPY before rows are written.  The first row, in the
 * order in which they came, for which it finds the key taken is written by
 * itself, after those before it: so, as on a heap, who waits or fails has
 * inserted what came before and nothing of what comes after.
 *
 * Rows whose keys are free are written in key order, because the nearer keys
 * are the nearer are their places in the memtable, a chunk at a time: all
 * latches of a chunk, the second look, one record.  It costs nothing where
 * nobody has held the key's latch since the first (latch.h).  Who finds a key
 * taken now writes nothing of the chunk and begins again with the first look.
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
	uint32 generation; /* of its latch, before a look has found the key free; odd: there was none */
	bool written;
	uint64 line;   /* of COPY */
	uint32 offset; /* in bytes: key, then value */
	uint32 key_size;
	uint32 value_size;
} BatchRow;

typedef BatchRow *RowPointer;

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
	uint32 generation; /* of the last look ahead, for the row that is added next */
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
	batch->generation = NVMKV_LATCH_UNKNOWN;
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
	row->written = false;
	row->generation = batch->generation;
	batch->generation = NVMKV_LATCH_UNKNOWN;
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

/* ---------------------------------------------------------------- looking */

/* Is the key free?  If not, *xid_out is whose end it has to wait for, or invalid: it exists. */
static bool
key_is_free(const NvmkvWriteBatch *batch, NvmkvSlice key, TransactionId *xid_out)
{
	static const NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};
	NvmkvRowView view;

	nvmkv_row_view(batch->db, batch->table, key, &query, &view);
	*xid_out = view.state == NVMKV_ROW_WAIT ? view.wait_xid : InvalidTransactionId;
	return view.state != NVMKV_ROW_LIVE && view.state != NVMKV_ROW_WAIT;
}

bool
nvmkv_write_batch_meets(NvmkvWriteBatch *batch, NvmkvSlice key)
{
	uint64 hash;
	uint32 generation;
	TransactionId xid;

	if (batch->table->nkeys == 0)
		return false;
	hash = nvmkv_key_hash(key);
	if (batch->places == NULL)
		batch->places = MemoryContextAllocZero(batch->context, (Size) batch->capacity * 2 * sizeof(uint16));
	if (*find_place(batch, hash) != 0)
		return true;
	generation = nvmkv_latch_generation(hash);
	if (!key_is_free(batch, key, &xid))
		return true;
	batch->generation = generation;
	return false;
}

/* Does the look at the row still tell what there is? */
static bool
look_is_good(const BatchRow *row, uint32 generation)
{
	return row->generation == generation && generation % 2 == 0;
}

/* The first look.  Of these rows, sorted by key, the one added first whose key is not free; NULL: all are. */
static BatchRow *
look_ahead(const NvmkvWriteBatch *batch, const RowPointer *rows, int n)
{
	BatchRow *found = NULL;

	for (int i = 0; i < n; i++)
	{
		BatchRow *row = rows[i];
		uint32 generation = nvmkv_latch_generation(row->hash);
		TransactionId xid;

		if (found != NULL && row > found)
			continue;
		if (i > 0 && slice_equal(row_key(batch, row), row_key(batch, rows[i - 1])))
			found = row;
		else if (!look_is_good(row, generation))
		{
			if (!key_is_free(batch, row_key(batch, row), &xid))
				found = row;
			else
				row->generation = generation;
		}
	}
	return found;
}

/* ---------------------------------------------------------------- writing */

static void
raise_duplicate(const NvmkvWriteBatch *batch, const BatchRow *row)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(batch->rel), &TTSOpsVirtual);

	/* A serializable transaction would rather hear that it cannot be serialized. */
	nvmkv_write_check_serializable(batch->rel, row_key(batch, row));
	nvmkv_row_to_slot(batch->table, row_key(batch, row), row_value(batch, row), slot);
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
	NvmkvLatchSet latches;
	bool written;

	nvmkv_latch_set_init(&latches);
	for (int i = 0; i < n; i++)
		nvmkv_latch_set_add(&latches, rows[i]->hash);
	nvmkv_latch_set_acquire(&latches);
	for (int i = 0; i < n; i++)
	{
		if (!look_is_good(rows[i], nvmkv_latch_generation_before(rows[i]->hash)) &&
			!key_is_free(batch, row_key(batch, rows[i]), xid_out))
		{
			nvmkv_latch_set_release(&latches);
			return CHUNK_TAKEN;
		}
	}

	nvmkv_write_begin();
	for (int i = 0; i < n; i++)
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, row_key(batch, rows[i]), batch->fxid, batch->cid,
						row_value(batch, rows[i]));
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
			nvmkv_write_check_serializable(batch->rel, row_key(batch, rows[i]));
	}
}

/* Writes a row, once its key is free; 23505 if it is not going to be. */
static void
write_row(NvmkvWriteBatch *batch, BatchRow *row)
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
			nvmkv_write_wait_xid(batch->rel, row_key(batch, row), xid, XLTW_InsertIndex);
		else
			raise_duplicate(batch, row);
	}
	note_written(batch, &row, 1);
}

/* Rows of the next chunk. */
static int
chunk_size(const RowPointer *rows, int n, Size *bytes_out)
{
	int count = 0;

	*bytes_out = 0;
	while (count < n && count < CHUNK_ROWS)
	{
		Size bytes = rows[count]->key_size + rows[count]->value_size + BATCH_ENTRY_OVERHEAD;

		if (count > 0 && *bytes_out + bytes > CHUNK_BYTES)
			break;
		*bytes_out += bytes;
		count++;
	}
	return count;
}

/* Writes rows that were found free.  Somebody may have been faster: then not all of them. */
static void
write_free_rows(NvmkvWriteBatch *batch, const RowPointer *rows, int n)
{
	while (n > 0)
	{
		TransactionId xid;
		Size bytes;
		int count = chunk_size(rows, n, &bytes);

		CHECK_FOR_INTERRUPTS();
		nvmkv_write_wait_turn(batch->table, batch->rel, bytes);
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

static void
write_keyed_rows(NvmkvWriteBatch *batch)
{
	RowPointer rows[BATCH_ROWS];
	int n;

	while ((n = unwritten_rows(batch, rows)) > 0)
	{
		BatchRow *first = rows[0];
		BatchRow *taken = first;

		if (n > 1)
		{
			sort_rows(rows, (size_t) n, batch);
			taken = look_ahead(batch, rows, n);
		}
		if (taken != NULL)
		{
			int before = 0;

			for (int i = 0; i < n; i++)
			{
				if (rows[i] < taken)
					rows[before++] = rows[i];
			}
			n = before;
		}
		if (taken == first)
			write_row(batch, first);
		else
			write_free_rows(batch, rows, n);
	}
}

/* Fresh row ids meet nobody: no latch, no look. */
static void
write_rowid_chunk(NvmkvWriteBatch *batch, const RowPointer *rows, int n, ItemPointerData *tids)
{
	uint64 rowid = nvmkv_rowid_allocate((uint32) n);

	nvmkv_write_begin();
	for (int i = 0; i < n; i++)
	{
		nvmkv_key_from_rowid(batch->table, &batch->rowid_key, rowid + (uint64) i);
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, nvmkv_buffer_slice(&batch->rowid_key), batch->fxid, batch->cid,
						row_value(batch, rows[i]));
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

static void
write_rows_without_key(NvmkvWriteBatch *batch, ItemPointerData *tids)
{
	RowPointer rows[BATCH_ROWS];
	int n = unwritten_rows(batch, rows);

	for (int next = 0; next < n;)
	{
		Size bytes;
		int count = chunk_size(rows + next, n - next, &bytes);

		CHECK_FOR_INTERRUPTS();
		nvmkv_write_wait_turn(batch->table, batch->rel, bytes);
		write_rowid_chunk(batch, rows + next, count, tids);
		next += count;
	}
}

static void
forget_rows(NvmkvWriteBatch *batch)
{
	batch->count = 0;
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
	if (batch->table->nkeys > 0)
		write_keyed_rows(batch);
	else
		write_rows_without_key(batch, tids);
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
