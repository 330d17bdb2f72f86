/*
 * everyrow.h
 *	  All rows of a table, one by one, for work that is not a query.
 */
#ifndef NVMKV_FDW_EVERYROW_H
#define NVMKV_FDW_EVERYROW_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "fdw/table/table.h"

typedef void (*NvmkvVisitRow)(void *ctx, const NvmkvScanRow *row);

/* Calls visit for each row that the snapshot sees, in the order of keys.  ERROR as a scan, and what visit raises. */
extern void nvmkv_every_row(const NvmkvTable *table, Snapshot snapshot, NvmkvVisitRow visit, void *ctx);

/*
 * The same for some rows, one at least if there is any, max_rows at most, with keys from "from" on (a key with its
 * storage; empty: from the first on), without their values.
 */
extern void nvmkv_some_keys(const NvmkvTable *table, Snapshot snapshot, NvmkvSlice from, unsigned max_rows,
							NvmkvVisitRow visit, void *ctx);

#endif
