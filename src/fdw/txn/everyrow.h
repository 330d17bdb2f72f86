/*
 * everyrow.h
 *	  All rows of a table, one by one, for work that is not a query.
 */
#ifndef NVMKV_FDW_EVERYROW_H
#define NVMKV_FDW_EVERYROW_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "fdw/table/table.h"

/* Calls visit for each row that the snapshot sees, in the order of keys.  ERROR as a scan, and what visit raises. */
extern void nvmkv_every_row(const NvmkvTable *table, Snapshot snapshot,
							void (*visit)(void *ctx, const NvmkvScanRow *row), void *ctx);

#endif
