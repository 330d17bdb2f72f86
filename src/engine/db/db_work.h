/*
 * db_work.h
 *	  Background work of a tree: what makes room for writes, and what somebody waits
 *	  for.
 */
#ifndef NVMKV_DB_DB_WORK_H
#define NVMKV_DB_DB_WORK_H

#include "engine/tree/tree.h"

/*
 * One step of whatever makes room for writes: a flush, or a column where the pool is full.  *did_out: it helped.
 * BUSY: others are at it.  NO_SPACE and all other failures: waiting would not help.
 */
extern NvmkvStatus db_make_room(NvmkvDb *db, bool *did_out);

/* nvmkv_flush_all of one tree. */
extern NvmkvStatus tree_flush(NvmkvDb *db);

/* Drains all rows of the container older than this one into level 1; younger ones may come as fast as they like. */
extern NvmkvStatus db_drain_rows_before(NvmkvDb *db, uint64_t row_id);

#endif
