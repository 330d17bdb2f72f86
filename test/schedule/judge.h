/*
 * judge.h
 *	  Runs a schedule on heap tables and on their twins, and says whether they answer alike; makes one that shows a
 *	  difference as small as it can.
 */
#ifndef NVMKV_SCHEDULE_JUDGE_H
#define NVMKV_SCHEDULE_JUDGE_H

#include "schedule/transcript.h"
#include "schedule/world.h"

typedef enum Verdict
{
	VERDICT_EQUAL,
	VERDICT_ALARM, /* equal up to where SERIALIZABLE found a conflict in one only */
	VERDICT_RACY, /* a repetition was equal: whose turn is it when several may go on? */
	VERDICT_DIFFERENT
} Verdict;

typedef struct Pair
{
	World heap;
	World twin;
	int patience; /* milliseconds that a step may take */
	int repetitions; /* of what is different */
} Pair;

typedef struct Judgement
{
	Verdict verdict;
	char kind[160]; /* of the difference: the heap's word and the twin's */
	Transcript heap; /* of the last run */
	Transcript twin;
} Judgement;

/* The judgement is to be cleared. */
extern void judge(Pair *pair, const Schedule *schedule, Judgement *judgement);
extern void judgement_clear(Judgement *judgement);

/* Leaves out of the schedule what does not matter for a difference of this kind.  Returns how many schedules it
 * tried. */
extern int shrink(Pair *pair, Schedule *schedule, const char *kind);

#endif
