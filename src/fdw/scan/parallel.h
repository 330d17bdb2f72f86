/*
 * parallel.h
 *	  Scans by several processes.
 */
#ifndef NVMKV_FDW_PARALLEL_H
#define NVMKV_FDW_PARALLEL_H

#include "access/parallel.h"
#include "nodes/execnodes.h"

#include "fdw/scan/scanstate.h"

extern Size nvmkvEstimateDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt);
extern void nvmkvInitializeDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt, void *coordinate);
extern void nvmkvReInitializeDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt, void *coordinate);
extern void nvmkvInitializeWorkerForeignScan(ForeignScanState *node, shm_toc *toc, void *coordinate);

extern void nvmkvShutdownForeignScan(ForeignScanState *node);

/* Adds what this process has done since the last call to what all have done.  REQUIRES state->shared. */
extern void nvmkv_parallel_publish(NvmkvTableScan *state);

/* The next range for this process; false when none is left.  REQUIRES state->shared and evaluated keys. */
extern bool nvmkv_parallel_next(NvmkvTableScan *state, NvmkvKeyRange *range_out);

#endif
