/*
 * column.c
 *	  What the catalogue says of a table's columns, changed by us.
 */
#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "foreign/foreign.h"
#include "utils/array.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/catalogrow.h"
#include "fdw/ddl/column.h"
#include "fdw/table/table.h"

static void
set_not_null(Relation rel, AttrNumber attnum)
{
	NvmkvCatalogRow row;
	Form_pg_attribute form;

	nvmkv_add_not_null_constraint(rel, NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname));
	form = nvmkv_attribute_row(&row, RelationGetRelid(rel), attnum);
	form->attnotnull = true;
	nvmkv_catalog_row_save(&row);
}

void
nvmkv_set_key_not_null(Relation rel)
{
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	int nkeys = nvmkv_key_resolve(rel, GetForeignTable(RelationGetRelid(rel))->options, keys);

	for (int i = 0; i < nkeys; i++)
	{
		if (!TupleDescAttr(RelationGetDescr(rel), keys[i].attnum - 1)->attnotnull)
			set_not_null(rel, keys[i].attnum);
	}
}

void
nvmkv_set_missing_value(Relation rel, AttrNumber attnum, Datum value)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Datum values[Natts_pg_attribute] = {0};
	bool nulls[Natts_pg_attribute] = {false};
	bool replaces[Natts_pg_attribute] = {false};
	ArrayType *array = construct_array(&value, 1, att->atttypid, att->attlen, att->attbyval, att->attalign);
	NvmkvCatalogRow row;

	values[Anum_pg_attribute_atthasmissing - 1] = BoolGetDatum(true);
	replaces[Anum_pg_attribute_atthasmissing - 1] = true;
	values[Anum_pg_attribute_attmissingval - 1] = PointerGetDatum(array);
	replaces[Anum_pg_attribute_attmissingval - 1] = true;
	(void) nvmkv_attribute_row(&row, RelationGetRelid(rel), attnum);
	(void) nvmkv_catalog_row_modify(&row, values, nulls, replaces);
	nvmkv_catalog_row_save(&row);
}
