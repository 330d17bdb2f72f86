/*
 * judge.c
 *	  See judge.h.
 */
#include "schedule/judge.h"

#include <stdio.h>
#include <string.h>

#include "schedule/run.h"

#define MAX_REPETITIONS 8

/* "waits / done", "error 40001 / done", "rows / rows". */
static void
name_difference(Judgement *judgement, int at)
{
	const Transcript *transcripts[2] = {&judgement->heap, &judgement->twin};
	char words[2][64];

	for (int i = 0; i < 2; i++)
	{
		if (at < transcripts[i]->count)
			event_word(&transcripts[i]->events[at], words[i], sizeof(words[i]));
		else
			(void) strcpy(words[i], "end");
	}
	(void) snprintf(judgement->kind, sizeof(judgement->kind), "%s / %s", words[0], words[1]);
}

void
judgement_clear(Judgement *judgement)
{
	transcript_clear(&judgement->heap);
	transcript_clear(&judgement->twin);
}

static bool
is_never_right(const Transcript *transcript, int at)
{
	Outcome outcome = at < transcript->count ? transcript->events[at].outcome : OUTCOME_DONE;

	return outcome == OUTCOME_SPINS || outcome == OUTCOME_CYCLE;
}

static Verdict
look(Judgement *judgement)
{
	int at = transcript_difference(&judgement->heap, &judgement->twin);

	judgement->kind[0] = '\0';
	if (at < 0)
		return VERDICT_EQUAL;
	if (transcript_differs_by_alarm(&judgement->heap, &judgement->twin))
		return VERDICT_ALARM;
	name_difference(judgement, at);
	if (at >= judgement->heap.certain && !is_never_right(&judgement->twin, at))
		return VERDICT_RACY;
	return VERDICT_DIFFERENT;
}

/*
 * Where several sessions go on at the same moment, what follows is not determined.  Most of it is known beforehand
 * (racing, in world.h); for the rest a difference is one only if both sides have no answer in common in several runs.
 */
void
judge(Pair *pair, const Schedule *schedule, Judgement *judgement)
{
	Judgement runs[MAX_REPETITIONS];
	int count = pair->repetitions < MAX_REPETITIONS ? pair->repetitions : MAX_REPETITIONS;
	int made = 0;

	run_schedule(&pair->heap, schedule, pair->patience, true, &judgement->heap);
	run_schedule(&pair->twin, schedule, pair->patience, true, &judgement->twin);
	judgement->verdict = look(judgement);
	if (judgement->verdict != VERDICT_DIFFERENT)
		return;
	while (made < count && judgement->verdict == VERDICT_DIFFERENT)
	{
		Judgement *run = &runs[made++];

		run_schedule(&pair->heap, schedule, pair->patience, true, &run->heap);
		run_schedule(&pair->twin, schedule, pair->patience, true, &run->twin);
		for (int i = -1; i < made; i++)
		{
			Judgement mixed[2] = {{.heap = run->heap, .twin = i < 0 ? judgement->twin : runs[i].twin},
				{.heap = i < 0 ? judgement->heap : runs[i].heap, .twin = run->twin}};

			if (look(&mixed[0]) != VERDICT_DIFFERENT || look(&mixed[1]) != VERDICT_DIFFERENT)
				judgement->verdict = VERDICT_RACY;
		}
	}
	while (made > 0)
		judgement_clear(&runs[--made]);
}
