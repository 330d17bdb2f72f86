/*
 * workload.h
 *	  The workloads, by db_bench's names.
 */
#ifndef NVMKV_BENCH_WORKLOAD_H
#define NVMKV_BENCH_WORKLOAD_H

#include "engine/team.h"

typedef struct Workload
{
	const char *name;
	WorkerMain main;
	bool writes; /* all its operations do */
	bool one_more; /* worker 0 writes beside the others, which are as many as wanted */
} Workload;

/* NULL: no such name. */
extern const Workload *workload_find(const char *name);

#endif
