/*
 * choices.c
 *	  See choices.h.
 */
#include "query/choices.h"

void
choices_begin(Choices *choices, uint64_t seed)
{
	choices->count = 0;
	choices->next = 0;
	choices->again = false;
	choices->random = (Random) {seed};
}

void
choices_again(Choices *choices)
{
	choices->next = 0;
	choices->again = true;
}

/* What would need too many choices becomes simple, and ends. */
int
choose(Choices *choices, int bound)
{
	int choice;

	if (choices->again)
		return choices->next < choices->count ? choices->made[choices->next++] % bound : 0;
	if (choices->count == MAX_CHOICES)
		return 0;
	choice = random_below(&choices->random, bound);
	choices->made[choices->count++] = (uint16_t) choice;
	return choice;
}

bool
choose_percent(Choices *choices, int percent)
{
	return choose(choices, 100) >= 100 - percent;
}
