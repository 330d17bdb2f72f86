/*
 * catalogrow.h
 *	  A row of one of the server's catalogues that is changed in place.
 */
#ifndef NVMKV_FDW_CATALOGROW_H
#define NVMKV_FDW_CATALOGROW_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/rel.h"

typedef struct NvmkvCatalogRow
{
	Relation catalog;
	HeapTuple tuple;
} NvmkvCatalogRow;

/*
 * Copies of the row that a relation has in pg_class, a column in pg_attribute, an index in pg_index, a constraint in
 * pg_constraint, a foreign table in pg_foreign_table, to be changed; ERROR if there is none.  What is changed counts
 * from nvmkv_catalog_row_save on, which has to follow.
 */
extern void *nvmkv_class_row(NvmkvCatalogRow *row, Oid relid);
extern void *nvmkv_attribute_row(NvmkvCatalogRow *row, Oid relid, AttrNumber attnum);
extern void *nvmkv_index_row(NvmkvCatalogRow *row, Oid index_oid);
extern void *nvmkv_constraint_row(NvmkvCatalogRow *row, Oid constraint);
extern void *nvmkv_foreign_table_row(NvmkvCatalogRow *row, Oid relid);

/* Changes columns that are not in the struct, as heap_modify_tuple does; returns the struct, which is another then. */
extern void *nvmkv_catalog_row_modify(NvmkvCatalogRow *row, Datum *values, bool *nulls, bool *replaces);

/* Writes the row, and makes it visible to the commands that follow. */
extern void nvmkv_catalog_row_save(NvmkvCatalogRow *row);

#endif
