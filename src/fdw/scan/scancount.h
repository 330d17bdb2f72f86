/*
 * scancount.h
 *	  What scans count in the server's cumulative statistics, as those of heap tables and their indexes do.
 */
#ifndef NVMKV_FDW_SCANCOUNT_H
#define NVMKV_FDW_SCANCOUNT_H

#include "postgres.h"

#include "nodes/execnodes.h"

/* The scan begins to read, or does so again: of the table, or of an index, that of the primary key being one. */
extern void nvmkv_scan_count_start(ForeignScanState *node);

/* It ends: the rows and entries that it has read. */
extern void nvmkv_scan_count_rows(ForeignScanState *node);

#endif
