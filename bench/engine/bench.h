/*
 * bench.h
 *	  What all parts of the engine benchmark share: its options, time, giving up.
 *
 * One executable measures one engine: it runs a list of workloads, one after
 * the other, on one database, and prints a row of figures for each.  All
 * engines get the same keys and values in the same order.
 */
#ifndef NVMKV_BENCH_BENCH_H
#define NVMKV_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct BenchOptions
{
	const char *workloads; /* names, separated by commas */
	const char *dir;	   /* database; made anew unless "keep" */
	const char *log_dir;   /* where the log goes; empty: the database's directory */
	const char *pool;	   /* file of nvmkv's container; empty: in the database's directory */
	uint64_t keys;		   /* key numbers go from 0 to this */
	uint64_t reads;		   /* operations of workloads that read; 0: as many as keys */
	uint64_t key_bytes, value_bytes;
	double compressibility; /* size of a value after compression / before */
	const char *key_style;	/* "decimal" or "binary" */
	uint64_t threads;		/* readers or writers at a time */
	double found;			/* share of looked-up keys that are there; negative: any key number */
	uint64_t nexts;			/* steps after each seek of seekrandom */
	uint64_t writer_rate;	/* writes a second of the writer in readwhilewriting; 0: as many as it can */
	uint64_t load_rate;		/* bytes a second of all other writers together; 0: as many as they can */
	uint64_t seconds;		/* a workload ends after this time; 0: when it is through */
	uint64_t seed;
	bool sync; /* every write is durable before the next; fillsync always does */
	bool keep; /* use the database that is there */
	uint64_t write_buffer, write_buffers, cache, container, block, bloom, file_bytes, level1_bytes, workers;
	const char *compression; /* none, lz4, zstd, snappy */
	uint64_t round;			 /* only noted */
	const char *label;		 /* only noted */
	const char *as;			 /* another name for the workload */
	const char *csv;		 /* a row a workload is appended; empty: none */
	const char *series;		 /* directory for files of operations in each second, and of latencies; empty: none */
} BenchOptions;

/* Reads the command line, or prints how it is used and ends. */
extern void bench_options_parse(BenchOptions *options, int argc, char **argv);

/* Sets what "name=value" says. */
extern void bench_options_set(BenchOptions *options, const char *text);

/* The options that make a difference to the figures, as "name=value ...". */
extern void bench_options_print(const BenchOptions *options, char *text, uint64_t size);

/* Prints the message and ends the process. */
extern void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Memory, zeroed, or the end. */
extern void *bench_alloc(uint64_t size);

/* The same, shared with processes that are forked afterwards. */
extern void *bench_shared_alloc(uint64_t size);

static inline uint64_t
bench_now_ns(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

static inline double
bench_ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

#endif
