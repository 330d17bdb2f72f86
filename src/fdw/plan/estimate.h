/*
 * estimate.h
 *	  How much is in a table or an index.
 */
#ifndef NVMKV_FDW_ESTIMATE_H
#define NVMKV_FDW_ESTIMATE_H

#include "postgres.h"

#include "fdw/table/table.h"

/*
 * Estimate for all keys of a table, or of an index's entries, remembered for a moment: zeroes when there is no engine
 * or no storage yet.
 */
extern void nvmkv_table_estimate(const NvmkvTable *table, NvmkvEstimate *estimate_out);

#endif
