/*
 * tree_pool.h
 *	  The container of a tree that is being opened.
 */
#ifndef NVMKV_TREE_TREE_POOL_H
#define NVMKV_TREE_TREE_POOL_H

#include "engine/tree/tree.h"

/* Memtables that must fit into the pool: one being flushed, and a batch that is drained meanwhile. */
#define DB_POOL_MEMTABLES_MIN 3

/*
 * Without rows a new pool will do, too; and one that is not wanted any more goes.  A pool with rows is opened, whatever
 * is wanted: what is in the way of the size wanted is compacted (column.c).  CORRUPTION, INVALID: it is not the one
 * that the manifest speaks of.
 */
extern NvmkvStatus tree_open_pool(NvmkvDb *db, NvmPoolShm *pool_shm);

#endif
