/*
 * accessmethod.c
 *	  The table access method nvmkv, by which CREATE TABLE makes foreign tables.
 *
 * It is a name only: no relation ever has it, but for partitioned tables of
 * servers from 17 on, which hand it down to their partitions.  The hook takes
 * the statements that would use it.  Its handler is called by the server where
 * the hook is not there, because the library is not loaded, and raises.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "fdw/ddl/accessmethod.h"
#include "fdw/host/engine.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_table_am_handler);

Datum
nvmkv_sql_table_am_handler(PG_FUNCTION_ARGS)
{
	nvmkv_engine_require_preload();
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("this command cannot use the access method of nvmkv_fdw"),
			 errdetail("Tables that are created with it are foreign tables."),
			 errhint("Use access method heap here.")));
}

bool
nvmkv_is_our_access_method(Oid am)
{
	HeapTuple tuple = SearchSysCache1(AMOID, ObjectIdGetDatum(am));
	FmgrInfo handler;
	Oid function;

	if (!HeapTupleIsValid(tuple))
		return false;
	function = ((Form_pg_am) GETSTRUCT(tuple))->amhandler;
	ReleaseSysCache(tuple);
	if (am == HEAP_TABLE_AM_OID || !OidIsValid(function))
		return false;
	fmgr_info(function, &handler);
	return handler.fn_addr == nvmkv_sql_table_am_handler;
}

/* Is a table that is created under this name temporary for the place it is in? */
static bool
is_temporary(const RangeVar *relation)
{
	Oid namespace_id;

	if (relation->relpersistence == RELPERSISTENCE_TEMP)
		return true;
	if (relation->schemaname == NULL)
		return isAnyTempNamespace(RangeVarGetCreationNamespace(relation));
	if (strcmp(relation->schemaname, "pg_temp") == 0)
		return true;
	namespace_id = get_namespace_oid(relation->schemaname, true);
	return OidIsValid(namespace_id) && isAnyTempNamespace(namespace_id);
}

NvmkvKindOfTable
nvmkv_kind_of_table(const char *access_method, const RangeVar *relation, const char *never)
{
	Oid am = get_table_am_oid(access_method != NULL ? access_method : default_table_access_method, true);

	if (!OidIsValid(am) || !nvmkv_is_our_access_method(am))
		return NVMKV_TABLE_OTHER;
	if (is_temporary(relation))
		never = "temporary table";
	else if (relation->relpersistence == RELPERSISTENCE_UNLOGGED)
		never = "unlogged table";
	if (never == NULL)
		return NVMKV_TABLE_OURS;
	if (access_method == NULL)
		return NVMKV_TABLE_HEAP;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("access method \"%s\" cannot be used for %s \"%s\"", access_method, never, relation->relname),
			 errhint("Use access method heap.")));
}
