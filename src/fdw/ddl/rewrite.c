/*
 * rewrite.c
 *	  Rows of a table that get another key.
 *
 * They are read from the old storage, sorted by their new keys, and written in
 * that order, as this transaction's rows.  A rollback leaves the old storage as
 * it was.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/xact.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/indexbuild.h"
#include "fdw/ddl/rewrite.h"
#include "fdw/host/family.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/storage/storage.h"
#include "fdw/txn/everyrow.h"
#include "fdw/txn/write.h"

/* A record ends at about so many bytes. */
#define RECORD_BYTES (128 * 1024)

typedef struct Rewrite
{
	Relation rel;
	const NvmkvTable *old;
	const NvmkvTable *new;
	TupleTableSlot *slot;
	MemoryContext row_context;
	StringInfoData key;
	StringInfoData value;
	Tuplesortstate *sort; /* of key, value, and the key's size behind them: no key begins another one */
} Rewrite;

/* ---------------------------------------------------------------- reading */

static void
sort_row(void *ctx, const NvmkvScanRow *row)
{
	Rewrite *rewrite = ctx;
	MemoryContext old_context = MemoryContextSwitchTo(rewrite->row_context);
	uint32 key_size;
	bytea *bytes;
	Size size;
	char *p;

	nvmkv_row_to_slot(rewrite->old, row->key, row->value, rewrite->slot);
	nvmkv_key_from_slot(rewrite->new, &rewrite->key, rewrite->slot);
	nvmkv_row_encode(rewrite->new, &rewrite->value, rewrite->slot);
	key_size = (uint32) rewrite->key.len;
	size = VARHDRSZ + key_size + (Size) rewrite->value.len + sizeof(key_size);
	bytes = palloc(size);
	SET_VARSIZE(bytes, size);
	p = VARDATA(bytes);
	memcpy(p, rewrite->key.data, key_size);
	memcpy(p + key_size, rewrite->value.data, (Size) rewrite->value.len);
	memcpy(p + key_size + rewrite->value.len, &key_size, sizeof(key_size));
	tuplesort_putdatum(rewrite->sort, PointerGetDatum(bytes), false);
	ExecClearTuple(rewrite->slot);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(rewrite->row_context);
}

/* ---------------------------------------------------------------- writing */

static void
report_duplicate(const Rewrite *rewrite, NvmkvSlice key, NvmkvSlice value, const char *constraint)
{
	char *description;

	nvmkv_row_to_slot(rewrite->new, key, value, rewrite->slot);
	description = nvmkv_key_description(rewrite->new, rewrite->rel, rewrite->slot);
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("could not create unique index \"%s\"", constraint),
			 description != NULL ? errdetail("Key %s is duplicated.", description) : errdetail("Duplicate keys exist."),
			 errtableconstraint(rewrite->rel, constraint)));
}

static void
write_record(NvmkvDb *db, Relation rel)
{
	while (!nvmkv_write_finish(db, rel))
		nvmkv_write_wait_room(db, rel);
	nvmkv_write_begin();
}

static void
write_rows(Rewrite *rewrite, const char *constraint)
{
	NvmkvDb *db = nvmkv_engine_of(rewrite->new->storage_id);
	FullTransactionId fxid = GetCurrentFullTransactionId();
	CommandId cid = GetCurrentCommandId(true);
	Size record_bytes = 0;
	StringInfoData previous; /* key */
	Datum datum;
	bool isnull;

	initStringInfo(&previous);
	nvmkv_write_begin();
	while (tuplesort_getdatum(rewrite->sort, true, true, &datum, &isnull, NULL))
	{
		bytea *bytes = DatumGetByteaPP(datum);
		Size size = VARSIZE_ANY_EXHDR(bytes);
		uint32 key_size;
		NvmkvSlice key;
		NvmkvSlice value;

		CHECK_FOR_INTERRUPTS();
		memcpy(&key_size, VARDATA_ANY(bytes) + size - sizeof(key_size), sizeof(key_size));
		key = nvmkv_slice(VARDATA_ANY(bytes), key_size);
		value = nvmkv_slice(VARDATA_ANY(bytes) + key_size, size - key_size - sizeof(key_size));
		if (slice_equal(key, nvmkv_buffer_slice(&previous)))
			report_duplicate(rewrite, key, value, constraint);
		resetStringInfo(&previous);
		appendBinaryStringInfo(&previous, (const char *) key.data, (int) key.size);

		if (record_bytes > 0 && record_bytes + size > RECORD_BYTES)
		{
			nvmkv_write_wait_turn(rewrite->new, rewrite->rel, record_bytes);
			write_record(db, rewrite->rel);
			record_bytes = 0;
		}
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, key, fxid, cid, value);
		record_bytes += size + BATCH_ENTRY_OVERHEAD;
		pfree(DatumGetPointer(datum));
	}
	if (record_bytes > 0)
		write_record(db, rewrite->rel);
	pfree(previous.data);
}

void
nvmkv_rewrite_rows(Relation rel, const NvmkvTable *old, Snapshot snapshot, const char *constraint)
{
	Rewrite rewrite = {.rel = rel, .old = old, .new = nvmkv_table(rel)};

	rewrite.slot = MakeSingleTupleTableSlot(rewrite.new->tupdesc, &TTSOpsVirtual);
	rewrite.row_context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv rewrite", ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&rewrite.key);
	initStringInfo(&rewrite.value);
	rewrite.sort = tuplesort_begin_datum(BYTEAOID, ByteaLessOperator, InvalidOid, false, maintenance_work_mem, NULL,
										 TUPLESORT_NONE);
	nvmkv_every_row(old, snapshot, sort_row, &rewrite);
	tuplesort_performsort(rewrite.sort);
	write_rows(&rewrite, constraint);
	tuplesort_end(rewrite.sort);
	ExecDropSingleTupleTableSlot(rewrite.slot);
	MemoryContextDelete(rewrite.row_context);
	CommandCounterIncrement();
	for (int i = 0; i < rewrite.new->nindexes; i++)
	{
		Relation index = index_open(rewrite.new->indexes[i].oid, AccessExclusiveLock);

		nvmkv_index_create(rel, index);
		index_close(index, NoLock);
	}
}
