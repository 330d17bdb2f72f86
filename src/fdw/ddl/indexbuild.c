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
#include "access/nbtree.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "utils/backend_progress.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/catalogrow.h"
#include "fdw/ddl/indexbuild.h"
#include "fdw/host/family.h"
#include "fdw/host/ownercontext.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"
#include "fdw/txn/entrysort.h"
#include "fdw/txn/unique.h"
#include "fdw/txn/write.h"

/* A record ends at about so many bytes. */
#define RECORD_BYTES (128 * 1024)

static void
write_record(NvmkvDb *db, Relation rel)
{
	while (!nvmkv_write_finish(db, rel))
		nvmkv_write_wait_room(db, rel);
	nvmkv_write_begin();
}

static void
write_entries(Relation rel, const NvmkvTable *table, const NvmkvIndex *index, NvmkvEntrySort *sort)
{
	NvmkvDb *db = nvmkv_engine_of(table->storage_id);
	FullTransactionId fxid = GetCurrentFullTransactionId();
	CommandId cid = GetCurrentCommandId(true);
	Size record_bytes = 0;
	int64 entries = 0;
	StringInfoData previous; /* the part of the last key that is to be unique */
	NvmkvEntry entry;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_BTREE_PHASE_LEAF_LOAD);
	initStringInfo(&previous);
	nvmkv_write_begin();
	while (nvmkv_entrysort_next(sort, &entry))
	{
		CHECK_FOR_INTERRUPTS();
		if (entry.unique_size > 0)
		{
			NvmkvSlice value = nvmkv_slice(entry.key.data, entry.unique_size);

			if (slice_equal(value, nvmkv_buffer_slice(&previous)))
				nvmkv_unique_report_build(rel, index, entry.key, entry.value);
			resetStringInfo(&previous);
			appendBinaryStringInfo(&previous, (const char *) value.data, (int) value.size);
		}
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, entry.key, fxid, cid, entry.value);
		entries++;
		record_bytes += entry.key.size + entry.value.size + BATCH_ENTRY_OVERHEAD;
		if (record_bytes >= RECORD_BYTES)
		{
			nvmkv_write_wait_turn(table, rel, record_bytes);
			write_record(db, rel);
			record_bytes = 0;
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, entries);
		}
	}
	if (record_bytes > 0)
		write_record(db, rel);
}

void
nvmkv_index_open_to_readers(Relation rel, Oid index_oid)
{
	NvmkvCatalogRow row;
	Form_pg_index form = nvmkv_index_row(&row, index_oid);

	form->indisready = true;
	form->indisvalid = true;
	form->indcheckxmin = true;
	CacheInvalidateRelcache(rel);
	nvmkv_catalog_row_save(&row);
}

static void
build_entries(Relation rel, Oid index_oid)
{
	const NvmkvTable *table = nvmkv_table(rel);
	const NvmkvIndex *index = nvmkv_find_index(table, index_oid);
	NvmkvEntrySort *sort;

	PushActiveSnapshot(GetLatestSnapshot());
	sort = nvmkv_entrysort_create(rel, table, index, GetActiveSnapshot());
	PopActiveSnapshot();
	write_entries(rel, table, index, sort);
	nvmkv_entrysort_destroy(sort);
}

void
nvmkv_index_begin_progress(Oid relid, Oid index_oid, bool concurrently)
{
	pgstat_progress_start_command(PROGRESS_COMMAND_CREATE_INDEX, relid);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_COMMAND,
								 concurrently ? PROGRESS_CREATEIDX_COMMAND_CREATE_CONCURRENTLY
								 : PROGRESS_CREATEIDX_COMMAND_CREATE);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_INDEX_OID, index_oid);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_ACCESS_METHOD_OID, BTREE_AM_OID);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_PHASE, PROGRESS_CREATEIDX_PHASE_BUILD);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_BTREE_PHASE_INDEXBUILD_TABLESCAN);
}

void
nvmkv_index_create(Relation rel, Relation index)
{
	Oid index_oid = RelationGetRelid(index);
	NvmkvOwnerContext context;

	nvmkv_index_begin_progress(RelationGetRelid(rel), index_oid, false);
	nvmkv_index_new_storage(rel, index_oid);
	nvmkv_become_owner(&context, rel->rd_rel->relowner);
	build_entries(rel, index_oid);
	nvmkv_become_user(&context);
	nvmkv_index_open_to_readers(rel, index_oid);
	pgstat_progress_end_command();
}
