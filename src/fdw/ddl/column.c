/*
 * column.c
 *	  What the catalogue says of a table's columns, changed by us.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "foreign/foreign.h"
#include "utils/array.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/column.h"
#include "fdw/table/table.h"

static void
update_attribute(Oid relid, AttrNumber attnum, Datum *values, bool *nulls, bool *replaces)
{
	Relation attributes = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple old = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attnum));
	HeapTuple tuple;

	if (!HeapTupleIsValid(old))
		elog(ERROR, "cache lookup failed for attribute %d of relation %u", attnum, relid);
	tuple = heap_modify_tuple(old, RelationGetDescr(attributes), values, nulls, replaces);
	CatalogTupleUpdate(attributes, &old->t_self, tuple);
	ReleaseSysCache(old);
	heap_freetuple(tuple);
	table_close(attributes, RowExclusiveLock);
	CommandCounterIncrement();
}

static void
set_not_null(Relation rel, AttrNumber attnum)
{
	Datum values[Natts_pg_attribute] = {0};
	bool nulls[Natts_pg_attribute] = {false};
	bool replaces[Natts_pg_attribute] = {false};

	nvmkv_add_not_null_constraint(rel, NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname));
	values[Anum_pg_attribute_attnotnull - 1] = BoolGetDatum(true);
	replaces[Anum_pg_attribute_attnotnull - 1] = true;
	update_attribute(RelationGetRelid(rel), attnum, values, nulls, replaces);
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

	values[Anum_pg_attribute_atthasmissing - 1] = BoolGetDatum(true);
	replaces[Anum_pg_attribute_atthasmissing - 1] = true;
	values[Anum_pg_attribute_attmissingval - 1] = PointerGetDatum(array);
	replaces[Anum_pg_attribute_attmissingval - 1] = true;
	update_attribute(RelationGetRelid(rel), attnum, values, nulls, replaces);
}
