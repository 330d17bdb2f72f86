/*
 * scan.h
 *	  Execution of scans.
 */
#ifndef NVMKV_FDW_SCAN_H
#define NVMKV_FDW_SCAN_H

#include "nodes/execnodes.h"

#include "fdw/scan/scanreport.h"

extern void nvmkvBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *nvmkvIterateForeignScan(ForeignScanState *node);
extern void nvmkvReScanForeignScan(ForeignScanState *node);
extern void nvmkvEndForeignScan(ForeignScanState *node);

/* Between transactions: memory that many scans had at once goes back to the system. */
extern void nvmkv_scan_trim_memory(void);

/* False when the node was only explained. */
extern bool nvmkv_scan_report(ForeignScanState *node, NvmkvScanReport *report_out);

#endif
