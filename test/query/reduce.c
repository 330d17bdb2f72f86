/*
 * reduce.c
 *	  Makes rounds smaller: see round.h.
 *
 * Units are left out, then choices are cut out or made zero, large pieces first, as long as the difference stays of the
 * same kind.
 */
#include <string.h>
#include <time.h>

#include "query/round.h"

typedef struct Reducing
{
	Pair *pair;
	Round *best;
	char kind[48];
	int tried;
	time_t end;
} Reducing;

/* Takes the smaller one if it shows the same. */
static bool
try(Reducing *reducing, Round *smaller)
{
	Difference difference;
	Counts counts = {0};
	bool same;

	if (time(NULL) >= reducing->end)
		return false;
	reducing->tried++;
	round_run(reducing->pair, smaller, &counts, &difference);
	same = strcmp(difference.kind, reducing->kind) == 0;
	if (same)
	{
		*reducing->best = *smaller;
		if (difference.unit >= 0)
			reducing->best->unit_count = difference.unit + 1;
	}
	difference_free(&difference);
	return same;
}

static void
drop_units(Reducing *reducing)
{
	static Round smaller;

	for (int count = reducing->best->unit_count - 1; count > 0; count /= 2)
	{
		for (int first = reducing->best->unit_count - 1 - count; first >= 0; first -= count)
		{
			if (first + count >= reducing->best->unit_count)
				continue;
			smaller = *reducing->best;
			memmove(&smaller.units[first], &smaller.units[first + count],
					sizeof(Choices) * (size_t) (smaller.unit_count - first - count));
			smaller.unit_count -= count;
			(void) try(reducing, &smaller);
		}
	}
}

/* Which of a round's lists of choices: its shape is the last one. */
static Choices *
list(Round *round, int number)
{
	return number == round->unit_count ? &round->shape : &round->units[number];
}

static bool
cut(Reducing *reducing, int number, int first, int count)
{
	static Round smaller;
	Choices *choices;

	smaller = *reducing->best;
	choices = list(&smaller, number);
	memmove(&choices->made[first], &choices->made[first + count],
			sizeof(choices->made[0]) * (size_t) (choices->count - first - count));
	choices->count -= count;
	return try(reducing, &smaller);
}

static bool
lower(Reducing *reducing, int number, int at)
{
	static Round smaller;
	uint16_t made = list(reducing->best, number)->made[at];

	if (made == 0)
		return false;
	smaller = *reducing->best;
	list(&smaller, number)->made[at] = 0;
	if (try(reducing, &smaller))
		return true;
	if (made == 1)
		return false;
	smaller = *reducing->best;
	list(&smaller, number)->made[at] = made / 2;
	return try(reducing, &smaller);
}

static bool
reduce_list(Reducing *reducing, int number)
{
	bool any = false;

	for (int count = list(reducing->best, number)->count; count > 0; count /= 2)
	{
		for (int first = list(reducing->best, number)->count - count; first >= 0; first -= count)
		{
			if (first + count <= list(reducing->best, number)->count)
				any |= cut(reducing, number, first, count);
		}
	}
	for (int at = 0; at < list(reducing->best, number)->count; at++)
		any |= lower(reducing, number, at);
	return any;
}

int
round_reduce(Pair *pair, Round *round, const Difference *difference, int seconds)
{
	Reducing reducing = {.pair = pair, .best = round, .end = time(NULL) + seconds};
	bool smaller = true;

	(void) strcpy(reducing.kind, difference->kind);
	if (difference->unit >= 0)
		round->unit_count = difference->unit + 1;
	drop_units(&reducing);
	while (smaller && time(NULL) < reducing.end)
	{
		smaller = false;
		for (int number = round->unit_count; number >= 0; number--)
			smaller |= number <= round->unit_count && reduce_list(&reducing, number);
	}
	return reducing.tried;
}
