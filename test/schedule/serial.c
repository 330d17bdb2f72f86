/*
 * serial.c
 *	  Runs random SERIALIZABLE transactions beside each other: what those answered that were committed, and the rows
 *	  at the end, must be what some order of them, one after the other, gives.
 *
 *	  nvmkv_serial [option]...
 *		--db=CONNINFO     where (default: what the environment says)
 *		--seed=N          the first round's; the next one has N + 1. Odd: nobody waits for others' statements
 *		--count=N         so many rounds (default 100)
 *		--seconds=N       go on for so long
 *		--without=LIST    kinds, and sets of kinds, that no round has: swap,key-move+upsert
 *		--table=FLAVOUR   nvmkv, heap; lax: heap tables, transactions too weak: it must find something
 *		--patience=MS     how long a statement may take that does not wait for a lock (default 60000)
 *		--stop            at the first anomaly
 *		--alarms          run each round on heap tables, too, to compare how many transactions fail
 *
 * An anomaly is printed with its seed.  The last line is a summary.  Ends with 0 if there was none, 1 if there was
 * one, 2 if it could not work.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "schedule/draw.h"
#include "schedule/order.h"
#include "schedule/run.h"
#include "schedule/table.h"

typedef struct Options
{
	const char *conninfo;
	uint64_t seed;
	long count;
	long seconds;
	Rules rules;
	Flavour table;
	int patience;
	bool stop;
	bool alarms;
} Options;

typedef struct Counts
{
	long rounds;
	long transactions;
	long committed;
	long failed; /* with 40001 */
	long heap_failed;
	long anomalies;
	long unfinished;
} Counts;

static const struct option long_options[] = {
	{"db", required_argument, NULL, 'd'},
	{"seed", required_argument, NULL, 's'},
	{"count", required_argument, NULL, 'c'},
	{"seconds", required_argument, NULL, 't'},
	{"without", required_argument, NULL, 'w'},
	{"table", required_argument, NULL, 'f'},
	{"patience", required_argument, NULL, 'p'},
	{"stop", no_argument, NULL, 'S'},
	{"alarms", no_argument, NULL, 'a'},
	{NULL, 0, NULL, 0},
};

static bool
read_options(int argc, char **argv, Options *options)
{
	int letter;

	while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1)
	{
		bool right = true;

		switch (letter)
		{
			case 'd': options->conninfo = optarg; break;
			case 's': options->seed = strtoull(optarg, NULL, 10); break;
			case 'c': options->count = strtol(optarg, NULL, 10); break;
			case 't': options->seconds = strtol(optarg, NULL, 10); break;
			case 'w': right = rules_add(&options->rules, optarg); break;
			case 'f': right = flavour_read(optarg, &options->table); break;
			case 'p': options->patience = atoi(optarg); break;
			case 'S': options->stop = true; break;
			case 'a': options->alarms = true; break;
			default: right = false; break;
		}
		if (!right)
			return false;
	}
	return optind == argc;
}

static long
count_failed(const Transcript *transcript)
{
	long count = 0;

	for (int i = 0; i < transcript->count; i++)
		count += strcmp(transcript->events[i].code, "40001") == 0 ? 1 : 0;
	return count;
}

static void
run(World *world, const Schedule *schedule, int patience, Transcript *transcript)
{
	if (schedule->seed % 2 == 1)
		run_freely(world, schedule, transcript);
	else
		run_schedule(world, schedule, patience, false, transcript);
}

/* Did the round come to its end? */
static bool
is_complete(const Transcript *transcript)
{
	return transcript->count > 0 && transcript->events[transcript->count - 1].outcome == OUTCOME_CONTENT;
}

static void
report(const Schedule *schedule, const Transcript *transcript, const char *what)
{
	Text out;

	text_init(&out);
	text_addf(&out, "=== seed %llu: %s:\n", (unsigned long long) schedule->seed, what);
	table_create(&out, schedule, FLAVOUR_NVMKV);
	transcript_print(transcript, schedule, &out);
	text_add(&out, "===\n");
	(void) fputs(out.data, stdout);
	(void) fflush(stdout);
	text_free(&out);
}

static void
run_seed(World *world, World *heap, const Options *options, uint64_t seed, Counts *counts)
{
	Schedule schedule;
	Transcript transcript;
	bool committed[MAX_SESSIONS];
	Text order;

	draw_serializable(&schedule, seed, &options->rules);
	run(world, &schedule, options->patience, &transcript);
	counts->rounds++;
	order_committed(&schedule, &transcript, committed);
	for (int i = 0; i < schedule.step_count; i++)
		counts->transactions += strcmp(schedule.steps[i].sql, "COMMIT") == 0 ? 1 : 0;
	for (int i = 0; i < MAX_SESSIONS; i++)
		counts->committed += committed[i] ? 1 : 0;
	counts->failed += count_failed(&transcript);
	text_init(&order);
	if (!is_complete(&transcript))
	{
		counts->unfinished++;
		report(&schedule, &transcript, "does not come to its end");
	}
	else if (!order_find(heap, &schedule, &transcript, &order))
	{
		counts->anomalies++;
		report(&schedule, &transcript, "no order of the committed transactions gives this");
	}
	text_free(&order);
	transcript_clear(&transcript);
	if (options->alarms)
	{
		run(heap, &schedule, options->patience, &transcript);
		counts->heap_failed += count_failed(&transcript);
		transcript_clear(&transcript);
	}
}

int
main(int argc, char **argv)
{
	Options options = {.conninfo = "", .seed = 1, .count = 100, .table = FLAVOUR_NVMKV, .patience = 60000};
	Counts counts = {0};
	World world;
	World heap;
	time_t start = time(NULL);
	char name[32];

	if (!read_options(argc, argv, &options))
	{
		fprintf(stderr, "the options are at the head of test/schedule/serial.c\n");
		return 2;
	}
	(void) snprintf(name, sizeof(name), "serial_%d", (int) getpid());
	world_open(&world, options.conninfo, options.table, name);
	(void) snprintf(name, sizeof(name), "order_%d", (int) getpid());
	world_open(&heap, options.conninfo, FLAVOUR_HEAP, name);
	while (options.seconds > 0 ? time(NULL) - start < options.seconds : counts.rounds < options.count)
	{
		run_seed(&world, &heap, &options, options.seed + (uint64_t) counts.rounds, &counts);
		if (options.stop && counts.anomalies + counts.unfinished > 0)
			break;
	}
	world_close(&world);
	world_close(&heap);
	printf("seeds %llu to %llu: %ld rounds, %ld transactions, %ld committed, %ld failed with 40001",
		   (unsigned long long) options.seed, (unsigned long long) (options.seed + (uint64_t) counts.rounds - 1),
		   counts.rounds, counts.transactions, counts.committed, counts.failed);
	if (options.alarms)
		printf(" (%ld on heap tables)", counts.heap_failed);
	printf(", %ld anomalies, %ld unfinished, %ld s\n", counts.anomalies, counts.unfinished, (long) (time(NULL) - start));
	return counts.anomalies + counts.unfinished > 0 ? 1 : 0;
}
