/*
 * team.h
 *	  Workers that do a workload together: processes or threads, as the engine
 *	  wants them, that begin at the same moment.
 */
#ifndef NVMKV_BENCH_TEAM_H
#define NVMKV_BENCH_TEAM_H

#include "engine/data.h"
#include "engine/histogram.h"
#include "engine/store.h"

#define TEAM_SECONDS_MAX 7200

/* What a worker did; in memory that all share. */
typedef struct WorkerResult
{
	bool writes; /* its operations are writes */
	bool aside;	 /* it only keeps the others company: its figures are given apart */
	uint64_t operations, found, bytes; /* bytes: of keys and values written, or of what was read */
	uint64_t user_bytes;			   /* keys and values written */
	uint64_t begin_ns, end_ns;
	uint64_t slow_ns; /* in writes that took longer than TEAM_SLOW_NS */
	Histogram latency;
	uint32_t seconds[TEAM_SECONDS_MAX]; /* operations in each */
} WorkerResult;

#define TEAM_SLOW_NS 1000000u

typedef struct TeamShared TeamShared;

typedef struct Worker
{
	const BenchOptions *options;
	StoreSession *session;
	unsigned index, count;
	WorkerResult *result;
	TeamShared *shared;
	uint64_t random; /* state */
	uint64_t began_ns, last_ns, next_second_ns;
	unsigned second;
	const DataZipf *zipf;
} Worker;

typedef void (*WorkerMain)(Worker *worker);

/* Runs "main" by count workers; results[count] is shared memory that is cleared before. */
extern void team_run(const BenchOptions *options, WorkerMain main, unsigned count, const DataZipf *zipf,
					 WorkerResult *results);

/* The next of a worker's random numbers. */
static inline uint64_t
worker_random(Worker *worker)
{
	return data_mix(worker->random++);
}

/* Counts an operation that ends now (n of them, as one).  False: the time is up, or the others are done. */
extern bool worker_count(Worker *worker, uint64_t n);

/* Waits until it is time for the operation after "done" ones at this rate. */
extern void worker_pace(Worker *worker, double done, double per_second);

#endif
