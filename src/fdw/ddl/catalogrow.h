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
 * Copies of a relation's row in pg_class and of an index's in pg_index, to be changed; ERROR if there is none.  What is
 * changed counts from nvmkv_catalog_row_save on, which has to follow.
 */
extern void *nvmkv_class_row(NvmkvCatalogRow *row, Oid relid);
extern void *nvmkv_index_row(NvmkvCatalogRow *row, Oid index_oid);

/* Writes the row, and makes it visible to the commands that follow. */
extern void nvmkv_catalog_row_save(NvmkvCatalogRow *row);

#endif
