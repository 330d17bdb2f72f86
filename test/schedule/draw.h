/*
 * draw.h
 *	  Draws whole schedules.
 */
#ifndef NVMKV_SCHEDULE_DRAW_H
#define NVMKV_SCHEDULE_DRAW_H

#include "schedule/schedule.h"

/* Two to four sessions with transactions of all kinds and statements alone.  The same seed and rules: the same one.
 * */
extern void draw_schedule(Schedule *schedule, uint64_t seed, const Rules *rules);

/* Three to four sessions, each with one SERIALIZABLE transaction of a few statements, no step of which ends
 * another. */
extern void draw_serializable(Schedule *schedule, uint64_t seed, const Rules *rules);

#endif
