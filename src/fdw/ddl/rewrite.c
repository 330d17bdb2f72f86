/*
 * rewrite.c
 *	  Rows of a table that get another key, or other values.
 *
 * They are read from the old storage, sorted by their new keys, and written in
 * that order, as this transaction's rows.  A rollback leaves the old storage as
 * it was.  New values are made as ATRewriteTable() of the server makes them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/tuplesort.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/indexbuild.h"
#include "fdw/ddl/rewrite.h"
#include "fdw/ddl/rewriteprogress.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/family.h"
#include "fdw/host/rowid.h"
#include "fdw/key/keycode.h"
#include "fdw/key/keydetail.h"
#include "fdw/key/rowcode.h"
#include "fdw/storage/storage.h"
#include "fdw/txn/everyrow.h"
#include "fdw/txn/write.h"

/* A record ends at about so many bytes. */
#define RECORD_BYTES (128 * 1024)

typedef struct Rewrite
{
	Relation rel;
	const NvmkvTable *old; /* NULL: a heap */
	const NvmkvTable *new;
	int old_natts;
	bool keeps_ids;   /* rows have no key, and had none */
	List *new_values; /* NvmkvNewValue */
	List *states;     /* ExprState, of each */
	EState *estate;
	TupleTableSlot *old_slot;
	TupleTableSlot *slot;
	uint64 rows;
	StringInfoData key;
	StringInfoData value;
	Tuplesortstate *sort; /* of key, value, and the key's size behind them: no key begins another one */
} Rewrite;

NvmkvNewValue *
nvmkv_new_value(AttrNumber attnum, Expr *expr, bool of_new_row)
{
	NvmkvNewValue *value = palloc(sizeof(NvmkvNewValue));

	value->attnum = attnum;
	value->expr = expr;
	value->of_new_row = of_new_row;
	return value;
}

/* ---------------------------------------------------------------- reading */

static void
make_values(Rewrite *rewrite, bool of_new_row)
{
	ExprContext *context = GetPerTupleExprContext(rewrite->estate);
	ListCell *lc;
	ListCell *state;

	context->ecxt_scantuple = of_new_row ? rewrite->slot : rewrite->old_slot;
	forboth(lc, rewrite->new_values, state, rewrite->states)
	{
		const NvmkvNewValue *value = lfirst(lc);
		int i = value->attnum - 1;

		if (value->of_new_row == of_new_row)
			rewrite->slot->tts_values[i] = ExecEvalExpr(lfirst(state), context, &rewrite->slot->tts_isnull[i]);
	}
}

/* The new row of the old one, in rewrite->slot. */
static void
make_row(Rewrite *rewrite)
{
	TupleTableSlot *slot = ExecClearTuple(rewrite->slot);
	TupleDesc desc = rewrite->new->tupdesc;

	for (int i = 0; i < desc->natts; i++)
	{
		bool kept = i < rewrite->old_natts && !TupleDescAttr(desc, i)->attisdropped;

		slot->tts_values[i] = kept ? rewrite->old_slot->tts_values[i] : (Datum) 0;
		slot->tts_isnull[i] = !kept || rewrite->old_slot->tts_isnull[i];
	}
	slot->tts_tableOid = rewrite->old_slot->tts_tableOid = RelationGetRelid(rewrite->rel);
	make_values(rewrite, false);
	ExecStoreVirtualTuple(slot);
	make_values(rewrite, true);
	for (int i = 0; i < desc->natts; i++)
	{
		if (slot->tts_isnull[i] && nvmkv_is_not_null(desc, i) && !nvmkv_is_virtual(TupleDescAttr(desc, i)))
			nvmkv_report_null_values(rewrite->rel, i + 1);
	}
}

/* The new row of the one in rewrite->old_slot goes to the sort, under its new key or, without a key, this number. */
static void
sort_row(Rewrite *rewrite, uint64 number)
{
	MemoryContext old_context = MemoryContextSwitchTo(GetPerTupleMemoryContext(rewrite->estate));
	uint32 key_size;
	bytea *bytes;
	Size size;
	char *p;

	make_row(rewrite);
	if (rewrite->new->nkeys > 0)
		nvmkv_key_from_slot(rewrite->new, &rewrite->key, rewrite->slot);
	else
		nvmkv_key_from_rowid(rewrite->new, &rewrite->key, number);
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
	ExecClearTuple(rewrite->old_slot);
	MemoryContextSwitchTo(old_context);
	ResetPerTupleExprContext(rewrite->estate);
	nvmkv_rewrite_progress_row(++rewrite->rows, false);
}

/* Rows without a key keep their order: by their ids, or that of visits. */
static void
sort_our_row(void *ctx, const NvmkvScanRow *row)
{
	Rewrite *rewrite = ctx;

	nvmkv_row_to_slot(rewrite->old, row->key, row->value, rewrite->old_slot);
	sort_row(rewrite, rewrite->keeps_ids ? nvmkv_key_rowid(row->key) : rewrite->rows);
}

static void
sort_heap_rows(Rewrite *rewrite, Snapshot snapshot)
{
	TableScanDesc scan = table_beginscan(rewrite->rel, snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, rewrite->old_slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(rewrite->old_slot);
		sort_row(rewrite, rewrite->rows);
	}
	table_endscan(scan);
}

/* ---------------------------------------------------------------- writing */

static void
report_duplicate(const Rewrite *rewrite, NvmkvSlice key, NvmkvSlice value, const char *constraint)
{
	char *description;

	if (constraint == NULL)
		constraint = rewrite->new->key_name;

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
	uint64 rows = 0;
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
		if (rewrite->new->nkeys == 0 && !rewrite->keeps_ids)
		{
			nvmkv_key_from_rowid(rewrite->new, &rewrite->key, nvmkv_rowid_allocate(1));
			key = nvmkv_buffer_slice(&rewrite->key);
		}

		if (record_bytes > 0 && record_bytes + size > RECORD_BYTES)
		{
			nvmkv_write_wait_turn(rewrite->new, rewrite->rel, record_bytes);
			write_record(db, rewrite->rel);
			record_bytes = 0;
		}
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, key, fxid, cid, value);
		record_bytes += size + BATCH_ENTRY_OVERHEAD;
		nvmkv_rewrite_progress_row(++rows, true);
		pfree(DatumGetPointer(datum));
	}
	if (record_bytes > 0)
		write_record(db, rewrite->rel);
	pfree(previous.data);
}

/* ---------------------------------------------------------------- both */

static void
begin(Rewrite *rewrite)
{
	ListCell *lc;

	rewrite->new = nvmkv_table(rewrite->rel);
	rewrite->keeps_ids = rewrite->old != NULL && rewrite->old->nkeys == 0 && rewrite->new->nkeys == 0;
	rewrite->slot = MakeSingleTupleTableSlot(rewrite->new->tupdesc, &TTSOpsVirtual);
	if (rewrite->old != NULL)
		rewrite->old_slot = MakeSingleTupleTableSlot(rewrite->old->tupdesc, &TTSOpsVirtual);
	else
		rewrite->old_slot = table_slot_create(rewrite->rel, NULL);
	rewrite->old_natts = rewrite->old_slot->tts_tupleDescriptor->natts;
	rewrite->estate = CreateExecutorState();
	foreach(lc, rewrite->new_values)
		rewrite->states = lappend(rewrite->states, ExecInitExpr(((NvmkvNewValue *) lfirst(lc))->expr, NULL));
	initStringInfo(&rewrite->key);
	initStringInfo(&rewrite->value);
	rewrite->sort = tuplesort_begin_datum(BYTEAOID, ByteaLessOperator, InvalidOid, false, maintenance_work_mem, NULL,
										  TUPLESORT_NONE);
	nvmkv_rewrite_progress_begin(RelationGetRelid(rewrite->rel));
}

static void
finish(Rewrite *rewrite, const char *constraint)
{
	nvmkv_rewrite_progress_phase(NVMKV_REWRITE_SORT);
	tuplesort_performsort(rewrite->sort);
	nvmkv_rewrite_progress_phase(NVMKV_REWRITE_WRITE);
	write_rows(rewrite, constraint);
	tuplesort_end(rewrite->sort);
	ExecDropSingleTupleTableSlot(rewrite->slot);
	ExecDropSingleTupleTableSlot(rewrite->old_slot);
	FreeExecutorState(rewrite->estate);
	nvmkv_rewrite_progress_end();
	CommandCounterIncrement();
}

void
nvmkv_rewrite_rows(Relation rel, const NvmkvTable *old, Snapshot snapshot, List *new_values, const char *constraint)
{
	Rewrite rewrite = {.rel = rel, .old = old, .new_values = new_values};

	begin(&rewrite);
	nvmkv_every_row(old, snapshot, sort_our_row, &rewrite);
	finish(&rewrite, constraint);
	nvmkv_rewrite_indexes(rel);
}

void
nvmkv_rewrite_heap(Relation rel, Snapshot snapshot)
{
	Rewrite rewrite = {.rel = rel};

	begin(&rewrite);
	sort_heap_rows(&rewrite, snapshot);
	finish(&rewrite, NULL);
}

void
nvmkv_rewrite_indexes(Relation rel)
{
	const NvmkvTable *table = nvmkv_table(rel);

	for (int i = 0; i < table->nindexes; i++)
	{
		Relation index = index_open(table->indexes[i].oid, AccessExclusiveLock);

		nvmkv_index_create(rel, index);
		index_close(index, NoLock);
	}
}
