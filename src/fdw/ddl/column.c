/*
 * column.c
 *	  What the catalogue says of a table's columns, changed by us.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_constraint.h"
#include "foreign/foreign.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

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

static void
report_unsuitable(Oid relid, const char *column, const char *constraint, const char *mark, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot create primary key on column \"%s\"", column),
			 errdetail("The constraint \"%s\" on column \"%s\" of table \"%s\", marked %s, is incompatible with a primary key.",
					   constraint, column, get_rel_name(relid), mark),
			 errhint("%s", hint)));
}

void
nvmkv_check_not_null_of_key(Oid relid, const char *column)
{
	AttrNumber attnum = get_attnum(relid, column);
	HeapTuple tuple = attnum > 0 ? nvmkv_not_null_constraint(relid, attnum) : NULL;
	Form_pg_constraint form;

	if (tuple == NULL)
		return;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (form->connoinherit)
		report_unsuitable(relid, column, NameStr(form->conname), "NO INHERIT",
						  "You might need to make the existing constraint inheritable using ALTER TABLE ... ALTER CONSTRAINT ... INHERIT.");
	if (!form->convalidated)
		report_unsuitable(relid, column, NameStr(form->conname), "NOT VALID",
						  "You might need to validate it using ALTER TABLE ... VALIDATE CONSTRAINT.");
	heap_freetuple(tuple);
}

void
nvmkv_set_key_not_null(Relation rel)
{
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	int nkeys = nvmkv_key_resolve(rel, GetForeignTable(RelationGetRelid(rel))->options, keys);

	for (int i = 0; i < nkeys; i++)
	{
		const FormData_pg_attribute *att = TupleDescAttr(RelationGetDescr(rel), keys[i].attnum - 1);

		nvmkv_check_not_null_of_key(RelationGetRelid(rel), NameStr(att->attname));
		if (!att->attnotnull)
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
