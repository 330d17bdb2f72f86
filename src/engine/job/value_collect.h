/*
 * value_collect.h
 *	  Dropping and collecting value tables (value.h says when).
 */
#ifndef NVMKV_JOB_VALUE_COLLECT_H
#define NVMKV_JOB_VALUE_COLLECT_H

#include "engine/tree/tree.h"

/* Drops dead value tables. */
extern NvmkvStatus value_sweep(NvmkvDb *db, bool *did_out);

/* Rewrites a table that refers to a value table that is given up. */
extern NvmkvStatus value_collect(NvmkvDb *db, bool *did_out);

/*
 * The same until no value table in [lower, upper) (upper.size 0: no upper bound) that is there now has anything in it
 * that is nobody's, but for what others are at work on.
 */
extern NvmkvStatus value_free_all(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper);

/* What an abort has cut short. */
extern void value_abandon(NvmkvDb *db);

#endif
