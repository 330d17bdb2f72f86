/*
 * keyscan.h
 *	  The ranges of keys a scan visits.
 */
#ifndef NVMKV_FDW_KEYSCAN_H
#define NVMKV_FDW_KEYSCAN_H

#include "nodes/execnodes.h"
#include "nodes/pg_list.h"

#include "fdw/scan/keyrange.h"
#include "fdw/table/table.h"

typedef struct NvmkvKeyScan NvmkvKeyScan;

/* In the current memory context, which must outlive it.  clauses and conditions: from the plan. */
extern NvmkvKeyScan *nvmkv_keyscan_create(List *clauses, List *conditions, bool backward, PlanState *parent);

/* Evaluates the comparison values anew; the next range is the first one. */
extern void nvmkv_keyscan_evaluate(NvmkvKeyScan *ks, const NvmkvTable *table, ExprContext *econtext);

/* Back to the first range, with the values as they are. */
extern void nvmkv_keyscan_rewind(NvmkvKeyScan *ks);

/* Is it one range at most, whatever the values are? */
extern bool nvmkv_keyscan_is_one_range(const NvmkvKeyScan *ks);

/*
 * The next range in the direction of the scan, false after the last one.  Its bytes are valid until the next call.
 * Ranges do not overlap.
 */
extern bool nvmkv_keyscan_next(NvmkvKeyScan *ks, NvmkvKeyRange *range_out);

#endif
