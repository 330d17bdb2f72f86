/*
 * rewriteprogress.h
 *	  What nvmkv.progress shows of rows that are written anew.
 */
#ifndef NVMKV_FDW_REWRITEPROGRESS_H
#define NVMKV_FDW_REWRITEPROGRESS_H

#include "postgres.h"

typedef enum NvmkvRewritePhase
{
	NVMKV_REWRITE_READ,
	NVMKV_REWRITE_SORT,
	NVMKV_REWRITE_WRITE
} NvmkvRewritePhase;

/*
 * It is kept as the progress of a command of the server that is like it, CLUSTER, under a number that the server's own
 * commands do not have.  An error ends it.
 */
extern void nvmkv_rewrite_progress_begin(Oid relid);
extern void nvmkv_rewrite_progress_phase(NvmkvRewritePhase phase);

/* So many rows are read, or written. */
extern void nvmkv_rewrite_progress_row(uint64 rows, bool written);
extern void nvmkv_rewrite_progress_end(void);

#endif
