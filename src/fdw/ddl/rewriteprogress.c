/*
 * rewriteprogress.c
 *	  What nvmkv.progress shows of rows that are written anew.
 */
#include "postgres.h"

#include "commands/progress.h"
#include "utils/backend_progress.h"

#include "fdw/ddl/rewriteprogress.h"

/* Not PROGRESS_CLUSTER_COMMAND_CLUSTER, nor that of VACUUM FULL; nvmkv.progress has it, too. */
#define REWRITE_COMMAND 100

void
nvmkv_rewrite_progress_begin(Oid relid)
{
	pgstat_progress_start_command(PROGRESS_COMMAND_CLUSTER, relid);
	pgstat_progress_update_param(PROGRESS_CLUSTER_COMMAND, REWRITE_COMMAND);
	nvmkv_rewrite_progress_phase(NVMKV_REWRITE_READ);
}

void
nvmkv_rewrite_progress_phase(NvmkvRewritePhase phase)
{
	pgstat_progress_update_param(PROGRESS_CLUSTER_PHASE, phase);
}

void
nvmkv_rewrite_progress_row(uint64 rows, bool written)
{
	pgstat_progress_update_param(written ? PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN : PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED,
								 (int64) rows);
}

void
nvmkv_rewrite_progress_end(void)
{
	pgstat_progress_end_command();
}
