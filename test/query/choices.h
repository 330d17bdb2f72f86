/*
 * choices.h
 *	  The choices that something random was drawn by: what is drawn again from fewer or smaller ones is simpler.
 *
 * Whoever draws takes 0 for the simplest of what there is.  So a list of choices can be cut, or have some of them made
 * zero, and still be drawn from: a choice that is missing is zero.
 */
#ifndef NVMKV_QUERY_CHOICES_H
#define NVMKV_QUERY_CHOICES_H

#include "schedule/random.h"

#define MAX_CHOICES 1500

typedef struct Choices
{
	uint16_t made[MAX_CHOICES];
	int count; /* 0 to MAX_CHOICES */
	int next; /* of those that are taken again */
	bool again;
	Random random;
} Choices;

/* New choices, of a seed. */
extern void choices_begin(Choices *choices, uint64_t seed);

/* Those that were made, once more. */
extern void choices_again(Choices *choices);

/* A number below the bound, which is at most 65535. */
extern int choose(Choices *choices, int bound);

/* Something less simple, in so many of a hundred cases. */
extern bool choose_percent(Choices *choices, int percent);

#endif
