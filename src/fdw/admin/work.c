/*
 * work.c
 *	  SQL functions that do work: flush, compaction, somebody's word for lost
 *	  outcomes.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "port/pg_bswap.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/xid8.h"

#include "fdw/admin/work.h"
#include "fdw/compat/compat.h"
#include "fdw/host/engine.h"
#include "fdw/host/ready.h"
#include "fdw/host/settle.h"
#include "fdw/host/status.h"
#include "fdw/storage/storage.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_flush);
PG_FUNCTION_INFO_V1(nvmkv_sql_compact_all);
PG_FUNCTION_INFO_V1(nvmkv_sql_compact);
PG_FUNCTION_INFO_V1(nvmkv_sql_set_outcome);

Datum
nvmkv_sql_flush(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();

	nvmkv_settle_now(db);
	nvmkv_check_status(nvmkv_flush_all(db), "flushing the memtables of", "nvmkv");
	PG_RETURN_VOID();
}

Relation
nvmkv_open_our_table(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);

	if (!nvmkv_is_our_table(rel))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a foreign table of nvmkv_fdw", RelationGetRelationName(rel))));
	return rel;
}

bool
nvmkv_may_work_on_all(const char *name)
{
	List *names = list_make2(makeString(pstrdup("nvmkv")), makeString(pstrdup(name)));
	Oid function = LookupFuncName(names, 0, NULL, true);

	return OidIsValid(function) && nvmkv_function_aclcheck(function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
}

void
nvmkv_require_owner(Relation rel, const char *name)
{
	if (!object_ownercheck(RelationRelationId, RelationGetRelid(rel), GetUserId()) && !nvmkv_may_work_on_all(name))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, RelationGetRelationName(rel));
}

static List *
add_storage(List *storages, const NvmkvTable *table)
{
	uint64 *id = palloc(sizeof(uint64));

	*id = table->storage_id;
	return *id != 0 ? lappend(storages, id) : storages;
}

/* Those of the table's rows and of its indexes (uint64 *). */
static List *
storages_of_table(Oid relid)
{
	Relation rel = nvmkv_open_our_table(relid);
	const NvmkvTable *table;
	List *storages;

	nvmkv_require_owner(rel, "compact");
	table = nvmkv_table(rel);
	storages = add_storage(NIL, table);
	for (int i = 0; i < table->nindexes; i++)
		storages = add_storage(storages, &table->indexes[i].entries);
	table_close(rel, AccessShareLock);
	return storages;
}

/* Everything in the storage; 0: in all. */
static void
compact_storage(NvmkvDb *db, uint64 storage_id)
{
	uint64 lower = pg_hton64(storage_id);
	uint64 upper = pg_hton64(storage_id + 1);
	size_t size = storage_id != 0 ? NVMKV_STORAGE_ID_BYTES : 0;

	nvmkv_check_status(nvmkv_compact_range(db, nvmkv_slice(&lower, size), nvmkv_slice(&upper, size)), "compacting",
					   "nvmkv");
}

Datum
nvmkv_sql_compact_all(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();

	/* The horizon is held back to what is settled: what has ended until now need not wait. */
	nvmkv_settle_now(db);
	compact_storage(db, 0);
	PG_RETURN_VOID();
}

Datum
nvmkv_sql_compact(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	List *storages;
	ListCell *lc;

	/* NULL is everything to the function of version 1.0, which only those have that may work on all. */
	if (PG_ARGISNULL(0))
		return nvmkv_sql_compact_all(fcinfo);
	storages = storages_of_table(PG_GETARG_OID(0));
	nvmkv_settle_now(db);
	foreach(lc, storages)
		compact_storage(db, *(uint64 *) lfirst(lc));
	PG_RETURN_VOID();
}

Datum
nvmkv_sql_set_outcome(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	uint64 first = U64FromFullTransactionId(PG_GETARG_FULLTRANSACTIONID(0));
	uint64 last = U64FromFullTransactionId(PG_GETARG_FULLTRANSACTIONID(1));
	uint64 count;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", "nvmkv.set_outcome()"),
				 errhint("Call it on the primary: the standby follows.")));
	if (last < first)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the last transaction must not be before the first")));
	count = nvmkv_settle_by_word(db, first, last, PG_GETARG_BOOL(2));
	if (count == 0)
		ereport(NOTICE,
				(errmsg("the outcomes of all these transactions are known, or not needed"),
				 errhint("nvmkv.stat_outcomes lists those that are not.")));
	PG_RETURN_INT64((int64) count);
}
