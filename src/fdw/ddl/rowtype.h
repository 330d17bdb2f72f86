/*
 * rowtype.h
 *	  Row types that our tables have values of.
 */
#ifndef NVMKV_FDW_ROWTYPE_H
#define NVMKV_FDW_ROWTYPE_H

#include "postgres.h"

#include "utils/rel.h"

/*
 * ERROR 0A000 if a column of one of our tables, rows or none, is of the row type, or of one with values of it within:
 * it must not change under them.
 */
extern void nvmkv_refuse_stored_row_type(Oid row_type);

/*
 * The same for the table's row type, in tables of any kind: a column with a value in old rows is added to it, or its
 * rows are written anew.
 */
extern void nvmkv_refuse_row_type_change(Relation rel);

#endif
