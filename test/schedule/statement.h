/*
 * statement.h
 *	  Draws one statement on the tables of a schedule.
 */
#ifndef NVMKV_SCHEDULE_STATEMENT_H
#define NVMKV_SCHEDULE_STATEMENT_H

#include "schedule/random.h"
#include "schedule/schedule.h"

/*
 * Writes a statement, adds its kinds to the schedule's.  What rules forbid beside what the schedule has already is
 * not drawn; a plain read, if nothing else is allowed.
 */
extern void statement_draw(Random *random, const Rules *rules, Schedule *schedule, char *sql);

/* A plain read. */
extern void statement_draw_read(Random *random, Schedule *schedule, char *sql);

#endif
