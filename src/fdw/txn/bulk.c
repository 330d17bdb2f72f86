/*
 * bulk.c
 *	  Rows that one statement inserts into one table, collected.
 *
 * A statement adds rows to a batch and writes them (bulkwrite.c) when it likes.
 * One that leaves them there between two calls registers the batch, so that
 * whatever looks at our tables meanwhile writes them first.
 */
#include "postgres.h"

#include "access/xact.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/host/family.h"
#include "fdw/host/latch.h"
#include "fdw/key/keycode.h"
#include "fdw/txn/bulk.h"
#include "fdw/txn/bulkrows.h"
#include "fdw/txn/bulkwrite.h"

#define FIRST_ROWS 128

/* Memory for rows that is kept between flushes. */
#define KEPT_BYTES (1024 * 1024)

static dlist_head deferred_batches = DLIST_STATIC_INIT(deferred_batches);

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
	nvmkv_buffer_init(&batch->rowid_key);
	batch->count = 0;
	batch->generation = NVMKV_LATCH_UNKNOWN;
	batch->capacity = FIRST_ROWS;
	batch->rows = palloc(FIRST_ROWS * sizeof(NvmkvBulkRow));
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
	batch->rows = repalloc(batch->rows, (Size) batch->capacity * sizeof(NvmkvBulkRow));
	if (batch->places == NULL)
		return;
	pfree(batch->places);
	batch->places = MemoryContextAllocZero(batch->context, (Size) batch->capacity * 2 * sizeof(uint16));
	for (int i = 0; i < batch->count; i++)
		*find_place(batch, batch->rows[i].hash) = (uint16) (i + 1);
}

bool
nvmkv_write_batch_add(NvmkvWriteBatch *batch, NvmkvSlice key, NvmkvSlice value, NvmkvSlice entries)
{
	NvmkvBulkRow *row;

	Assert(batch->count < NVMKV_BULK_ROWS);
	if (batch->count == 0)
		batch->fxid = GetCurrentFullTransactionId();
	if (batch->count == batch->capacity)
		enlarge(batch);
	row = &batch->rows[batch->count];
	row->offset = (uint32) batch->bytes.len;
	row->key_size = batch->table->nkeys > 0 ? (uint32) key.size : 0;
	row->value_size = (uint32) value.size;
	row->entries_size = (uint32) entries.size;
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
	appendBinaryStringInfoNT(&batch->bytes, (const char *) entries.data, (int) row->entries_size);
	batch->count++;
	if (batch->places != NULL)
		*find_place(batch, row->hash) = (uint16) batch->count;
	return batch->count == NVMKV_BULK_ROWS || batch->bytes.len >= NVMKV_BULK_BYTES;
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
	if (!nvmkv_bulk_key_is_free(batch, key, &xid))
		return true;
	batch->generation = generation;
	return false;
}

/* ---------------------------------------------------------------- flushing */

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
		nvmkv_bulk_write_keyed(batch);
	else
		nvmkv_bulk_write_without_key(batch, tids);
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
