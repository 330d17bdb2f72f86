/*
 * indexconcurrent.h
 *	  Filling an index while others write to its table.
 */
#ifndef NVMKV_FDW_INDEXCONCURRENT_H
#define NVMKV_FDW_INDEXCONCURRENT_H

#include "postgres.h"

/*
 * Fills an index that has been made invalid, ready and empty by this transaction (nvmkv_define_index), while others
 * write to the table, and makes it valid, if so wanted.  Ends this transaction, and several more; at the return one has
 * begun.
 * REQUIRES: ShareUpdateExclusiveLock on the table, and that this is no transaction block.
 *
 * ERROR 23505: two rows have the same value of a unique index; and what the index's expressions raise, which are run as
 * the table's owner.  Then, and after a crash, the index stays as it is, invalid: writers keep it, nobody reads it, and
 * it can be dropped or made anew by REINDEX.
 */
extern void nvmkv_index_fill_concurrently(Oid relid, Oid index_oid, bool becomes_valid);

#endif
