/*
 * tableoption.c
 *	  Options of a table, in the catalogue.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "fdw/ddl/catalogrow.h"
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
	NvmkvCatalogRow row;
	Datum values[Natts_pg_foreign_table] = {0};
	bool nulls[Natts_pg_foreign_table] = {false};
	bool replaces[Natts_pg_foreign_table] = {false};
	bool none;
	Datum options;
	ListCell *lc;

	(void) nvmkv_foreign_table_row(&row, relid);
	options = SysCacheGetAttr(FOREIGNTABLEREL, row.tuple, Anum_pg_foreign_table_ftoptions, &none);
	if (none)
		options = PointerGetDatum(NULL);
	foreach(lc, changes)
		options = change_option(options, lfirst_node(DefElem, lc));
	values[Anum_pg_foreign_table_ftoptions - 1] = options;
	nulls[Anum_pg_foreign_table_ftoptions - 1] = DatumGetPointer(options) == NULL;
	replaces[Anum_pg_foreign_table_ftoptions - 1] = true;
	(void) nvmkv_catalog_row_modify(&row, values, nulls, replaces);
	CacheInvalidateRelcacheByRelid(relid);
	nvmkv_catalog_row_save(&row);
}
