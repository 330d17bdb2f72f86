/*
 * choice.h
 *	  Which compaction is next in a tree, and one step of it.
 */
#ifndef NVMKV_JOB_CHOICE_H
#define NVMKV_JOB_CHOICE_H

#include "engine/tree/tree.h"

/* BUSY: others are at what there is to do. */
extern NvmkvStatus compact_step(NvmkvDb *db, bool force, bool *did_out, bool *more_out);

#endif
