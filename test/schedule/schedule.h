/*
 * schedule.h
 *	  A schedule: a table with some rows, and steps of several sessions in a fixed order.
 *
 * The table is t, with a key, v and w beside it; the heap table o (x, y) is there to join with.  Both are in a
 * schema of their own, so a schedule has the same text for every flavour of t.
 */
#ifndef NVMKV_SCHEDULE_SCHEDULE_H
#define NVMKV_SCHEDULE_SCHEDULE_H

#include "schedule/kind.h"
#include "schedule/text.h"

#define MAX_SESSIONS 5 /* four that are drawn, and one that ends prepared transactions: it never waits */
#define ENDING_SESSION 4
#define MAX_STEPS 64
#define MAX_ROWS 6
#define SQL_BYTES 320

typedef enum Flavour
{
	FLAVOUR_HEAP,
	FLAVOUR_NVMKV,
	FLAVOUR_LAX /* a heap table whose transactions are weaker than they ask for: it must be caught */
} Flavour;

/* In SQL, '@' stands for the name of the schema: names of prepared transactions are the server's, not the schema's.
 * */
typedef struct Step
{
	int session;
	char sql[SQL_BYTES];
} Step;

typedef struct Schedule
{
	uint64_t seed;
	KindSet kinds; /* drawn; shape and triggers of the table are among them */
	int rows[MAX_ROWS]; /* keys, as numbers */
	int row_count;
	Step steps[MAX_STEPS];
	int step_count;
} Schedule;

static inline bool
schedule_has(const Schedule *schedule, Kind kind)
{
	return (schedule->kinds & KIND_BIT(kind)) != 0;
}

#endif
