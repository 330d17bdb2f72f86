/*
 * schedules.c
 *	  Runs random schedules on heap tables and on nvmkv tables of one server: results, errors, who waits, and rows
 *	  at the end must be the same.
 *
 *	  nvmkv_schedules [option]...
 *		--db=CONNINFO     where (default: what the environment says)
 *		--seed=N          the first schedule's; the next one has N + 1
 *		--count=N         so many schedules (default 100)
 *		--seconds=N       go on for so long
 *		--without=LIST    kinds, and sets of kinds, that no schedule has: swap,key-move+upsert
 *		--twin=FLAVOUR    nvmkv; heap: the tester must find nothing; lax: it must find something
 *		--patience=MS     how long a step may take that does not wait for a lock (default 60000)
 *		--repeat=N        how often a difference is tried again (default 4)
 *		--whole           do not make schedules that differ smaller
 *		--stop            at the first difference
 *		--show            print what is drawn and what happens
 *
 * A difference is printed with its seed, the smallest schedule that has it, what happened on both sides, and a file
 * for specs/.  The last line is a summary.  Ends with 0 if nothing differed, 1 if something did, 2 if it could not
 * work.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "schedule/draw.h"
#include "schedule/judge.h"
#include "schedule/spec.h"
#include "schedule/table.h"

typedef struct Options
{
	const char *conninfo;
	uint64_t seed;
	long count;
	long seconds;
	Rules rules;
	Flavour twin;
	int patience;
	int repetitions;
	bool whole;
	bool stop;
	bool show;
} Options;

typedef struct Counts
{
	long schedules;
	long steps;
	long waits;
	long verdicts[VERDICT_DIFFERENT + 1];
} Counts;

static const struct option long_options[] = {
	{"db", required_argument, NULL, 'd'},
	{"seed", required_argument, NULL, 's'},
	{"count", required_argument, NULL, 'c'},
	{"seconds", required_argument, NULL, 't'},
	{"without", required_argument, NULL, 'w'},
	{"twin", required_argument, NULL, 'f'},
	{"patience", required_argument, NULL, 'p'},
	{"repeat", required_argument, NULL, 'r'},
	{"whole", no_argument, NULL, 'W'},
	{"stop", no_argument, NULL, 'S'},
	{"show", no_argument, NULL, 'v'},
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
			case 'f': right = flavour_read(optarg, &options->twin); break;
			case 'p': options->patience = atoi(optarg); break;
			case 'r': options->repetitions = atoi(optarg); break;
			case 'W': options->whole = true; break;
			case 'S': options->stop = true; break;
			case 'v': options->show = true; break;
			default: right = false; break;
		}
		if (!right)
			return false;
	}
	return optind == argc;
}

static void
print(const Text *text)
{
	(void) fputs(text->data, stdout);
	(void) fflush(stdout);
}

static void
print_kinds(Text *out, const Schedule *schedule)
{
	for (int kind = 0; kind < KIND_COUNT; kind++)
	{
		if (schedule_has(schedule, (Kind) kind))
			text_addf(out, " %s", kind_name((Kind) kind));
	}
	text_add(out, "\n");
}

/* What is different, as small as it gets. */
static void
report(Pair *pair, Schedule *schedule, const Judgement *found, bool whole)
{
	Text out;
	Judgement judgement;
	int tried = whole ? 0 : shrink(pair, schedule, found->kind);

	judge(pair, schedule, &judgement);
	text_init(&out);
	text_addf(&out, "=== seed %llu: heap / twin: %s\n    drawn from:", (unsigned long long) schedule->seed,
			  found->kind);
	print_kinds(&out, schedule);
	text_addf(&out, "    %d steps are left after %d tries\nheap:\n", schedule->step_count, tried);
	transcript_print(&judgement.heap, schedule, &out);
	text_add(&out, "twin:\n");
	transcript_print(&judgement.twin, schedule, &out);
	text_add(&out, "as a test:\n");
	spec_print(schedule, &judgement.heap, &out);
	text_add(&out, "===\n");
	print(&out);
	text_free(&out);
	judgement_clear(&judgement);
}

static void
show(const Schedule *schedule, const Judgement *judgement)
{
	static const char *const verdicts[] = {"equal", "cut by an alarm", "racy", "different"};
	Text out;

	text_init(&out);
	text_addf(&out, "--- seed %llu: %s:", (unsigned long long) schedule->seed, verdicts[judgement->verdict]);
	print_kinds(&out, schedule);
	transcript_print(&judgement->heap, schedule, &out);
	if (judgement->verdict != VERDICT_EQUAL)
	{
		text_add(&out, "twin:\n");
		transcript_print(&judgement->twin, schedule, &out);
	}
	print(&out);
	text_free(&out);
}

static Verdict
run_seed(Pair *pair, const Options *options, uint64_t seed, Counts *counts)
{
	Schedule schedule;
	Judgement judgement;
	Verdict verdict;

	draw_schedule(&schedule, seed, &options->rules);
	judge(pair, &schedule, &judgement);
	verdict = judgement.verdict;
	counts->schedules++;
	counts->steps += schedule.step_count;
	counts->verdicts[verdict]++;
	for (int i = 0; i < judgement.heap.count; i++)
		counts->waits += judgement.heap.events[i].outcome == OUTCOME_WAITS ? 1 : 0;
	if (options->show)
		show(&schedule, &judgement);
	if (verdict == VERDICT_DIFFERENT)
		report(pair, &schedule, &judgement, options->whole);
	judgement_clear(&judgement);
	return verdict;
}

int
main(int argc, char **argv)
{
	Options options = {.conninfo = "", .seed = 1, .count = 100, .twin = FLAVOUR_NVMKV, .patience = 60000,
		.repetitions = 4};
	Counts counts = {0};
	Pair pair = {0};
	time_t start = time(NULL);
	char name[32];

	if (!read_options(argc, argv, &options))
	{
		fprintf(stderr, "the options are at the head of test/schedule/schedules.c\n");
		return 2;
	}
	pair.patience = options.patience;
	pair.repetitions = options.repetitions;
	(void) snprintf(name, sizeof(name), "heap_%d", (int) getpid());
	world_open(&pair.heap, options.conninfo, FLAVOUR_HEAP, name);
	(void) snprintf(name, sizeof(name), "twin_%d", (int) getpid());
	world_open(&pair.twin, options.conninfo, options.twin, name);
	while (options.seconds > 0 ? time(NULL) - start < options.seconds : counts.schedules < options.count)
	{
		Verdict verdict = run_seed(&pair, &options, options.seed + (uint64_t) counts.schedules, &counts);

		if (verdict == VERDICT_DIFFERENT && options.stop)
			break;
	}
	world_close(&pair.heap);
	world_close(&pair.twin);
	printf("seeds %llu to %llu: %ld schedules, %ld steps, %ld waits, %ld racy, %ld cut by an alarm, %ld different, %ld s\n",
		   (unsigned long long) options.seed, (unsigned long long) (options.seed + (uint64_t) counts.schedules - 1),
		   counts.schedules, counts.steps, counts.waits, counts.verdicts[VERDICT_RACY], counts.verdicts[VERDICT_ALARM],
		   counts.verdicts[VERDICT_DIFFERENT], (long) (time(NULL) - start));
	return counts.verdicts[VERDICT_DIFFERENT] > 0 ? 1 : 0;
}
