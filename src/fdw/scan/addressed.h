/*
 * addressed.h
 *	  Scans of a table with a primary key for the rows of some ctids.
 */
#ifndef NVMKV_FDW_ADDRESSED_H
#define NVMKV_FDW_ADDRESSED_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "fdw/table/table.h"

typedef struct NvmkvAddressed NvmkvAddressed;

/* clause: as the planner has found it, nvmkv_address_clause.  In the current memory context, which must outlive it. */
extern NvmkvAddressed *nvmkv_addressed_create(Expr *clause, PlanState *parent);

/* Evaluates the ctids anew. */
extern void nvmkv_addressed_evaluate(NvmkvAddressed *addressed, const NvmkvTable *table, ExprContext *econtext);

/* Is the version with this sequence one of them? */
extern bool nvmkv_addressed_has(const NvmkvAddressed *addressed, uint64 sequence);

/* Are the keys of all of them known?  Then nvmkv_addressed_next gives them. */
extern bool nvmkv_addressed_knows_keys(const NvmkvAddressed *addressed);

/* The next key in the direction of the scan, each once; false after the last one. */
extern bool nvmkv_addressed_next(NvmkvAddressed *addressed, bool backward, NvmkvSlice *key_out);

/* Back to the first key. */
extern void nvmkv_addressed_rewind(NvmkvAddressed *addressed);

#endif
