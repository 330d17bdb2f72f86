/*
 * rewrite.h
 *	  Rows of a table that get another key, or other values.
 */
#ifndef NVMKV_FDW_REWRITE_H
#define NVMKV_FDW_REWRITE_H

#include "postgres.h"

#include "nodes/primnodes.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "fdw/table/table.h"

/* A column whose value is made anew. */
typedef struct NvmkvNewValue
{
	AttrNumber attnum;
	Expr *expr; /* planned */
	bool of_new_row; /* of the row with all other new values, as generated columns are; else of the old row */
} NvmkvNewValue;

extern NvmkvNewValue *nvmkv_new_value(AttrNumber attnum, Expr *expr, bool of_new_row);

/*
 * Writes the rows that the snapshot sees in the storage that "old" describes into the one that the table has now,
 * under the key that it has now and with the values of the list, and makes its indexes anew.  As when the server
 * rewrites a heap table, snapshots that are older than this transaction see no rows afterwards.  REQUIRES
 * AccessExclusiveLock; the definition has been changed and the storage is new (nvmkv_table_new_storage).  "old" may
 * have other types and fewer columns; a column that it has not and that the list has not is NULL.
 *
 * ERROR 23505, as for a unique index of this name (NULL: that of the key): two rows have the same key; 23502; what the
 * expressions raise.
 */
extern void nvmkv_rewrite_rows(Relation rel, const NvmkvTable *old, Snapshot snapshot, List *new_values,
							   const char *constraint);

/*
 * The same for a table that is a heap still and has a row in pg_foreign_table, and a storage, already: writes its rows.
 * The indexes are for nvmkv_rewrite_indexes(), when they are ours.
 */
extern void nvmkv_rewrite_heap(Relation rel, Snapshot snapshot);

/* Makes all indexes of the table anew, but that of the primary key. */
extern void nvmkv_rewrite_indexes(Relation rel);

#endif
