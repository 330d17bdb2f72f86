/*
 * indexbuild.c
 *	  Filling an index from the rows of its table.
 *
 * Entries are made of all rows that the newest snapshot sees, sorted, and
 * written in order as entries of this transaction: so a rollback leaves nothing,
 * and a crash what a rollback leaves.  Rows that older snapshots still see and
 * the newest does not are not in it; such readers are kept away.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplesort.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/indexbuild.h"
#include "fdw/host/family.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"
#include "fdw/txn/entries.h"
#include "fdw/txn/unique.h"
#include "fdw/txn/visibility.h"
#include "fdw/txn/write.h"

#define SCAN_ROWS 1024
#define SCAN_BYTES (1024 * 1024)

/* A record ends at about so many bytes. */
#define RECORD_BYTES (128 * 1024)

/*
 * What is sorted: key, value, and this behind them.  No entry's key begins another's, so what is behind the key does
 * not matter to the order.
 */
typedef struct EntryTail
{
	uint32 key_size;
	uint32 unique_size;
} EntryTail;

/* ---------------------------------------------------------------- making */

static void
sort_entry(Tuplesortstate *sort, const NvmkvEntry *entry)
{
	EntryTail tail = {(uint32) entry->key.size, entry->unique_size};
	Size size = VARHDRSZ + entry->key.size + entry->value.size + sizeof(tail);
	bytea *bytes = palloc(size);
	char *p = VARDATA(bytes);

	SET_VARSIZE(bytes, size);
	memcpy(p, entry->key.data, entry->key.size);
	if (entry->value.size > 0)
		memcpy(p + entry->key.size, entry->value.data, entry->value.size);
	memcpy(p + entry->key.size + entry->value.size, &tail, sizeof(tail));
	tuplesort_putdatum(sort, PointerGetDatum(bytes), false);
	pfree(bytes);
}

typedef struct EntryBuild
{
	Relation rel;
	const NvmkvTable *table;
	const NvmkvIndex *index;
	NvmkvDb *db;
	EState *estate;
	NvmkvEntryMaker *maker;
	TupleTableSlot *slot;
	StringInfoData entries;
	Tuplesortstate *sort;
} EntryBuild;

static void
add_row(EntryBuild *build, const NvmkvScanRow *row)
{
	uint64 rowid = build->table->nkeys == 0 ? nvmkv_key_rowid(row->key) : 0;
	MemoryContext old_context = MemoryContextSwitchTo(GetPerTupleMemoryContext(build->estate));
	NvmkvEntry entry;
	size_t at = 0;

	nvmkv_row_to_slot(build->table, row->key, row->value, build->slot);
	nvmkv_entries_of_row(build->maker, build->slot, rowid, &build->entries);
	if (nvmkv_entries_next(nvmkv_buffer_slice(&build->entries), &at, &entry))
		sort_entry(build->sort, &entry);
	MemoryContextSwitchTo(old_context);
	ResetPerTupleExprContext(build->estate);
}

static void
scan_rows(EntryBuild *build, Snapshot snapshot)
{
	const char *name = RelationGetRelationName(build->rel);
	NvmkvVisibility visibility;
	StringInfoData lower;
	StringInfoData upper;
	NvmkvScan *volatile scan = NULL;

	nvmkv_key_table_range(build->table, &lower, &upper);
	nvmkv_visibility_init(&visibility, snapshot, NULL);
	PG_TRY();
	{
		NvmkvScan *new_scan = NULL;

		nvmkv_check_status(nvmkv_scan_create(build->db, &new_scan), "reading foreign table", name);
		scan = new_scan;
		nvmkv_check_status(nvmkv_scan_start(scan, nvmkv_buffer_slice(&lower), nvmkv_buffer_slice(&upper), false,
											&visibility.engine),
						   "reading foreign table", name);
		for (;;)
		{
			const NvmkvScanRow *rows;
			unsigned count;

			CHECK_FOR_INTERRUPTS();
			nvmkv_check_status(nvmkv_scan_batch(scan, SCAN_ROWS, SCAN_BYTES, &rows, &count), "reading foreign table",
							   name);
			if (count == 0)
				break;
			for (unsigned i = 0; i < count; i++)
				add_row(build, &rows[i]);
		}
	}
	PG_FINALLY();
	{
		nvmkv_scan_destroy(scan);
	}
	PG_END_TRY();
}

/* ---------------------------------------------------------------- writing */

static void
write_record(EntryBuild *build)
{
	while (!nvmkv_write_finish(build->db, build->rel))
		nvmkv_write_wait_room(build->db, build->rel);
	nvmkv_write_begin();
}

static void
write_entries(EntryBuild *build)
{
	FullTransactionId fxid = GetCurrentFullTransactionId();
	CommandId cid = GetCurrentCommandId(true);
	Size record_bytes = 0;
	StringInfoData previous; /* the part of the last key that is to be unique */
	Datum datum;
	bool isnull;

	initStringInfo(&previous);
	nvmkv_write_begin();
	while (tuplesort_getdatum(build->sort, true, &datum, &isnull, NULL))
	{
		bytea *bytes = DatumGetByteaPP(datum);
		Size size = VARSIZE_ANY_EXHDR(bytes);
		EntryTail tail;
		NvmkvSlice key;
		NvmkvSlice value;

		CHECK_FOR_INTERRUPTS();
		memcpy(&tail, VARDATA_ANY(bytes) + size - sizeof(tail), sizeof(tail));
		key = nvmkv_slice(VARDATA_ANY(bytes), tail.key_size);
		value = nvmkv_slice(VARDATA_ANY(bytes) + tail.key_size, size - tail.key_size - sizeof(tail));
		if (tail.unique_size > 0)
		{
			if (slice_equal(nvmkv_slice(key.data, tail.unique_size), nvmkv_buffer_slice(&previous)))
				nvmkv_unique_report_build(build->rel, build->index, key, value);
			resetStringInfo(&previous);
			appendBinaryStringInfo(&previous, (const char *) key.data, (int) tail.unique_size);
		}
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, key, fxid, cid, value);
		record_bytes += size + BATCH_ENTRY_OVERHEAD;
		if (record_bytes >= RECORD_BYTES)
		{
			nvmkv_write_wait_turn(build->table, build->rel, record_bytes);
			write_record(build);
			record_bytes = 0;
		}
		pfree(DatumGetPointer(datum));
	}
	if (record_bytes > 0)
		write_record(build);
}

/* Snapshots that are older than this transaction do not see its entries, although they see the rows. */
static void
keep_old_snapshots_away(Oid index_oid)
{
	Relation catalog = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple tuple = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(index_oid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index_oid);
	((Form_pg_index) GETSTRUCT(tuple))->indcheckxmin = true;
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
}

static void
build_entries(Relation rel, Oid index_oid)
{
	EntryBuild build = {.rel = rel, .table = nvmkv_table(rel)};
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());

	build.index = nvmkv_find_index(build.table, index_oid);
	build.db = nvmkv_engine_of(build.table->storage_id);
	build.estate = CreateExecutorState();
	build.maker = nvmkv_entry_maker_create(build.table, build.estate, index_oid);
	build.slot = MakeSingleTupleTableSlot(build.table->tupdesc, &TTSOpsVirtual);
	initStringInfo(&build.entries);
	build.sort = tuplesort_begin_datum(BYTEAOID, ByteaLessOperator, InvalidOid, false, maintenance_work_mem, NULL,
									   TUPLESORT_NONE);
	PushActiveSnapshot(snapshot); /* for functions in expressions */
	scan_rows(&build, snapshot);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	tuplesort_performsort(build.sort);
	write_entries(&build);
	tuplesort_end(build.sort);
	ExecDropSingleTupleTableSlot(build.slot);
	FreeExecutorState(build.estate);
}

void
nvmkv_index_create(Relation rel, Relation index)
{
	Oid index_oid = RelationGetRelid(index);
	Oid user;
	int security_context;
	int guc_level;

	nvmkv_index_new_storage(rel, index_oid);
	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner, security_context | SECURITY_RESTRICTED_OPERATION);
	guc_level = NewGUCNestLevel();
	build_entries(rel, index_oid);
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(user, security_context);
	keep_old_snapshots_away(index_oid);
	CacheInvalidateRelcache(rel);
	CommandCounterIncrement();
}
