/*
 * keyoption.c
 *	  The option of a table that tells its primary key.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/ddl/keyoption.h"
#include "fdw/key/keyspec.h"
#include "fdw/table/option.h"

char *
nvmkv_primary_key_option(Oid relid)
{
	const char *definition = nvmkv_option_string(GetForeignTable(relid)->options, NVMKV_OPTION_PRIMARY_KEY);

	return definition != NULL ? pstrdup(definition) : NULL;
}

void
nvmkv_primary_key_set_option(Oid relid, List *specs)
{
	Relation foreign_tables = table_open(ForeignTableRelationId, RowExclusiveLock);
	HeapTuple old = SearchSysCache1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));
	Datum values[Natts_pg_foreign_table] = {0};
	bool nulls[Natts_pg_foreign_table] = {false};
	bool replaces[Natts_pg_foreign_table] = {false};
	DefElem *option = makeDefElem(NVMKV_OPTION_PRIMARY_KEY, NULL, -1);
	Datum options;
	HeapTuple tuple;

	if (!HeapTupleIsValid(old))
		elog(ERROR, "cache lookup failed for foreign table %u", relid);
	if (specs != NIL)
		option->arg = (Node *) makeString(nvmkv_format_primary_key(specs));
	option->defaction = specs == NIL ? DEFELEM_DROP
		: nvmkv_primary_key_option(relid) != NULL ? DEFELEM_SET
												  : DEFELEM_ADD;
	options = SysCacheGetAttr(FOREIGNTABLEREL, old, Anum_pg_foreign_table_ftoptions,
							  &nulls[Anum_pg_foreign_table_ftoptions - 1]);
	if (nulls[Anum_pg_foreign_table_ftoptions - 1])
		options = PointerGetDatum(NULL);
	options = transformGenericOptions(ForeignTableRelationId, options, list_make1(option), InvalidOid);
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

void
nvmkv_primary_key_rename_column(Oid relid, const char *old_name, const char *new_name)
{
	const char *definition = nvmkv_primary_key_option(relid);
	List *specs = definition != NULL ? nvmkv_parse_primary_key(definition) : NIL;
	bool renamed = false;
	ListCell *lc;

	foreach(lc, specs)
	{
		NvmkvKeySpec *spec = lfirst(lc);

		if (strcmp(spec->name, old_name) == 0)
		{
			spec->name = pstrdup(new_name);
			renamed = true;
		}
	}
	if (renamed)
		nvmkv_primary_key_set_option(relid, specs);
}
