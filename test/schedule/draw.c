/*
 * draw.c
 *	  See draw.h.
 */
#include "schedule/draw.h"

#include <stdio.h>
#include <string.h>

#include "schedule/random.h"
#include "schedule/statement.h"

/* What the generator believes of a session: errors may have made it different, which does no harm. */
typedef struct Believed
{
	bool open;
	bool savepoint;
	int statements; /* of the open transaction */
} Believed;

typedef struct Drawing
{
	Random random;
	const Rules *rules;
	Schedule *schedule;
	Believed sessions[MAX_SESSIONS];
	int prepared; /* names given */
	bool waiting[MAX_STEPS]; /* those that have not been ended */
} Drawing;

static bool
may(const Drawing *drawing, Kind kind)
{
	return rules_allow(drawing->rules, drawing->schedule->kinds | KIND_BIT(kind));
}

static bool
choose(Drawing *drawing, Kind kind, int percent)
{
	if (!random_percent(&drawing->random, percent) || !may(drawing, kind))
		return false;
	drawing->schedule->kinds |= KIND_BIT(kind);
	return true;
}

static void
add_step(Drawing *drawing, int session, const char *sql)
{
	Schedule *schedule = drawing->schedule;
	Step *step = &schedule->steps[schedule->step_count++];

	step->session = session;
	(void) snprintf(step->sql, sizeof(step->sql), "%s", sql);
}

static void
draw_table(Drawing *drawing)
{
	Schedule *schedule = drawing->schedule;

	if (!choose(drawing, KIND_PARTITION, 15) && !choose(drawing, KIND_COMPOSITE, 20) &&
		!choose(drawing, KIND_INHERITANCE, 15))
		(void) choose(drawing, KIND_NO_KEY, 20);
	if (!schedule_has(schedule, KIND_PARTITION) && !schedule_has(schedule, KIND_INHERITANCE))
		(void) choose(drawing, KIND_UNIQUE, 30);
	(void) choose(drawing, KIND_BEFORE_TRIGGER, 12);
	(void) choose(drawing, KIND_AFTER_TRIGGER, 12);
	for (int key = 1; key <= 4; key++)
	{
		if (random_percent(&drawing->random, 85))
			schedule->rows[schedule->row_count++] = key;
	}
}

static void
begin(Drawing *drawing, int session)
{
	if (choose(drawing, KIND_SERIALIZABLE, 15))
		add_step(drawing, session, "BEGIN ISOLATION LEVEL SERIALIZABLE");
	else if (choose(drawing, KIND_REPEATABLE_READ, 25))
		add_step(drawing, session, "BEGIN ISOLATION LEVEL REPEATABLE READ");
	else
	{
		drawing->schedule->kinds |= KIND_BIT(KIND_READ_COMMITTED);
		add_step(drawing, session, "BEGIN");
	}
	drawing->sessions[session] = (Believed) {.open = true};
}

static void
end(Drawing *drawing, int session)
{
	char sql[SQL_BYTES];

	drawing->sessions[session].open = false;
	if (choose(drawing, KIND_PREPARED, 15))
	{
		(void) snprintf(sql, sizeof(sql), "PREPARE TRANSACTION 'p%d @'", drawing->prepared);
		add_step(drawing, session, sql);
		drawing->waiting[drawing->prepared++] = true;
		return;
	}
	add_step(drawing, session, choose(drawing, KIND_ROLLBACK, 25) ? "ROLLBACK" : "COMMIT");
}

/* The oldest one that is prepared. */
static bool
end_prepared(Drawing *drawing)
{
	for (int i = 0; i < drawing->prepared; i++)
	{
		char sql[SQL_BYTES];

		if (!drawing->waiting[i])
			continue;
		drawing->waiting[i] = false;
		(void) snprintf(sql, sizeof(sql), "%s PREPARED 'p%d @'",
						random_percent(&drawing->random, 70) ? "COMMIT" : "ROLLBACK", i);
		add_step(drawing, ENDING_SESSION, sql);
		return true;
	}
	return false;
}

static void
statement(Drawing *drawing, int session)
{
	char sql[SQL_BYTES];

	statement_draw(&drawing->random, drawing->rules, drawing->schedule, sql);
	add_step(drawing, session, sql);
	drawing->sessions[session].statements++;
}

static void
step_of(Drawing *drawing, int session)
{
	Believed *believed = &drawing->sessions[session];

	if (!believed->open)
	{
		if (random_percent(&drawing->random, 75))
			begin(drawing, session);
		else
			statement(drawing, session);
	}
	else if (believed->statements > 0 && random_percent(&drawing->random, 18))
		end(drawing, session);
	else if (!believed->savepoint && choose(drawing, KIND_SAVEPOINT, 15))
	{
		believed->savepoint = true;
		add_step(drawing, session, "SAVEPOINT a");
	}
	else if (believed->savepoint && random_percent(&drawing->random, 20))
		add_step(drawing, session, random_percent(&drawing->random, 75) ? "ROLLBACK TO a" : "RELEASE a; SAVEPOINT a");
	else
		statement(drawing, session);
}

static void
start(Drawing *drawing, Schedule *schedule, uint64_t seed, const Rules *rules)
{
	memset(schedule, 0, sizeof(*schedule));
	memset(drawing, 0, sizeof(*drawing));
	schedule->seed = seed;
	drawing->random.state = seed;
	drawing->rules = rules;
	drawing->schedule = schedule;
	draw_table(drawing);
}

void
draw_schedule(Schedule *schedule, uint64_t seed, const Rules *rules)
{
	Drawing drawing;
	int sessions;
	int length;

	start(&drawing, schedule, seed, rules);
	sessions = 2 + random_below(&drawing.random, 3);
	length = 8 + random_below(&drawing.random, 14);
	while (schedule->step_count < length)
	{
		if (drawing.prepared > 0 && random_percent(&drawing.random, 10) && end_prepared(&drawing))
			continue;
		step_of(&drawing, random_below(&drawing.random, sessions));
	}
	for (int first = random_below(&drawing.random, sessions), i = 0; i < sessions; i++)
	{
		int session = (first + i) % sessions;

		if (drawing.sessions[session].open)
			end(&drawing, session);
	}
	while (end_prepared(&drawing))
		;
}

void
draw_serializable(Schedule *schedule, uint64_t seed, const Rules *rules)
{
	/* What is skipped is not there in any order. */
	Rules stricter = *rules;
	Drawing drawing;
	int left[MAX_SESSIONS];
	int sessions;
	int total = 0;

	(void) rules_add(&stricter, "skip-locked");
	start(&drawing, schedule, seed, &stricter);
	schedule->kinds |= KIND_BIT(KIND_SERIALIZABLE);
	sessions = 3 + random_below(&drawing.random, 2);
	for (int i = 0; i < sessions; i++)
		total += left[i] = 4 + random_below(&drawing.random, 3);
	for (; total > 0; total--)
	{
		int session;

		do
			session = random_below(&drawing.random, sessions);
		while (left[session] == 0);
		if (!drawing.sessions[session].open)
		{
			drawing.sessions[session].open = true;
			add_step(&drawing, session, "BEGIN ISOLATION LEVEL SERIALIZABLE");
		}
		else if (left[session] == 1)
			add_step(&drawing, session, "COMMIT");
		else if (random_percent(&drawing.random, 30))
		{
			char sql[SQL_BYTES];

			statement_draw_read(&drawing.random, schedule, sql);
			add_step(&drawing, session, sql);
		}
		else
			statement(&drawing, session);
		left[session]--;
	}
}
