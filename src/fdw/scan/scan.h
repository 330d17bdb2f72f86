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

/*
 * Within EvalPlanQual.  A scan that counts is that of a subquery there, which is to be run as ever; but servers before
 * 15.14, 17.6 and 18 take every scan that is no single table's for one that gets its row here.
 */
extern bool nvmkvRecheckForeignScan(ForeignScanState *node, TupleTableSlot *slot);
extern void nvmkvEndForeignScan(ForeignScanState *node);

/* Between transactions: memory that many scans had at once goes back to the system. */
extern void nvmkv_scan_trim_memory(void);

/* False when the node was only explained. */
extern bool nvmkv_scan_report(ForeignScanState *node, NvmkvScanReport *report_out);

#endif
