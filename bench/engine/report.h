/*
 * report.h
 *	  Figures of a workload: printed, appended to a table, and as series.
 */
#ifndef NVMKV_BENCH_REPORT_H
#define NVMKV_BENCH_REPORT_H

#include "engine/team.h"

typedef struct Report
{
	const BenchOptions *options;
	const char *workload;
	const WorkerResult *results; /* of count workers; count 0: it has no operations */
	unsigned count;
	double seconds;	 /* its duration */
	uint64_t memory; /* bytes, where it was measured */
	StoreStats before, after;
	uint64_t user_bytes_all; /* keys and values written since the database was opened, with this workload's */
	uint64_t disk_bytes;	 /* files, without the container's */
} Report;

extern void report_workload(const Report *report);

#endif
