/*
 * tableoption.c
 *	  Options of a table, in the catalogue.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/ddl/tableoption.h"
#include "fdw/table/option.h"

static Datum
change_option(Datum options, DefElem *to)
{
	DefElem *change = copyObject(to);
	bool is_there = nvmkv_option_string(untransformRelOptions(options), to->defname) != NULL;

	if (to->defaction == DEFELEM_DROP && !is_there)
		return options;
	if (to->defaction != DEFELEM_DROP)
		change->defaction = is_there ? DEFELEM_SET : DEFELEM_ADD;
	return transformGenericOptions(ForeignTableRelationId, options, list_make1(change), InvalidOid);
}

void
nvmkv_table_change_options(Oid relid, List *changes)
{
	Relation foreign_tables = table_open(ForeignTableRelationId, RowExclusiveLock);
	HeapTuple old = SearchSysCache1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));
	Datum values[Natts_pg_foreign_table] = {0};
	bool nulls[Natts_pg_foreign_table] = {false};
	bool replaces[Natts_pg_foreign_table] = {false};
	bool none;
	Datum options;
	HeapTuple tuple;
	ListCell *lc;

	if (!HeapTupleIsValid(old))
		elog(ERROR, "cache lookup failed for foreign table %u", relid);
	options = SysCacheGetAttr(FOREIGNTABLEREL, old, Anum_pg_foreign_table_ftoptions, &none);
	if (none)
		options = PointerGetDatum(NULL);
	foreach(lc, changes)
		options = change_option(options, lfirst_node(DefElem, lc));
	values[Anum_pg_foreign_table_ftoptions - 1] = options;
	nulls[Anum_pg_foreign_table_ftoptions - 1] = DatumGetPointer(options) == NULL;
	replaces[Anum_pg_foreign_table_ftoptions - 1] = true;
	tuple = heap_modify_tuple(old, RelationGetDescr(foreign_tables), values, nulls, replaces);
	CatalogTupleUpdate(foreign_tables, &old->t_self, tuple);
	ReleaseSysCache(old);
	table_close(foreign_tables, RowExclusiveLock);
	CacheInvalidateRelcacheByRelid(relid);
	CommandCounterIncrement();
}
