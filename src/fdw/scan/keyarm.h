/*
 * keyarm.h
 *	  Ranges of keys from conditions joined by AND.
 */
#ifndef NVMKV_FDW_KEYARM_H
#define NVMKV_FDW_KEYARM_H

#include "nodes/execnodes.h"
#include "nodes/pg_list.h"

#include "fdw/scan/keyrange.h"
#include "fdw/table/table.h"

typedef struct NvmkvKeyArm NvmkvKeyArm;

/*
 * In the current memory context, which must outlive it.  clauses and conditions: as nvmkv_match_quals made them, or
 * what nvmkv_match_behind has added: then the ranges are those behind a prefix, which is to be set.
 */
extern NvmkvKeyArm *nvmkv_keyarm_create(List *clauses, List *conditions, bool backward, PlanState *parent);

/* Evaluates the comparison values anew; the next range is the first one. */
extern void nvmkv_keyarm_evaluate(NvmkvKeyArm *arm, const NvmkvTable *table, ExprContext *econtext);

/* Back to the first range, with the values as they are. */
extern void nvmkv_keyarm_rewind(NvmkvKeyArm *arm);

/* The bytes that a key begins with, up to the first column with a condition; copied.  The next range is the first. */
extern void nvmkv_keyarm_set_prefix(NvmkvKeyArm *arm, NvmkvSlice prefix);

/* Can there be more than one range, whatever the values are? */
extern bool nvmkv_keyarm_has_arrays(const NvmkvKeyArm *arm);

/* The next range in the direction of the scan, false after the last one.  Its bytes are valid until the next call. */
extern bool nvmkv_keyarm_next(NvmkvKeyArm *arm, NvmkvKeyRange *range_out);

#endif
