/*
 * column.h
 *	  Column compaction.
 */
#ifndef NVMKV_JOB_COLUMN_H
#define NVMKV_JOB_COLUMN_H

#include "engine/tree/tree.h"

/* All receiver rows become the compactor, if there is none.  REQUIRES the FLUSH claim. */
extern NvmkvStatus column_start_batch(NvmkvDb *db);

/* Should the receiver become a batch now?  Pure function of the version and the pool. */
extern bool column_gate(NvmkvDb *db, const VersionImage *v, bool force);

/* One column, if there is one that can be had; makes a batch of the receiver before if the gate is open. */
extern NvmkvStatus column_step(NvmkvDb *db, bool force, bool *did_out);

#endif
