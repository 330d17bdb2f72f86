/*
 * apply.h
 *	  A record of the WAL goes to the tree: in recovery, or because it was kept.
 */
#ifndef NVMKV_FDW_APPLY_H
#define NVMKV_FDW_APPLY_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "engine/nvmkv.h"

/*
 * Applies a record of this kind that starts and ends there; one that says nothing of rows is passed over.  What
 * nvmkv_replay and the functions for families return.
 */
extern NvmkvStatus nvmkv_apply(NvmkvDb *db, uint8 info, XLogRecPtr start, XLogRecPtr end, NvmkvSlice data);

/* The same for an entry that was in a memtable, as a batch of one. */
extern NvmkvStatus nvmkv_apply_entry(NvmkvDb *db, uint64 sequence, NvmkvSlice batch);

#endif
