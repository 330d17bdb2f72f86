/*
 * cost.h
 *	  What a scan by key costs.
 */
#ifndef NVMKV_FDW_COST_H
#define NVMKV_FDW_COST_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "fdw/table/table.h"

/* RelOptInfo.fdw_private of our tables. */
typedef struct NvmkvRelInfo
{
	NvmkvTable *table;
	double bytes;	/* of keys and values, versions included */
	double sources; /* sorted sources a lookup may have to ask */
} NvmkvRelInfo;

/* amcostestimate of the indexes relinfo.c makes: of the key, and of others. */
extern void nvmkv_cost_key_path(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_out,
								Cost *total_out, Selectivity *selectivity_out, double *correlation_out,
								double *pages_out);

extern void nvmkv_cost_index_path(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_out,
								  Cost *total_out, Selectivity *selectivity_out, double *correlation_out,
								  double *pages_out);

/* To find the first row of a range, or a single row. */
extern Cost nvmkv_seek_cost(RelOptInfo *rel, const NvmkvRelInfo *info);

/* The whole table, in a form comparable with cost_index; *cpu_out is the part several processes can share. */
extern void nvmkv_cost_table_scan(PlannerInfo *root, RelOptInfo *rel, const NvmkvRelInfo *info,
								  const ParamPathInfo *param_info, double rows, Cost *startup_out, Cost *total_out,
								  Cost *cpu_out);

#endif
