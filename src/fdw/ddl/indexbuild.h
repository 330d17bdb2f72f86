/*
 * indexbuild.h
 *	  Filling an index from the rows of its table.
 */
#ifndef NVMKV_FDW_INDEXBUILD_H
#define NVMKV_FDW_INDEXBUILD_H

#include "postgres.h"

#include "utils/rel.h"

/*
 * Gives the index a new storage and fills it with the entries of the rows that are there now; for CREATE INDEX and
 * REINDEX, when the rows of the catalogues are there.  Readers whose snapshots are older than this transaction's end do
 * not use it (indcheckxmin).  REQUIRES: nobody else writes to the table until the transaction ends (ShareLock or more).
 * ERROR 23505: two rows have the same value of a unique index; 0A000: a column cannot be in an index; and what the
 * index's expressions raise, which are run as the table's owner.
 */
extern void nvmkv_index_create(Relation rel, Relation index);

/*
 * What each way to fill an index ends with: all can use it, but snapshots that are older than this transaction: they do
 * not see its entries, and see rows that have none.
 */
extern void nvmkv_index_open_to_readers(Relation rel, Oid index_oid);

/* And begins with: pg_stat_progress_create_index.  A B-tree's phases are ours. */
extern void nvmkv_index_begin_progress(Oid relid, Oid index_oid, bool concurrently);

#endif
