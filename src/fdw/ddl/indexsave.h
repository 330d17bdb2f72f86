/*
 * indexsave.h
 *	  Indexes that are removed before a statement and made again after it.
 */
#ifndef NVMKV_FDW_INDEXSAVE_H
#define NVMKV_FDW_INDEXSAVE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * Removes the indexes of the table that depend on the column, with their constraints.  Returns what
 * nvmkv_indexes_restore() needs.  ERROR 2BP01: something else depends on one.
 */
extern List *nvmkv_indexes_save(Relation rel, AttrNumber attnum);

/* Makes them again, with their names and comments, on the table as it is now. */
extern void nvmkv_indexes_restore(Oid relid, List *saved);

#endif
