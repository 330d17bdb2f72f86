/*
 * triggerrow.c
 *	  See triggerrow.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"

#include "fdw/ddl/triggerrow.h"
#include "fdw/table/catalog.h"

void
nvmkv_triggers_change(Oid relid, NvmkvTriggerChange change, const void *arg)
{
	Relation triggers = table_open(TriggerRelationId, RowExclusiveLock);
	bool changed = false;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		HeapTuple copy;

		if (!((Form_pg_trigger) GETSTRUCT(tuple))->tgisinternal)
			continue;
		copy = heap_copytuple(tuple);
		if (change((Form_pg_trigger) GETSTRUCT(copy), arg))
		{
			CatalogTupleUpdate(triggers, &copy->t_self, copy);
			changed = true;
		}
		heap_freetuple(copy);
	}
	systable_endscan(scan);
	table_close(triggers, RowExclusiveLock);
	if (changed)
	{
		CacheInvalidateRelcacheByRelid(relid);
		CommandCounterIncrement();
	}
}

Oid
nvmkv_trigger_function(const char *name)
{
	List *qualified = list_make2(makeString(pstrdup(NVMKV_CATALOG_SCHEMA)), makeString(pstrdup(name)));
	Oid function = LookupFuncName(qualified, 0, NULL, true);

	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s.%s() does not exist", NVMKV_CATALOG_SCHEMA, name),
				 errhint("Version 1.0 of the extension has none. Run ALTER EXTENSION nvmkv_fdw UPDATE in this database.")));
	return function;
}
