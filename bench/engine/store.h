/*
 * store.h
 *	  An engine as the benchmark sees it.  One of store_*.c is linked.
 *
 * Every failure ends the process: a figure of an engine that failed is none.
 */
#ifndef NVMKV_BENCH_STORE_H
#define NVMKV_BENCH_STORE_H

#include <stddef.h>

#include "engine/bench.h"

extern const char *const store_name;

/* Workers are processes that share the database; else threads of one process. */
extern const bool store_uses_processes;

/* What is not the same as in the other engines, for the reader of the figures. */
extern const char *const store_differs;

/* Opens the database in o->dir, creating it if it is not there, with its background work. */
extern void store_open(const BenchOptions *o);

/* Ends background work; what is not flushed is in the log. */
extern void store_close(void);

/* One worker's state; called in its process or thread. */
typedef struct StoreSession StoreSession;

extern StoreSession *store_session_begin(unsigned worker);
extern void store_session_end(StoreSession *session);

extern void store_put(StoreSession *session, const void *key, size_t key_size, const void *value, size_t value_size,
					  bool sync);

/* Is it there?  *size_out: of its value, which has been read and checked. */
extern bool store_get(StoreSession *session, const void *key, size_t key_size, size_t *size_out);

/*
 * A scan from the first key >= "key" (from the last key if backwards; size 0: from the beginning).
 * rows: as many will probably be asked for.  next: false at the end.
 */
extern void store_scan_begin(StoreSession *session, const void *key, size_t key_size, bool backwards, uint64_t rows);
extern bool store_scan_next(StoreSession *session, size_t *bytes_out);
extern void store_scan_end(StoreSession *session);

typedef struct StoreStats
{
	/* since the database was opened */
	uint64_t nvm_bytes;	 /* written to the container */
	uint64_t log_bytes;	 /* written to the log */
	uint64_t file_bytes; /* written to all other files */
	double stall_seconds; /* writers waited, by the engine's own count; negative: it does not count */
	/* now */
	uint64_t nvm_used; /* bytes of the container in use */
	uint64_t nvm_total;
	uint64_t level0_entries; /* in it */
	double l1_amplification; /* bytes written into level 1 / bytes taken from level 0; 0: unknown */
	uint64_t cache_hits, cache_misses;
} StoreStats;

/* REQUIRES no session. */
extern void store_stats(StoreStats *stats);

/* Memory that all processes share and that is in use, without the container's file; 0: there is none. */
extern uint64_t store_shared_memory(void);

/* The engine's own table of its levels, to standard output. */
extern void store_print_levels(void);

/* A number that changes while background work goes on. */
extern uint64_t store_activity(void);

/* Brings everything into the levels below 0. */
extern void store_drain(void);

/* From now on level 0 is left as it is / not any more; false: the engine cannot do that. */
extern bool store_hold_level0(bool hold);

/* Ends the process as a crash of it would, after what was acknowledged as durable is. */
extern void store_crash(void) __attribute__((noreturn));

#endif
