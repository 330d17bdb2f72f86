/*
 * skip.h
 *	  Scans with conditions behind key columns that have none: these are skipped.
 */
#ifndef NVMKV_FDW_SKIP_H
#define NVMKV_FDW_SKIP_H

#include "nodes/execnodes.h"
#include "nodes/pg_list.h"

#include "fdw/scan/keyrange.h"
#include "fdw/table/table.h"

typedef struct NvmkvSkip NvmkvSkip;

typedef enum NvmkvSkipVerdict
{
	NVMKV_SKIP_SHOW, /* the conditions mean this key */
	NVMKV_SKIP_PASS, /* they do not: read on */
	NVMKV_SKIP_LEAP, /* nor all before a range that is nearer to the end: read that instead */
	NVMKV_SKIP_END	 /* nor any other key of the range */
} NvmkvSkipVerdict;

/*
 * In the current memory context, which must outlive it.  clauses and conditions: those that nvmkv_match_behind has
 * added; skip_to: its column.
 */
extern NvmkvSkip *nvmkv_skip_create(List *clauses, List *conditions, int skip_to, bool backward, PlanState *parent);

/* Evaluates the comparison values anew. */
extern void nvmkv_skip_evaluate(NvmkvSkip *skip, const NvmkvTable *table, ExprContext *econtext);

/* A range, which is no single key, is read from its beginning in the direction of the scan. */
extern void nvmkv_skip_begin(NvmkvSkip *skip, const NvmkvKeyRange *range);

/* The next key of what is read.  *range_out: for LEAP; its bytes are valid until the next one. */
extern NvmkvSkipVerdict nvmkv_skip_judge(NvmkvSkip *skip, NvmkvSlice key, NvmkvKeyRange *range_out);

#endif
