/*
 * run.c
 *	  See run.h.
 */
#include "schedule/run.h"

#include <stdio.h>
#include <string.h>

typedef struct Run
{
	World *world;
	const Schedule *schedule;
	Transcript *transcript;
	int current[MAX_SESSIONS]; /* the step a session is at that has not been noted as answered, or -1 */
	bool sent[MAX_STEPS];
} Run;

static void
start(Run *run, World *world, const Schedule *schedule, Transcript *transcript)
{
	memset(run, 0, sizeof(*run));
	run->world = world;
	run->schedule = schedule;
	run->transcript = transcript;
	transcript->count = 0;
	transcript->certain = MAX_EVENTS;
	for (int i = 0; i < MAX_SESSIONS; i++)
		run->current[i] = -1;
	world_prepare(world, schedule);
}

/* The first step that has not been sent and whose session is free; -1: there is none. */
static int
next_step(const Run *run)
{
	for (int i = 0; i < run->schedule->step_count; i++)
	{
		if (!run->sent[i] && !run->world->sessions[run->schedule->steps[i].session].busy)
			return i;
	}
	return -1;
}

static void
send(Run *run, int step)
{
	run->sent[step] = true;
	run->current[run->schedule->steps[step].session] = step;
	world_send(run->world, &run->schedule->steps[step]);
}

/* Notes the answer of a session that has one. */
static void
note_answer(Run *run, int number, bool late)
{
	const Session *session = &run->world->sessions[number];
	Event event = {.step = run->current[number], .outcome = OUTCOME_DONE, .late = late, .alarm = session->alarm};

	if (run->current[number] < 0 || session->busy)
		return;
	if (session->code[0] != '\0')
		event.outcome = OUTCOME_FAILED;
	(void) strcpy(event.code, session->code);
	run->current[number] = -1;
	transcript_add(run->transcript, event, session->said.data);
}

static void
note(Run *run, int step, Outcome outcome)
{
	transcript_add(run->transcript, (Event) {.step = step, .outcome = outcome}, "");
}

/* Notes how a step and those that waited for it have ended.  False if that ends the schedule. */
static bool
settle(Run *run, int step, int patience, bool deadlock_ends)
{
	int number = run->schedule->steps[step].session;
	Settled settled;

	do
		settled = world_settle(run->world, patience);
	while (settled == SETTLED_DEADLOCK && !deadlock_ends);
	switch (settled)
	{
		case SETTLED_DEADLOCK:
			note(run, step, OUTCOME_DEADLOCK);
			return false;
		case SETTLED_CYCLE:
			note(run, step, OUTCOME_CYCLE);
			return false;
		case SETTLED_SPINS:
			note(run, step, OUTCOME_SPINS);
			return false;
		case SETTLED:
			break;
	}
	if (run->world->sessions[number].busy)
		note(run, step, OUTCOME_WAITS);
	else
		note_answer(run, number, false);
	for (int i = 0; i < MAX_SESSIONS; i++)
		note_answer(run, i, true);
	if (run->world->racing && run->transcript->certain == MAX_EVENTS)
		run->transcript->certain = run->transcript->count;
	return true;
}

static void
finish(Run *run, bool complete)
{
	world_stop(run->world);
	if (complete)
	{
		Text content;

		text_init(&content);
		world_content(run->world, run->world->control, &content);
		transcript_add(run->transcript, (Event) {.step = -1, .outcome = OUTCOME_CONTENT}, content.data);
		text_free(&content);
	}
	world_clear(run->world, run->schedule);
}

void
run_schedule(World *world, const Schedule *schedule, int patience, bool deadlock_ends, Transcript *transcript)
{
	Run run;
	bool going = true;
	int step;

	start(&run, world, schedule, transcript);
	while (going && (step = next_step(&run)) >= 0)
	{
		send(&run, step);
		going = settle(&run, step, patience, deadlock_ends);
	}
	for (int i = 0; i < MAX_SESSIONS && going; i++)
	{
		if (world->sessions[i].busy)
		{
			note(&run, -1, OUTCOME_STUCK);
			going = false;
		}
	}
	finish(&run, going);
}

void
run_freely(World *world, const Schedule *schedule, Transcript *transcript)
{
	Run run;
	int step;
	bool busy;

	start(&run, world, schedule, transcript);
	do
	{
		while ((step = next_step(&run)) >= 0)
			send(&run, step);
		world_await_any(world);
		busy = false;
		for (int i = 0; i < MAX_SESSIONS; i++)
		{
			note_answer(&run, i, false);
			busy |= world->sessions[i].busy;
		}
	} while (busy || next_step(&run) >= 0);
	finish(&run, true);
}
