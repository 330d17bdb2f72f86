/*
 * relinfo.h
 *	  What the planner is told about a foreign table before it makes paths: size and key.
 */
#ifndef NVMKV_FDW_RELINFO_H
#define NVMKV_FDW_RELINFO_H

#include "nodes/pathnodes.h"

#include "fdw/plan/cost.h"

/* Called once, from _PG_init: installs the planner's hook. */
extern void nvmkv_relinfo_init(void);

/* The rel's information; makes it if the hook could not. */
extern NvmkvRelInfo *nvmkv_relinfo(RelOptInfo *rel, Oid relid);

/* Makes core look for index paths that an OR joins: bitmap paths, which it would otherwise spend time on in vain. */
extern void nvmkv_relinfo_allow_or(RelOptInfo *rel);

/* Estimate for all of a table's keys, remembered for a moment: zeroes when there is no engine or no storage yet. */
extern void nvmkv_table_estimate(const NvmkvTable *table, NvmkvEstimate *estimate_out);

#endif
