/*
 * catalogrow.c
 *	  See catalogrow.h.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_index.h"
#include "utils/syscache.h"

#include "fdw/ddl/catalogrow.h"

static void *
open_row(NvmkvCatalogRow *row, Oid catalog, int cache, const char *what, Oid oid, AttrNumber attnum)
{
	row->catalog = table_open(catalog, RowExclusiveLock);
	row->tuple = SearchSysCacheCopy(cache, ObjectIdGetDatum(oid), attnum != 0 ? Int16GetDatum(attnum) : 0, 0, 0);
	if (!HeapTupleIsValid(row->tuple))
		elog(ERROR, "cache lookup failed for %s %u", what, oid);
	return GETSTRUCT(row->tuple);
}

void *
nvmkv_class_row(NvmkvCatalogRow *row, Oid relid)
{
	return open_row(row, RelationRelationId, RELOID, "relation", relid, 0);
}

void *
nvmkv_attribute_row(NvmkvCatalogRow *row, Oid relid, AttrNumber attnum)
{
	return open_row(row, AttributeRelationId, ATTNUM, "attribute of relation", relid, attnum);
}

void *
nvmkv_index_row(NvmkvCatalogRow *row, Oid index_oid)
{
	return open_row(row, IndexRelationId, INDEXRELID, "index", index_oid, 0);
}

void *
nvmkv_constraint_row(NvmkvCatalogRow *row, Oid constraint)
{
	return open_row(row, ConstraintRelationId, CONSTROID, "constraint", constraint, 0);
}

void *
nvmkv_foreign_table_row(NvmkvCatalogRow *row, Oid relid)
{
	return open_row(row, ForeignTableRelationId, FOREIGNTABLEREL, "foreign table", relid, 0);
}

void *
nvmkv_catalog_row_modify(NvmkvCatalogRow *row, Datum *values, bool *nulls, bool *replaces)
{
	HeapTuple old = row->tuple;

	row->tuple = heap_modify_tuple(old, RelationGetDescr(row->catalog), values, nulls, replaces);
	heap_freetuple(old);
	return GETSTRUCT(row->tuple);
}

void
nvmkv_catalog_row_save(NvmkvCatalogRow *row)
{
	CatalogTupleUpdate(row->catalog, &row->tuple->t_self, row->tuple);
	heap_freetuple(row->tuple);
	table_close(row->catalog, RowExclusiveLock);
	CommandCounterIncrement();
}
