/*
 * catalogrow.c
 *	  See catalogrow.h.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "utils/syscache.h"

#include "fdw/ddl/catalogrow.h"

static void *
open_row(NvmkvCatalogRow *row, Oid catalog, int cache, const char *what, Oid oid)
{
	row->catalog = table_open(catalog, RowExclusiveLock);
	row->tuple = SearchSysCacheCopy1(cache, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(row->tuple))
		elog(ERROR, "cache lookup failed for %s %u", what, oid);
	return GETSTRUCT(row->tuple);
}

void *
nvmkv_class_row(NvmkvCatalogRow *row, Oid relid)
{
	return open_row(row, RelationRelationId, RELOID, "relation", relid);
}

void *
nvmkv_index_row(NvmkvCatalogRow *row, Oid index_oid)
{
	return open_row(row, IndexRelationId, INDEXRELID, "index", index_oid);
}

void
nvmkv_catalog_row_save(NvmkvCatalogRow *row)
{
	CatalogTupleUpdate(row->catalog, &row->tuple->t_self, row->tuple);
	heap_freetuple(row->tuple);
	table_close(row->catalog, RowExclusiveLock);
	CommandCounterIncrement();
}
