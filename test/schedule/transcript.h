/*
 * transcript.h
 *	  What happened when a schedule ran.
 */
#ifndef NVMKV_SCHEDULE_TRANSCRIPT_H
#define NVMKV_SCHEDULE_TRANSCRIPT_H

#include "schedule/schedule.h"

#define MAX_EVENTS (2 * MAX_STEPS + 2)

typedef enum Outcome
{
	OUTCOME_DONE,
	OUTCOME_FAILED,
	OUTCOME_WAITS,
	OUTCOME_DEADLOCK, /* a session was told so. Which one is a matter of moments, so the schedule ends */
	OUTCOME_CYCLE, /* sessions wait for each other and nobody is told */
	OUTCOME_SPINS, /* a session does neither answer nor wait */
	OUTCOME_STUCK, /* there are steps left, but all of their sessions wait */
	OUTCOME_CONTENT /* the rows at the end */
} Outcome;

typedef struct Event
{
	int step; /* -1: of no step */
	Outcome outcome;
	bool late; /* of a step that had to wait */
	bool alarm; /* failed for what SERIALIZABLE transactions have read and written */
	char code[6];
	char *text;
} Event;

typedef struct Transcript
{
	Event events[MAX_EVENTS];
	int count;
	int certain; /* from this event on others might have come: sessions have raced */
} Transcript;

extern void transcript_add(Transcript *transcript, Event event, const char *text);
extern void transcript_clear(Transcript *transcript);

/* What an event is, in a word or two: "waits", "error 40001". */
extern void event_word(const Event *event, char *word, size_t size);

/* The events as lines. */
extern void transcript_print(const Transcript *transcript, const Schedule *schedule, Text *out);

/* The first event that is not the same, or -1; one that only one has counts. */
extern int transcript_difference(const Transcript *a, const Transcript *b);

/*
 * Is the first difference that SERIALIZABLE found a conflict in one and none in the other?  What of a table it
 * takes for read is not the same: pages of an index there, keys here.
 */
extern bool transcript_differs_by_alarm(const Transcript *a, const Transcript *b);

#endif
