/*
 * main.c
 *	  Runs the workloads of the command line on one database of one engine.
 *
 * Beside those of workload.c there are steps that bring the database into a
 * state, or measure the state it is in:
 *	  settle      waits until background work has nothing to do
 *	  drain       brings everything below level 0
 *	  filllevel0  overwrites until nvmkv's container is full and leaves it so until drain; the
 *	              others overwrite as much, and drain
 *	  attach      what it costs a new process to read its first value (nvmkv)
 *	  memory      memory in use: shared, and of a process that has read (nvmkv)
 *	  levels      the engine's own table of its levels
 *	  crash       the process ends without closing anything
 *
 * A workload or step may have options of its own, as in readrandom:threads=4:as=read4.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/files.h"
#include "engine/report.h"
#include "engine/workload.h"

#define POLL_NS 100000000
#define QUIET_POLLS 15
#define WORKERS_MAX 65
#define POOL_NAME "level0.pool"

/* Room left in a container that counts as full, of its bytes. */
#define FULL_SHARE 0.12

/* Bytes written between looks at how full it is. */
#define FILL_STEP_BYTES (8u * 1024 * 1024)

#define ATTACH_TIMES 100
#define MEMORY_READS 100000

typedef struct Bench
{
	BenchOptions options;
	DataZipf zipf;
	WorkerResult *results;
	uint64_t user_bytes_all;
} Bench;

static void
report(Bench *bench, const char *workload, unsigned count, const StoreStats *before, uint64_t ns, uint64_t memory)
{
	Report r = {.options = &bench->options, .workload = workload, .results = bench->results, .count = count};
	unsigned i;

	if (bench->options.as[0] != '\0')
		r.workload = bench->options.as;

	for (i = 0; i < count; i++)
		bench->user_bytes_all += bench->results[i].user_bytes;
	r.seconds = (double) ns / 1e9;
	r.memory = memory;
	r.before = *before;
	store_stats(&r.after);
	r.user_bytes_all = bench->user_bytes_all;
	r.disk_bytes = files_bytes(bench->options.dir, POOL_NAME);
	if (bench->options.log_dir[0] != '\0')
		r.disk_bytes += files_bytes(bench->options.log_dir, NULL);
	report_workload(&r);
}

static void
run_workload(Bench *bench, const Workload *workload)
{
	unsigned count = (unsigned) bench->options.threads + (workload->one_more ? 1 : 0);
	StoreStats before;

	store_stats(&before);
	team_run(&bench->options, workload->main, count, &bench->zipf, bench->results);
	report(bench, workload->name, count, &before, 0, 0);
}

/* ---- steps ---- */

static void
settle(Bench *bench)
{
	uint64_t begin = bench_now_ns();
	uint64_t quiet_since = begin;
	uint64_t seen = store_activity();
	unsigned quiet = 0;
	StoreStats before;

	store_stats(&before);
	while (quiet < QUIET_POLLS)
	{
		struct timespec t = {0, POLL_NS};
		uint64_t now;

		(void) nanosleep(&t, NULL);
		now = store_activity();
		if (now == seen)
			quiet++;
		else
		{
			quiet = 0;
			quiet_since = bench_now_ns();
		}
		seen = now;
	}
	report(bench, "settle", 0, &before, quiet_since - begin, 0);
}

static void
drain(Bench *bench)
{
	uint64_t begin = bench_now_ns();
	StoreStats before;

	store_stats(&before);
	store_drain();
	report(bench, "drain", 0, &before, bench_now_ns() - begin, 0);
}

/* Set before the workers are made: how many of overwrite's writes one step does, and where it begins. */
static uint64_t fill_begin, fill_count;

static void
fill_step(Worker *w)
{
	const BenchOptions *o = w->options;
	DataKey key;
	uint64_t i;

	w->result->writes = true;
	for (i = fill_begin; i < fill_begin + fill_count; i++)
	{
		data_key(o, data_random_key(o, 3 * o->keys + i), &key);
		store_put(w->session, key.bytes, key.size, data_value(o, i), o->value_bytes, false);
		w->result->user_bytes += key.size + o->value_bytes;
	}
}

static void
fill_level0(Bench *bench)
{
	const BenchOptions *o = &bench->options;
	uint64_t begin = bench_now_ns();
	uint64_t written = 0;
	bool holds = store_hold_level0(true);
	StoreStats before, stats;

	store_stats(&before);
	fill_begin = 0;
	fill_count = FILL_STEP_BYTES / (o->key_bytes + o->value_bytes);
	do
	{
		team_run(o, fill_step, 1, &bench->zipf, bench->results);
		bench->user_bytes_all += bench->results[0].user_bytes;
		written += bench->results[0].user_bytes;
		fill_begin += fill_count;
		store_stats(&stats);
	} while (holds ? (double) (stats.nvm_total - stats.nvm_used) >
						 FULL_SHARE * (double) stats.nvm_total + (double) o->write_buffer
				   : written < (uint64_t) ((1 - FULL_SHARE) * (double) o->container));
	if (!holds)
		store_drain();
	report(bench, "filllevel0", 0, &before, bench_now_ns() - begin, 0);
}

/* From before the fork to after the first read. */
static void
attach(Bench *bench)
{
	const BenchOptions *o = &bench->options;
	WorkerResult *r = bench->results;
	StoreStats before;
	unsigned i;

	if (!store_uses_processes)
		return;
	store_stats(&before);
	memset(r, 0, sizeof(*r));
	r->begin_ns = bench_now_ns();
	for (i = 0; i < ATTACH_TIMES; i++)
	{
		uint64_t begin = bench_now_ns();
		pid_t pid = fork();
		int status;

		if (pid == 0)
		{
			StoreSession *session = store_session_begin(0);
			DataKey key;
			size_t size;

			data_key(o, data_random_key(o, data_below(data_mix(i), o->keys)), &key);
			r->found += store_get(session, key.bytes, key.size, &size);
			histogram_add(&r->latency, bench_now_ns() - begin);
			r->operations++;
			store_session_end(session);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			bench_die("a process that attaches failed");
	}
	r->end_ns = bench_now_ns();
	report(bench, "attach", 1, &before, 0, 0);
}

/* Private memory of this process, in bytes. */
static uint64_t
private_memory(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	unsigned long long kilobytes, sum = 0;
	char line[256];

	if (file == NULL)
		bench_die("/proc/self/smaps_rollup cannot be read");
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Private_Dirty: %llu", &kilobytes) == 1)
			sum += kilobytes;
	(void) fclose(file);
	return sum * 1024;
}

/* Not the container's file: where that is shared memory too, no process has it for itself, since all map it. */
static void
read_and_weigh(Worker *w)
{
	const BenchOptions *o = w->options;
	DataKey key;
	size_t size;
	unsigned i;

	for (i = 0; i < MEMORY_READS; i++)
	{
		data_key(o, data_below(worker_random(w), o->keys), &key);
		(void) store_get(w->session, key.bytes, key.size, &size);
	}
	w->result->bytes = private_memory();
}

static void
memory(Bench *bench)
{
	uint64_t begin = bench_now_ns();
	StoreStats before;

	store_stats(&before);
	team_run(&bench->options, read_and_weigh, 1, &bench->zipf, bench->results);
	report(bench, "memory", 0, &before, bench_now_ns() - begin, store_shared_memory() + bench->results[0].bytes);
}

static void
levels(Bench *bench)
{
	(void) bench;
	store_print_levels();
}

static void
crash(Bench *bench)
{
	(void) bench;
	store_crash();
}

static const struct
{
	const char *name;
	void (*run)(Bench *bench);
} steps[] = {
	{"settle", settle}, {"drain", drain}, {"filllevel0", fill_level0},
	{"attach", attach}, {"memory", memory}, {"levels", levels}, {"crash", crash},
};

static void
run_named(Bench *bench, const char *name)
{
	const Workload *workload = workload_find(name);
	unsigned i;

	if (workload != NULL)
	{
		run_workload(bench, workload);
		return;
	}
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(steps[i].name, name) == 0)
		{
			steps[i].run(bench);
			return;
		}
	bench_die("%s: no such workload", name);
}

/* "item" is a name and options, and is taken apart; the options hold for this workload only. */
static void
run_item(Bench *bench, char *item)
{
	BenchOptions all = bench->options;
	char *next;
	const char *name = strtok_r(item, ":", &next);
	const char *option;

	if (name == NULL)
		bench_die("a workload without a name");
	while ((option = strtok_r(NULL, ":", &next)) != NULL)
		bench_options_set(&bench->options, option);
	run_named(bench, name);
	bench->options = all;
}

/* An engine's own place below the directory that was named, which may hold other things. */
static const char *
own_place(const char *dir)
{
	size_t size = strlen(dir) + strlen(store_name) + 2;
	char *path = bench_alloc(size);

	(void) snprintf(path, size, "%s/%s", dir, store_name);
	return path;
}

static void
prepare_places(BenchOptions *o)
{
	o->dir = own_place(o->dir);
	if (o->log_dir[0] != '\0')
		o->log_dir = own_place(o->log_dir);
	if (o->keep)
		return;
	files_make_empty(o->dir);
	if (o->log_dir[0] != '\0')
		files_make_empty(o->log_dir);
	if (o->pool[0] != '\0')
		(void) unlink(o->pool);
}

/* The time to open, and to read a first value. */
static void
open_database(Bench *bench)
{
	const BenchOptions *o = &bench->options;
	uint64_t begin = bench_now_ns();
	StoreSession *session;
	StoreStats before;
	DataKey key;
	size_t size;

	store_open(o);
	if (!o->keep)
		return;
	session = store_session_begin(0);
	data_key(o, data_random_key(o, 0), &key);
	(void) store_get(session, key.bytes, key.size, &size);
	store_session_end(session);
	begin = bench_now_ns() - begin;
	store_stats(&before);
	report(bench, "open", 0, &before, begin, 0);
}

int
main(int argc, char **argv)
{
	static Bench bench;
	char *items, *item, *next;

	bench_options_parse(&bench.options, argc, argv);
	(void) umask(022);
	prepare_places(&bench.options);
	data_prepare(&bench.options);
	data_zipf_prepare(&bench.zipf, bench.options.keys);
	bench.results = bench_shared_alloc(WORKERS_MAX * sizeof(WorkerResult));
	open_database(&bench);
	items = bench_alloc(strlen(bench.options.workloads) + 1);
	(void) strcpy(items, bench.options.workloads);
	for (item = strtok_r(items, ",", &next); item != NULL; item = strtok_r(NULL, ",", &next))
		run_item(&bench, item);
	store_close();
	return 0;
}
