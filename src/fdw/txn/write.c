/*
 * write.c
 *	  Entries of the current transaction, on their way into the engine.
 *
 * One call of nvmkv_write makes one log record, so rows travel in chunks.
 * Each chunk goes through the write protocol:
 *	  latch the keys' stripes; look at the newest versions; write; unlatch.
 * Whatever may take long - another transaction's end, room in a memtable - is
 * waited for with no latch held, and then the look is taken again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/index.h"
#include "executor/tuptable.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/predicate.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/rowid.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/txn/write.h"

/* A chunk ends at this many rows or bytes; one row may be larger. */
#define CHUNK_ROWS NVMKV_LATCH_SET_MAX
#define CHUNK_BYTES (128 * 1024)

/*
 * A batch wants to be flushed at this many rows or bytes.  The more rows are sorted together, the nearer are the
 * places in the memtable that the rows of a chunk go to.
 */
#define BATCH_ROWS 4096
#define BATCH_ROWS_FIRST 128
#define BATCH_BYTES (1024 * 1024)

/* Memory of the record buffer that is kept between writes. */
#define KEPT_RECORD_BYTES (1024 * 1024)

/* ---------------------------------------------------------------- single decisions */

/*
 * The record being collected.  Its memory is malloc'd by the engine and survives errors; nvmkv_write_begin empties
 * it.
 */
static NvmkvBatch record;

static const char *
object_name(Relation rel)
{
	return rel != NULL ? RelationGetRelationName(rel) : NULL;
}

void
nvmkv_write_begin(void)
{
	if (record.bytes.capacity > KEPT_RECORD_BYTES)
		nvmkv_batch_free(&record);
	nvmkv_batch_clear(&record);
}

void
nvmkv_write_put(unsigned type, NvmkvSlice key, FullTransactionId fxid, CommandId cid, NvmkvSlice value)
{
	nvmkv_batch_family(&record, nvmkv_family_of_key(key));
	nvmkv_check_status(nvmkv_batch_put_tagged(&record, type, key, U64FromFullTransactionId(fxid), cid, value),
					   "collecting rows to write", NULL);
}

/* A record is in one memtable, whole.  Only a row that makes a record by itself can be too large. */
static void
record_too_large(NvmkvDb *db, Relation rel)
{
	const char *hint = rel != NULL ? nvmkv_family_larger_buffer(rel) : NULL;

	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 rel != NULL ? errmsg("row of foreign table \"%s\" does not fit into a memtable", RelationGetRelationName(rel))
						 : errmsg("record does not fit into a memtable"),
			 errdetail("It takes %zu bytes, a memtable holds %zu.", record.memtable_bytes, nvmkv_batch_bytes_max(db)),
			 hint != NULL ? errhint("%s", hint) : 0));
}

bool
nvmkv_write_finish(NvmkvDb *db, Relation rel)
{
	uint64_t last_sequence;
	NvmkvStatus status = nvmkv_write(db, &record, &last_sequence);

	if (status == NVMKV_BUSY)
		return false;
	if (status == NVMKV_LIMIT && record.memtable_bytes > nvmkv_batch_bytes_max(db))
		record_too_large(db, rel);
	nvmkv_check_status(status, "writing foreign table", object_name(rel));
	return true;
}

/*
 * While writers are slowed down: waits for the turn of so many bytes before latches are taken, so that nobody has to
 * look twice.  Merely spares nvmkv_write_wait_room, which does the same and more.
 */
static void
wait_turn(const NvmkvTable *table, Relation rel, Size bytes)
{
	NvmkvDb *family = nvmkv_engine_of_or_null(table->storage_id);
	NvmkvStatus status = family != NULL ? nvmkv_wait_turn(family, bytes) : NVMKV_OK;

	if (status == NVMKV_CANCELLED)
		nvmkv_check_status(status, "writing foreign table", object_name(rel));
}

void
nvmkv_write_wait_room(NvmkvDb *db, Relation rel)
{
	NvmkvStatus status;

	do
	{
		CHECK_FOR_INTERRUPTS();
		(void) nvmkv_engine(); /* waits while writers are kept out */
		status = nvmkv_wait_room(db, record.memtable_bytes);
	} while (status == NVMKV_READ_ONLY && nvmkv_engine_writes_are_closed());
	nvmkv_check_status(status, "writing foreign table", object_name(rel));
}

void
nvmkv_write_check_serializable(Relation rel, NvmkvSlice key)
{
	/*
	 * Readers take no latch, so the check comes after the write: a reader that noted its interest before is found here,
	 * one that comes later finds the version.
	 */
	if (IsolationIsSerializable())
		CheckForSerializableConflictIn(rel, NULL, nvmkv_key_hash_to_page(nvmkv_key_hash(key)));
}

void
nvmkv_write_wait_xid(Relation rel, NvmkvSlice key, TransactionId xid, XLTW_Oper oper)
{
	ItemPointerData tid;

	nvmkv_key_hash_to_tid(nvmkv_key_hash(key), &tid);
	XactLockTableWait(xid, rel, &tid, oper);
}

void
nvmkv_write_duplicate(const NvmkvTable *table, Relation rel, TupleTableSlot *slot)
{
	char *description = nvmkv_key_description(table, rel, slot);

	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate key value violates unique constraint \"%s\"", table->key_name),
			 description != NULL ? errdetail("Key %s already exists.", description) : 0,
			 errtableconstraint(rel, table->key_name)));
}

/* ---------------------------------------------------------------- bulk inserts */

typedef struct BatchRow
{
	uint64 prefix; /* first key bytes after the storage id: decides most comparisons */
	uint32 offset; /* in bytes: key, then value */
	uint32 key_size;
	uint32 value_size;
	int32 ordinal; /* in order of addition */
} BatchRow;

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
	int written; /* rows of a flush that was interrupted and may be taken up again */
	int capacity; /* of rows */
	BatchRow *rows;
	MemoryContext context;
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
	return a->ordinal < b->ordinal ? -1 : 1;
}

#define ST_SORT sort_rows
#define ST_ELEMENT_TYPE BatchRow
#define ST_COMPARE(a, b, arg) compare_rows(a, b, arg)
#define ST_COMPARE_ARG_TYPE const NvmkvWriteBatch
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

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
	batch->context = CurrentMemoryContext;
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

bool
nvmkv_write_batch_add(NvmkvWriteBatch *batch, NvmkvSlice key, NvmkvSlice value)
{
	BatchRow *row;

	Assert(batch->count < BATCH_ROWS);
	if (batch->count == 0)
		batch->fxid = GetCurrentFullTransactionId();
	if (batch->count == batch->capacity)
	{
		batch->capacity *= 2;
		batch->rows = repalloc(batch->rows, (Size) batch->capacity * sizeof(BatchRow));
	}
	row = &batch->rows[batch->count];
	row->ordinal = batch->count;
	row->offset = (uint32) batch->bytes.len;
	row->key_size = batch->table->nkeys > 0 ? (uint32) key.size : 0;
	row->value_size = (uint32) value.size;
	row->prefix = row->key_size > 0 ? key_prefix(key) : 0;
	appendBinaryStringInfoNT(&batch->bytes, (const char *) key.data, (int) row->key_size);
	appendBinaryStringInfoNT(&batch->bytes, (const char *) value.data, (int) row->value_size);
	batch->count++;
	return batch->count == BATCH_ROWS || batch->bytes.len >= BATCH_BYTES;
}

int
nvmkv_write_batch_count(const NvmkvWriteBatch *batch)
{
	return batch->count;
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

/* Rows of the next chunk, from "first" on; they are sorted. */
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
 * May all rows of the chunk be inserted?  REQUIRES their latches.  False: *row_out, of those that may not the one added
 * first, as a heap would meet it, exists, or one has to wait for *xid_out's end.
 */
static bool
chunk_is_free(const NvmkvWriteBatch *batch, int first, int n, const BatchRow **row_out, TransactionId *xid_out,
			  bool *exists_out)
{
	static const NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};

	*row_out = NULL;
	for (int i = first; i < first + n; i++)
	{
		const BatchRow *row = &batch->rows[i];
		bool repeated = i > 0 && slice_equal(row_key(batch, row), row_key(batch, row - 1));
		NvmkvRowView view;

		if (*row_out != NULL && row->ordinal > (*row_out)->ordinal)
			continue;
		nvmkv_row_view(batch->db, batch->table, row_key(batch, row), &query, &view);
		if (!repeated && view.state != NVMKV_ROW_LIVE && view.state != NVMKV_ROW_WAIT)
			continue;
		*row_out = row;
		*exists_out = view.state != NVMKV_ROW_WAIT;
		*xid_out = view.wait_xid;
	}
	return *row_out == NULL;
}

static void
write_keyed_chunk(NvmkvWriteBatch *batch, int first, int n)
{
	NvmkvLatchSet latches;

	for (;;)
	{
		const BatchRow *row = NULL;
		TransactionId xid = InvalidTransactionId;
		bool exists = false;
		bool written;

		nvmkv_latch_set_init(&latches);
		for (int i = first; i < first + n; i++)
			nvmkv_latch_set_add(&latches, nvmkv_key_hash(row_key(batch, &batch->rows[i])));
		nvmkv_latch_set_acquire(&latches);

		if (!chunk_is_free(batch, first, n, &row, &xid, &exists))
		{
			nvmkv_latch_set_release(&latches);
			if (exists)
				raise_duplicate(batch, row);
			nvmkv_write_wait_xid(batch->rel, row_key(batch, row), xid, XLTW_InsertIndex);
			continue;
		}

		nvmkv_write_begin();
		for (int i = first; i < first + n; i++)
			nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, row_key(batch, &batch->rows[i]), batch->fxid, batch->cid,
							row_value(batch, &batch->rows[i]));
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
}

/* Fresh row ids meet nobody: no latch, no look. */
static void
write_rowid_chunk(NvmkvWriteBatch *batch, int first, int n, ItemPointerData *tids)
{
	uint64 rowid = nvmkv_rowid_allocate((uint32) n);

	nvmkv_write_begin();
	for (int i = 0; i < n; i++)
	{
		const BatchRow *row = &batch->rows[first + i];

		nvmkv_key_from_rowid(batch->table, &batch->rowid_key, rowid + (uint64) i);
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, nvmkv_buffer_slice(&batch->rowid_key), batch->fxid, batch->cid,
						row_value(batch, row));
		if (tids != NULL)
			nvmkv_rowid_to_tid(rowid + (uint64) i, &tids[row->ordinal]);
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

void
nvmkv_write_batch_flush(NvmkvWriteBatch *batch, ItemPointerData *tids)
{
	bool keyed = batch->table->nkeys > 0;

	/*
	 * A log record names the transaction that writes it, and recovery gives out only ids above those it has met.  In
	 * a subtransaction without an id of its own the record would name none, and the statement's id could be given out
	 * again.
	 */
	if (batch->written < batch->count)
		(void) GetCurrentFullTransactionId();
	if (keyed)
		sort_rows(batch->rows + batch->written, (size_t) (batch->count - batch->written), batch);
	while (batch->written < batch->count)
	{
		Size bytes = 0;
		int n = chunk_size(batch, batch->written, &bytes);

		CHECK_FOR_INTERRUPTS();
		wait_turn(batch->table, batch->rel, bytes);
		if (keyed)
			write_keyed_chunk(batch, batch->written, n);
		else
			write_rowid_chunk(batch, batch->written, n, tids);
		batch->written += n;
	}
	batch->count = 0;
	batch->written = 0;
	if (batch->bytes.maxlen > KEPT_RECORD_BYTES)
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

/* ---------------------------------------------------------------- deferred batches */

void
nvmkv_write_batch_defer(NvmkvWriteBatch *batch)
{
	Assert(!batch->deferred);
	batch->deferred = true;
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
nvmkv_write_flush_deferred(void)
{
	dlist_iter iter;

	dlist_foreach(iter, &deferred_batches)
	{
		NvmkvWriteBatch *batch = dlist_container(NvmkvWriteBatch, link, iter.cur);

		if (batch->count > 0)
			nvmkv_write_batch_flush(batch, NULL);
	}
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

/* ---------------------------------------------------------------- storages */

void
nvmkv_storage_drop(uint64 storage_id)
{
	NvmkvDb *db = nvmkv_engine();
	FullTransactionId fxid = GetCurrentFullTransactionId();
	CommandId cid = GetCurrentCommandId(true);
	uint64 prefix = pg_hton64(storage_id);

	nvmkv_write_begin();
	nvmkv_write_put(NVMKV_TYPE_TAGGED_RANGE_DELETION, nvmkv_slice(&prefix, sizeof(prefix)), fxid, cid,
					nvmkv_slice(NULL, 0));
	while (!nvmkv_write_finish(db, NULL))
		nvmkv_write_wait_room(db, NULL);
}
