/*
 * round.h
 *	  A round: tables, and units that are said to both flavours of them.
 */
#ifndef NVMKV_QUERY_ROUND_H
#define NVMKV_QUERY_ROUND_H

#include "query/side.h"

#define MAX_UNITS 24

typedef struct Round
{
	uint64_t seed;
	Choices shape;
	Choices units[MAX_UNITS];
	int unit_count;
} Round;

typedef struct Pair
{
	Side heap;
	Side twin;
} Pair;

typedef struct Counts
{
	long rounds;
	long commands;
	long errors; /* of commands that failed alike on both sides */
	long timeouts; /* rounds that were given up for them */
	long different;
} Counts;

/* The first command that did not go as it should. */
typedef struct Difference
{
	char kind[48]; /* "rows", "order", "error 22012 / none"; empty: there is none */
	int unit; /* -1: the tables could not be made */
	int command;
	Answer heap;
	Answer twin;
} Difference;

/* Draws a round of so many units. */
extern void round_draw(Round *round, uint64_t seed, int unit_count);

/* Runs it, as it was drawn before.  The difference is to be freed. */
extern void round_run(Pair *pair, Round *round, Counts *counts, Difference *difference);
extern void difference_free(Difference *difference);

/* Makes a round that differs smaller, as long as the difference is of the same kind.  Returns how many were tried. */
extern int round_reduce(Pair *pair, Round *round, const Difference *difference, int seconds);

/* What would be said, as a script for psql. */
extern void round_print(const Round *round, int marked_unit, int marked_command, Text *out);

#endif
