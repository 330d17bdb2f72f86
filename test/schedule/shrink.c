/*
 * shrink.c
 *	  Makes schedules smaller: see judge.h.
 *
 * Steps, rows, triggers, partitions and isolation levels are left out as long as the difference stays of the same
 * kind; large pieces first.
 */
#include "schedule/judge.h"

#include <string.h>

typedef struct Shrinking
{
	Pair *pair;
	Schedule *best;
	const char *kind;
	int tried;
} Shrinking;

/* Where the heap's sessions wait at the end for one that is idle, the isolation tester would wait for ever. */
static bool
ends(const Transcript *transcript)
{
	return transcript->count > 0 && transcript->events[transcript->count - 1].outcome != OUTCOME_STUCK;
}

/* Takes the smaller one if it shows the same. */
static bool
try(Shrinking *shrinking, const Schedule *smaller)
{
	Judgement judgement;
	bool same;

	shrinking->tried++;
	judge(shrinking->pair, smaller, &judgement);
	same = judgement.verdict == VERDICT_DIFFERENT && strcmp(judgement.kind, shrinking->kind) == 0 &&
		ends(&judgement.heap);
	judgement_clear(&judgement);
	if (same)
		*shrinking->best = *smaller;
	return same;
}

static void
remove_steps(Schedule *schedule, int first, int count)
{
	memmove(&schedule->steps[first], &schedule->steps[first + count],
			sizeof(Step) * (size_t) (schedule->step_count - first - count));
	schedule->step_count -= count;
}

static bool
drop_sessions(Shrinking *shrinking)
{
	bool any = false;

	for (int session = 0; session < MAX_SESSIONS; session++)
	{
		Schedule smaller = *shrinking->best;

		for (int i = smaller.step_count - 1; i >= 0; i--)
		{
			if (smaller.steps[i].session == session)
				remove_steps(&smaller, i, 1);
		}
		if (smaller.step_count < shrinking->best->step_count && smaller.step_count > 0)
			any |= try(shrinking, &smaller);
	}
	return any;
}

static bool
drop_steps(Shrinking *shrinking)
{
	bool any = false;

	for (int count = shrinking->best->step_count / 2; count > 0; count /= 2)
	{
		for (int first = shrinking->best->step_count - count; first >= 0; first--)
		{
			Schedule smaller = *shrinking->best;

			if (first + count > smaller.step_count)
				continue;
			remove_steps(&smaller, first, count);
			any |= try(shrinking, &smaller);
		}
	}
	return any;
}

/* A transaction of one statement: without BEGIN and COMMIT around it. */
static bool
drop_brackets(Shrinking *shrinking)
{
	bool any = false;

	for (int i = 0; i < shrinking->best->step_count; i++)
	{
		Schedule smaller = *shrinking->best;
		int last;

		if (strncmp(smaller.steps[i].sql, "BEGIN", 5) != 0)
			continue;
		for (last = i + 1; last < smaller.step_count; last++)
		{
			if (smaller.steps[last].session == smaller.steps[i].session &&
				(strcmp(smaller.steps[last].sql, "COMMIT") == 0 || strcmp(smaller.steps[last].sql, "ROLLBACK") == 0))
				break;
		}
		if (last == smaller.step_count)
			continue;
		remove_steps(&smaller, last, 1);
		remove_steps(&smaller, i, 1);
		any |= try(shrinking, &smaller);
	}
	return any;
}

static bool
drop_levels(Shrinking *shrinking)
{
	bool any = false;

	for (int i = 0; i < shrinking->best->step_count; i++)
	{
		Schedule smaller = *shrinking->best;

		if (strncmp(smaller.steps[i].sql, "BEGIN ", 6) != 0)
			continue;
		(void) strcpy(smaller.steps[i].sql, "BEGIN");
		if (try(shrinking, &smaller))
			any = true;
		else if (strstr(shrinking->best->steps[i].sql, "SERIALIZABLE") != NULL)
		{
			(void) strcpy(smaller.steps[i].sql, "BEGIN ISOLATION LEVEL REPEATABLE READ");
			any |= try(shrinking, &smaller);
		}
	}
	return any;
}

static bool
drop_rows(Shrinking *shrinking)
{
	bool any = false;

	for (int i = shrinking->best->row_count - 1; i >= 0; i--)
	{
		Schedule smaller = *shrinking->best;

		memmove(&smaller.rows[i], &smaller.rows[i + 1], sizeof(int) * (size_t) (smaller.row_count - i - 1));
		smaller.row_count--;
		any |= try(shrinking, &smaller);
	}
	return any;
}

static bool
drop_parts_of_the_table(Shrinking *shrinking)
{
	static const Kind parts[] = {KIND_BEFORE_TRIGGER, KIND_AFTER_TRIGGER, KIND_PARTITION};
	bool any = false;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
	{
		Schedule smaller = *shrinking->best;

		if (!schedule_has(&smaller, parts[i]))
			continue;
		smaller.kinds &= ~KIND_BIT(parts[i]);
		any |= try(shrinking, &smaller);
	}
	return any;
}

static bool
drop_returning(Shrinking *shrinking)
{
	bool any = false;

	for (int i = 0; i < shrinking->best->step_count; i++)
	{
		Schedule smaller = *shrinking->best;
		char *returning = strstr(smaller.steps[i].sql, " RETURNING *");

		if (returning == NULL)
			continue;
		*returning = '\0';
		any |= try(shrinking, &smaller);
	}
	return any;
}

int
shrink(Pair *pair, Schedule *schedule, const char *kind)
{
	Shrinking shrinking = {.pair = pair, .best = schedule, .kind = kind};
	bool smaller;

	do
	{
		smaller = drop_sessions(&shrinking);
		smaller |= drop_steps(&shrinking);
		smaller |= drop_brackets(&shrinking);
		smaller |= drop_levels(&shrinking);
		smaller |= drop_parts_of_the_table(&shrinking);
		smaller |= drop_rows(&shrinking);
		smaller |= drop_returning(&shrinking);
	} while (smaller);
	return shrinking.tried;
}
