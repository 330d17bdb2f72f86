/*
 * count.h
 *	  SELECT count(*): rows that a scan counts where it finds them.
 *
 * Where a scan returns just the rows that are meant, and nothing of them is
 * used, they need not go up one by one to be counted: the scan is that of the
 * grouped relation, returns one row, and is planned and run as the scan of the
 * table is.  In a parallel plan each process counts what it has read.
 */
#ifndef NVMKV_FDW_COUNT_H
#define NVMKV_FDW_COUNT_H

#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"

/* Adds such paths, for counts and for those of processes that are added up. */
extern void nvmkvGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
									  RelOptInfo *output_rel, void *extra);

/* The plan of such a path, and of a table's (plan.h). */
extern ForeignScan *nvmkvGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
										List *tlist, List *scan_clauses, Plan *outer_plan);

#endif
