/*
 * cost.h
 *	  What a scan by key costs.
 */
#ifndef NVMKV_FDW_COST_H
#define NVMKV_FDW_COST_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "fdw/plan/quals.h"
#include "fdw/table/table.h"

/* RelOptInfo.fdw_private of our tables. */
typedef struct NvmkvRelInfo
{
	NvmkvTable *table;
	double bytes;	/* of keys and values, versions included */
	double sources; /* sorted sources a lookup may have to ask */
	struct NvmkvReach *reach; /* cost.c: of the last path that was looked at; NULL: none was */
} NvmkvRelInfo;

/* How many rows a scan reads in vain before it leaps over more of them (skip.h). */
#define NVMKV_SKIP_ROWS_IN_VAIN 8

/* amcostestimate of the indexes relinfo.c makes: of the key, and of others. */
extern void nvmkv_cost_key_path(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_out,
								Cost *total_out, Selectivity *selectivity_out, double *correlation_out,
								double *pages_out);

extern void nvmkv_cost_index_path(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_out,
								  Cost *total_out, Selectivity *selectivity_out, double *correlation_out,
								  double *pages_out);

/* Does a scan of the path skip columns without conditions to those behind them, because that is less work? */
extern bool nvmkv_path_skips(PlannerInfo *root, const IndexPath *path);

/* A path as part of an OR, where nothing is skipped: what reading its entries or rows costs, and how many they are. */
extern void nvmkv_cost_arm(PlannerInfo *root, IndexPath *path, Cost *total_out, Selectivity *selectivity_out);

/*
 * What a path by an index, not parameterized, costs less than core believes, who takes rows for read in the order of
 * their entries: if no order is asked for they are read in that of the table, many at a time.
 */
extern Cost nvmkv_fetch_saving(PlannerInfo *root, const IndexPath *path);

/* To find the first row of a range, or a single row. */
extern Cost nvmkv_seek_cost(RelOptInfo *rel, const NvmkvRelInfo *info);

/* The whole table, in a form comparable with cost_index; *cpu_out is the part several processes can share. */
extern void nvmkv_cost_table_scan(PlannerInfo *root, RelOptInfo *rel, const NvmkvRelInfo *info,
								  const ParamPathInfo *param_info, double rows, Cost *startup_out, Cost *total_out,
								  Cost *cpu_out);

#endif
