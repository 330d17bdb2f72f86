/*
 * collect.h
 *	  Conditions joined by OR that several indexes serve: the keys of the rows
 *	  are collected, and each row is read once.
 */
#ifndef NVMKV_FDW_COLLECT_H
#define NVMKV_FDW_COLLECT_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "nodes/pg_list.h"

#include "fdw/scan/scanreport.h"
#include "fdw/table/table.h"
#include "fdw/txn/visibility.h"

typedef struct NvmkvCollector NvmkvCollector;

/*
 * clauses, conditions: from the plan; indexes: OIDs, of the index for each arm, 0: the table's key.  In the current
 * memory context, which must outlive it.  What is read is counted in the report.
 */
extern NvmkvCollector *nvmkv_collector_create(List *clauses, List *conditions, List *indexes, PlanState *parent,
											  NvmkvScanReport *report);

/* Evaluates the comparison values anew and reads all ranges; the next key is the first one. */
extern void nvmkv_collector_evaluate(NvmkvCollector *collector, const NvmkvTable *table, NvmkvVisibility *visibility,
									 ExprContext *econtext);

/*
 * The next key of a row, each once, ascending; *index_out: one that had an entry of it, NULL: the table's key.  False
 * after the last one.  Its bytes are valid until the next call.
 */
extern bool nvmkv_collector_next(NvmkvCollector *collector, NvmkvSlice *key_out, const NvmkvIndex **index_out);

/* Back to the first key. */
extern void nvmkv_collector_rewind(NvmkvCollector *collector);

/* Adds what the engine has done for it. */
extern void nvmkv_collector_add_stats(const NvmkvCollector *collector, NvmkvScanStats *stats);

/* The query has ended, and its temporary files go. */
extern void nvmkv_collector_end(NvmkvCollector *collector);

/* Gives back what the engine has allocated; all there is to do after an ERROR. */
extern void nvmkv_collector_release(NvmkvCollector *collector);

#endif
