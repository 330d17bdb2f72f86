/*
 * worker.h
 *	  What the background workers have in common: registration, shared state,
 *	  the main loop's parts.
 *
 * Roles:
 *	  barrier	holds checkpoints back until what they cut off is flushed, and lets writers in (barrier.c)
 *	  flush		immutable memtables to rows (flusher.c)
 *	  compact	columns of the compactor to level 1 (compactor.c)
 *	  analyze	starts workers that analyze tables which have changed (analyzer.c)
 * and, for a moment after a start, one that looks for what dropped tables left (sweeper.c).
 * The first three only drive the engine's steps: any process could, so one that dies
 * delays and does not block.
 */
#ifndef NVMKV_BGWORKER_WORKER_H
#define NVMKV_BGWORKER_WORKER_H

#include "postgres.h"

#include "postmaster/bgworker.h"

#include "engine/nvmkv.h"
#include "fdw/compat/compat.h"

/* Barrier, flusher and the one that analyzes; compaction workers come on top. */
#define NVMKV_WORKERS_FIXED 3
#define NVMKV_WORKERS_MAX (NVMKV_WORKERS_FIXED + 8)

/* How long a worker sleeps that nobody wakes. */
#define NVMKV_WORKER_IDLE_MS 60000

typedef enum NvmkvWorkerRole
{
	NVMKV_WORKER_BARRIER,
	NVMKV_WORKER_FLUSH,
	NVMKV_WORKER_ANALYZE,
	NVMKV_WORKER_COMPACT
} NvmkvWorkerRole;

/* One worker, as the view shows it; written by the worker alone, read racily. */
typedef struct NvmkvWorkerStat
{
	int pid;		   /* 0: not running */
	NvmkvWorkerRole role;
	const char *state; /* a constant of the library, the same address in every process */
	uint64 steps;	   /* since the server's start, restarts of the worker included */
	char last_error[256]; /* empty: none */
	int pgprocno;
} NvmkvWorkerStat;

/* Registers the workers; from _PG_init while the server preloads libraries, after nvmkv_start_init. */
extern void nvmkv_worker_init(void);

/* Wakes flush and compaction workers.  Safe anywhere, also under a lock. */
extern void nvmkv_worker_wake(void);

/* Copies the states of all workers (NVMKV_WORKERS_MAX elements); returns how many there are. */
extern int nvmkv_worker_stats(NvmkvWorkerStat *out);

/* "barrier", "flush", "analyze", "compact" */
extern const char *nvmkv_worker_role_name(NvmkvWorkerRole role);

/* ---- for the workers ---- */

/* Signals, connection without a database, clean-up, state; returns the worker's element. */
extern NvmkvWorkerStat *nvmkv_worker_begin(int index, NvmkvWorkerRole role);

/* Sleeps until woken, told to stop, or timeout_ms; runs interrupts and reloads settings. */
extern void nvmkv_worker_sleep(NvmkvWorkerStat *me, int timeout_ms);

/* The same, of a worker that is not idle. */
extern void nvmkv_worker_wait(int timeout_ms);
extern void nvmkv_worker_note(NvmkvWorkerStat *me, NvmkvStatus status);

/*
 * Starts another worker, once the server is not in recovery: "nvmkv_fdw name", connected to no database yet; its entry
 * point takes the OID of one.  It is not started again.  notify: this process has its latch set when it starts or ends.
 * NULL: max_worker_processes has no room.
 */
extern BackgroundWorkerHandle *nvmkv_worker_start(const char *name, const char *function, Oid dboid, bool notify);

/* Starts the worker that looks once for rows of tables and databases that are gone.  Says in the log if it cannot. */
extern void nvmkv_sweeper_start(void);

/*
 * Without an engine there is nothing to do until the next start; a worker that ended would not be started again by a
 * postmaster that goes through one after a crash.
 */
pg_noreturn extern void nvmkv_worker_idle(NvmkvWorkerStat *me);

/* Entry points (bgw_function_name). */
extern PGDLLEXPORT void nvmkv_barrier_main(Datum arg);
extern PGDLLEXPORT void nvmkv_flusher_main(Datum arg);
extern PGDLLEXPORT void nvmkv_compactor_main(Datum arg);
extern PGDLLEXPORT void nvmkv_sweeper_main(Datum arg);
extern PGDLLEXPORT void nvmkv_analyze_launcher_main(Datum arg);
extern PGDLLEXPORT void nvmkv_analyzer_main(Datum arg);

#endif
