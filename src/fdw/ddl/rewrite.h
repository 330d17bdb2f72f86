/*
 * rewrite.h
 *	  Rows of a table that get another key.
 */
#ifndef NVMKV_FDW_REWRITE_H
#define NVMKV_FDW_REWRITE_H

#include "postgres.h"

#include "utils/rel.h"
#include "utils/snapshot.h"

#include "fdw/table/table.h"

/*
 * Writes the rows that the snapshot sees in the storage that "old" describes into the one that the table has now,
 * under the key that it has now, and makes its indexes anew.  As when the server rewrites a heap table, snapshots that
 * are older than this transaction see no rows afterwards.  REQUIRES AccessExclusiveLock; the definition has been
 * changed and the storage is new (nvmkv_table_new_storage).  ERROR 23505, as for a unique index of this name: two rows
 * have the same key; 23502.
 */
extern void nvmkv_rewrite_rows(Relation rel, const NvmkvTable *old, Snapshot snapshot, const char *constraint);

#endif
