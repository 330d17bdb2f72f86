/*
 * work_limit.h
 *	  How fast compaction may write.
 *
 * Compaction takes what it writes out of a bucket (bucket.h) and naps when that
 * is empty, holding its claim and nothing else.  The limit is for quiet times:
 * it does not apply while any reserve of room for writes shrinks
 * (write_control.h), so it never makes a writer wait, nor while somebody waits
 * for compaction itself (a backup point, nvmkv_compact_all).  Flushes are
 * exempt, since writers and checkpoints wait for them.  The limit is one for all
 * families, and lifted for each that is in need.
 */
#ifndef NVMKV_TREE_WORK_LIMIT_H
#define NVMKV_TREE_WORK_LIMIT_H

#include "engine/tree/tree.h"

/* A job asks after so many bytes. */
#define WORK_LIMIT_PIECE_BYTES UINT64_C(65536)

/* So many bytes were written: waits as long as the limit wants.  CANCELLED.  Hold no lock, be in no epoch. */
extern NvmkvStatus work_limit_pay(NvmkvDb *db, uint64_t bytes);

/* Somebody waits for compaction.  Say so again twice a second while it lasts. */
extern void work_limit_urge(NvmkvDb *db);

#endif
