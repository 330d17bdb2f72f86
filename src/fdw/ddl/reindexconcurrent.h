/*
 * reindexconcurrent.h
 *	  REINDEX CONCURRENTLY.
 */
#ifndef NVMKV_FDW_REINDEXCONCURRENT_H
#define NVMKV_FDW_REINDEXCONCURRENT_H

#include "postgres.h"

/*
 * Makes an index of one of our tables anew while others read and write it.  Ends this transaction, and several more; at
 * the return one has begun, without a snapshot.  REQUIRES: ShareUpdateExclusiveLock on the table for the session, and
 * that this is no transaction block; the index is not the table's key.
 *
 * 0A000: its constraint is DEFERRABLE; 55000: it has been dropped or altered meanwhile; else as
 * nvmkv_index_fill_concurrently.  After an error the index is as it was; a copy of it may stay, invalid, with "_ccnew" at
 * the end of its name, which can be dropped.
 */
extern void nvmkv_reindex_concurrently(Oid relid, Oid index_oid);

#endif
