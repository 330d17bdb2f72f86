/*
 * damageview.c
 *	  The view of damage, and its acceptance.
 *
 * Accepting a loss is work on this server's files, as compaction is: it takes
 * effect at once, is not undone by a rollback, and nothing of it is in the WAL,
 * but for a new entry in the list of storages where that one was lost. A standby
 * has files of its own, in which the rows still are; it goes on with them, and so is
 * no longer like its primary there. On a standby itself nothing is accepted: rows
 * would be gone that the primary has.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "fdw/host/family.h"
#include "fdw/host/ready.h"
#include "fdw/host/resultrow.h"
#include "fdw/host/settle.h"
#include "fdw/host/status.h"
#include "fdw/storage/registry.h"
#include "fdw/table/catalog.h"
#include "fdw/table/definition.h"
#include "fdw/table/table.h"
#include "fdw/txn/damage.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_damage);
PG_FUNCTION_INFO_V1(nvmkv_sql_accept_damage);

/* ---------------------------------------------------------------- view */

static void
emit_part(FunctionCallInfo fcinfo, const char *family, const NvmkvDamageStats *damage, const NvmkvDamagePart *part)
{
	NvmkvResultRow row = {0};

	if (OidIsValid(part->relid))
		nvmkv_result_put(&row, ObjectIdGetDatum(part->relid));
	else
		nvmkv_result_put_null(&row);
	nvmkv_result_put_text(&row, family);
	/* That of the list of storages is the largest number there is. */
	nvmkv_result_put(&row, Int64GetDatum((int64) part->storage_id));
	nvmkv_result_put_text(&row, part->keys);
	nvmkv_result_put_text(&row, damage->state);
	nvmkv_result_put_text(&row, damage->is_row ? psprintf("row " UINT64_FORMAT " of the container", damage->source)
						  : damage->is_values  ? psprintf("value table %06llu.sst", (unsigned long long) damage->source)
											   : psprintf("table %06llu.sst", (unsigned long long) damage->source));
	if (damage->has_offset)
		nvmkv_result_put_int8(&row, damage->offset);
	else
		nvmkv_result_put_null(&row);
	nvmkv_result_put_lsn(&row, damage->max_sequence);
	nvmkv_result_put_time(&row, damage->found_clock_us);
	nvmkv_result_put_int8(&row, damage->kept_bytes);
	nvmkv_result_put_bytes(&row, damage->low, damage->low_size);
	nvmkv_result_put_bytes(&row, damage->upper, damage->upper_size);
	nvmkv_result_emit(fcinfo, &row);
}

/* All that is known; grows until it fits, since an element has two keys of full length. */
static NvmkvDamageStats *
fetch_damage(NvmkvDb *db, unsigned *count_out)
{
	unsigned max = 16;

	for (;;)
	{
		NvmkvDamageStats *list = palloc_extended(sizeof(NvmkvDamageStats) * max, MCXT_ALLOC_HUGE);

		*count_out = nvmkv_damage_stats(db, list, max);
		if (*count_out < max)
			return list;
		pfree(list);
		max *= 4;
	}
}

Datum
nvmkv_sql_damage(PG_FUNCTION_ARGS)
{
	unsigned nfamilies;
	NvmkvFamilyEntry *families = nvmkv_families(&nfamilies);

	InitMaterializedSRF(fcinfo, 0);
	for (unsigned f = 0; f < nfamilies; f++)
	{
		unsigned count;
		NvmkvDamageStats *list = fetch_damage(families[f].db, &count);

		for (unsigned i = 0; i < count; i++)
		{
			ListCell *lc;

			CHECK_FOR_INTERRUPTS();
			foreach(lc, nvmkv_damage_parts(nvmkv_slice(list[i].low, list[i].low_size),
											nvmkv_slice(list[i].upper, list[i].upper_size), list[i].max_sequence))
				emit_part(fcinfo, families[f].name, &list[i], lfirst(lc));
		}
		pfree(list);
	}
	return (Datum) 0;
}

/* ---------------------------------------------------------------- acceptance */

static void
forget(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, const char *name)
{
	nvmkv_check_status(nvmkv_forget_damage(db, lower, upper), "accepting the damage of", name);
}

/* Entries of rows that are lost have stayed, and entries may be lost of rows that are there. */
static void
distrust_indexes(Relation rel)
{
	Relation catalog = table_open(IndexRelationId, RowExclusiveLock);
	const NvmkvTable *table = nvmkv_table_definition(rel);

	for (int i = 0; i < table->nindexes; i++)
	{
		const NvmkvIndex *index = &table->indexes[i];
		HeapTuple tuple = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(index->oid));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for index %u", index->oid);
		if (((Form_pg_index) GETSTRUCT(tuple))->indisvalid)
		{
			((Form_pg_index) GETSTRUCT(tuple))->indisvalid = false;
			((Form_pg_index) GETSTRUCT(tuple))->indisready = false;
			CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
			ereport(WARNING,
					(errmsg("index \"%s\" is neither used nor kept any more", get_rel_name(index->oid)),
					 errhint("Make it anew with REINDEX.")));
		}
		heap_freetuple(tuple);
	}
	CacheInvalidateRelcache(rel);
	table_close(catalog, RowExclusiveLock);
}

/* Is the storage of a foreign table of ours? */
static Relation
open_if_table(Oid relid)
{
	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return NULL;
	return try_relation_open(relid, ShareUpdateExclusiveLock);
}

/* What of the table is lost; also its entry in the list of storages, which then is written anew. */
static void
accept_in_table(NvmkvDb *db, Relation rel)
{
	NvmkvStorageRow row;
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	uint64 lower;
	uint64 upper;

	/* Not nvmkv_table(): that needs the entry. */
	if (!nvmkv_catalog_lookup(RelationGetRelid(rel), &row) || row.dboid != MyDatabaseId)
		return;
	lower = pg_hton64(row.storage_id);
	upper = pg_hton64(row.storage_id + 1);
	forget(db, nvmkv_slice(&lower, sizeof(lower)), nvmkv_slice(&upper, sizeof(upper)), RelationGetRelationName(rel));
	nvmkv_registry_renew_storage(row.storage_id, nvmkv_definition(rel, keys, nvmkv_key_of_rows(rel, keys)));
	distrust_indexes(rel);
}

static void
accept_everywhere(NvmkvDb *db)
{
	Snapshot snapshot;
	ListCell *lc;

	forget(db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), "nvmkv");
	nvmkv_catalog_hold();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	foreach(lc, nvmkv_catalog_storages(snapshot))
	{
		Oid relid = ((NvmkvStoredTable *) lfirst(lc))->relid;
		Relation rel = open_if_table(relid);
		NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
		NvmkvStorageRow row;

		if (rel == NULL)
			continue;
		if (nvmkv_catalog_lookup(relid, &row) && row.dboid == MyDatabaseId)
		{
			nvmkv_registry_renew_storage(row.storage_id, nvmkv_definition(rel, keys, nvmkv_key_of_rows(rel, keys)));
			distrust_indexes(rel);
		}
		relation_close(rel, NoLock);
	}
	UnregisterSnapshot(snapshot);
}

Datum
nvmkv_sql_accept_damage(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", "nvmkv.accept_damage()"),
				 errhint("The primary has the rows: make the standby anew. If there is no primary any more, promote it first.")));
	PreventCommandIfReadOnly("nvmkv.accept_damage()");
	nvmkv_settle_now(db);
	if (PG_NARGS() == 0)
		accept_everywhere(db);
	else
	{
		/* Until the end of the transaction: against TRUNCATE and DROP, and a second one who does the same. */
		Relation rel = table_open(PG_GETARG_OID(0), ShareUpdateExclusiveLock);

		if (!nvmkv_is_our_table(rel))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not a foreign table of nvmkv_fdw", RelationGetRelationName(rel))));
		accept_in_table(db, rel);
		table_close(rel, NoLock);
	}
	PG_RETURN_VOID();
}
