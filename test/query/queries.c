/*
 * queries.c
 *	  Says random queries and changes to heap tables and to nvmkv tables of one server: rows, their order, SQLSTATEs and
 *	  warnings must be the same, and no error internal.
 *
 *	  nvmkv_queries [option]...
 *		--db=CONNINFO     where (default: what the environment says)
 *		--seed=N          the first round's; the next one has N + 1
 *		--count=N         so many rounds (default 20)
 *		--seconds=N       go on for so long
 *		--units=N         queries, transactions and so on of a round (default 20)
 *		--twin=FLAVOUR    nvmkv; heap: nothing must be found; short, heap tables without some rows: something must
 *		--reduce=N        seconds to spend on making what differs smaller (default 120)
 *		--stop            at the first difference
 *		--show            print what is drawn
 *
 * A difference is printed with its seed, what is left of the round when it is made small, and the answers of both
 * sides.  The last line is a summary.  Ends with 0 if nothing differed, 1 if something did, 2 if it could not work.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "query/round.h"

typedef struct Options
{
	const char *conninfo;
	uint64_t seed;
	long count;
	long seconds;
	int units;
	Flavour twin;
	int reduce;
	bool stop;
	bool show;
} Options;

static const struct option long_options[] = {
	{"db", required_argument, NULL, 'd'},
	{"seed", required_argument, NULL, 's'},
	{"count", required_argument, NULL, 'c'},
	{"seconds", required_argument, NULL, 't'},
	{"units", required_argument, NULL, 'u'},
	{"twin", required_argument, NULL, 'f'},
	{"reduce", required_argument, NULL, 'r'},
	{"stop", no_argument, NULL, 'S'},
	{"show", no_argument, NULL, 'v'},
	{NULL, 0, NULL, 0},
};

static bool
read_flavour(const char *name, Flavour *flavour)
{
	static const char *const names[] = {"heap", "nvmkv", "short"};

	for (int i = 0; i < 3; i++)
	{
		if (strcmp(name, names[i]) == 0)
		{
			*flavour = (Flavour) i;
			return true;
		}
	}
	return false;
}

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
			case 'u': options->units = atoi(optarg); break;
			case 'f': right = read_flavour(optarg, &options->twin); break;
			case 'r': options->reduce = atoi(optarg); break;
			case 'S': options->stop = true; break;
			case 'v': options->show = true; break;
			default: right = false; break;
		}
		if (!right)
			return false;
	}
	return optind == argc && options->units >= 1 && options->units <= MAX_UNITS;
}

static void
add_answer(Text *out, const char *who, const Answer *answer)
{
	text_addf(out, "%s: %s %s\n%.4000s%s", who, answer->code, answer->tag.data, answer->rows.data,
			  answer->rows.length > 4000 ? "\n...\n" : "");
	if (answer->heads.length > 0)
		text_addf(out, "in the order of\n%.2000s\n", answer->heads.data);
	text_add(out, answer->warnings.data);
}

/* What is different, as small as it gets. */
static void
report(Pair *pair, Round *round, const Difference *found, int seconds)
{
	Counts counts = {0};
	Difference difference;
	Text out;
	int tried = round_reduce(pair, round, found, seconds);

	round_run(pair, round, &counts, &difference);
	text_init(&out);
	text_addf(&out, "=== seed %llu: %s (now %s, after %d tries)\n", (unsigned long long) round->seed, found->kind,
			  difference.kind, tried);
	round_print(round, difference.unit, difference.command, &out);
	add_answer(&out, "heap", &difference.heap);
	add_answer(&out, "twin", &difference.twin);
	text_add(&out, "===\n");
	(void) fputs(out.data, stdout);
	(void) fflush(stdout);
	text_free(&out);
	difference_free(&difference);
}

static void
run_seed(Pair *pair, const Options *options, uint64_t seed, Counts *counts)
{
	static Round round;
	Difference difference;

	round_draw(&round, seed, options->units);
	if (options->show)
	{
		Text out;

		text_init(&out);
		text_addf(&out, "--- seed %llu\n", (unsigned long long) seed);
		round_print(&round, -1, -1, &out);
		(void) fputs(out.data, stdout);
		(void) fflush(stdout);
		text_free(&out);
	}
	round_run(pair, &round, counts, &difference);
	if (difference.kind[0] != '\0')
	{
		counts->different++;
		report(pair, &round, &difference, options->reduce);
	}
	difference_free(&difference);
}

int
main(int argc, char **argv)
{
	Options options = {.conninfo = "", .seed = 1, .count = 20, .units = 20, .twin = FLAVOUR_NVMKV, .reduce = 120};
	Counts counts = {0};
	Pair pair;
	time_t start = time(NULL);
	char name[32];

	if (!read_options(argc, argv, &options))
	{
		fprintf(stderr, "the options are at the head of test/query/queries.c\n");
		return 2;
	}
	(void) snprintf(name, sizeof(name), "heap_%d", (int) getpid());
	side_open(&pair.heap, FLAVOUR_HEAP, options.conninfo, name);
	(void) snprintf(name, sizeof(name), "twin_%d", (int) getpid());
	side_open(&pair.twin, options.twin, options.conninfo, name);
	while (options.seconds > 0 ? time(NULL) - start < options.seconds : counts.rounds < options.count)
	{
		run_seed(&pair, &options, options.seed + (uint64_t) counts.rounds, &counts);
		if (counts.different > 0 && options.stop)
			break;
	}
	side_close(&pair.heap);
	side_close(&pair.twin);
	printf("seeds %llu to %llu: %ld rounds, %ld commands, %ld errors alike, %ld out of time, %ld different, "
		   "%ld s\n",
		   (unsigned long long) options.seed, (unsigned long long) (options.seed + (uint64_t) counts.rounds - 1),
		   counts.rounds, counts.commands, counts.errors, counts.timeouts, counts.different,
		   (long) (time(NULL) - start));
	return counts.different > 0 ? 1 : 0;
}
