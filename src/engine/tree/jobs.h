/*
 * jobs.h
 *	  The list of running and finished jobs.
 */
#ifndef NVMKV_TREE_JOBS_H
#define NVMKV_TREE_JOBS_H

#include "engine/tree/tree.h"

extern DbJob *job_begin(NvmkvDb *db, DbJobKind kind);
extern void job_phase(DbJob *job, DbJobPhase phase);
extern void job_progress(DbJob *job, uint64_t keys_done, uint64_t bytes_done);
extern void job_totals(DbJob *job, uint64_t keys_total, uint64_t bytes_total, uint32_t rows_in, uint32_t files_in);
extern void job_takes(DbJob *job, uint64_t bytes);
extern void job_levels(DbJob *job, unsigned level, unsigned output_level);
extern void job_range(DbJob *job, NvmkvSlice first, NvmkvSlice last);
extern void job_end(DbJob *job, bool ok, uint32_t files_out);

/*
 * Bytes that jobs of this kind have taken since ever, running ones included as far as they have come; *running_out: of
 * those alone.
 */
extern void jobs_drained(const NvmkvDb *db, DbJobKind kind, uint64_t *total_out, uint64_t *running_out);

/* Jobs of this process slot that an abort cut short have failed. */
extern void jobs_abort(NvmkvDb *db);

#endif
