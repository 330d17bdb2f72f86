/*
 * column.h
 *	  What the catalogue says of a table's columns, changed by us.
 */
#ifndef NVMKV_FDW_COLUMN_H
#define NVMKV_FDW_COLUMN_H

#include "postgres.h"

#include "utils/rel.h"

/* Raises 55000 where a constraint makes a column NOT NULL that is to be one of a key, and is not good enough. */
extern void nvmkv_check_not_null_of_key(Oid relid, const char *column);

/* Marks key columns NOT NULL, as a primary key does, with that check.  The caller verifies that no row has a NULL. */
extern void nvmkv_set_key_not_null(Relation rel);

/* What rows written before read in the column, as StoreAttrDefault stores it for heap tables. */
extern void nvmkv_set_missing_value(Relation rel, AttrNumber attnum, Datum value);

#endif
