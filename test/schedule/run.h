/*
 * run.h
 *	  Runs the steps of a schedule.
 */
#ifndef NVMKV_SCHEDULE_RUN_H
#define NVMKV_SCHEDULE_RUN_H

#include "schedule/transcript.h"
#include "schedule/world.h"

/*
 * Makes the tables, runs the steps one after the other, those of a session that waits as soon as it goes on, reads
 * the rows at the end, and drops the tables.  A session that neither answers nor waits for so many milliseconds
 * ends it; so does a deadlock, if asked for.
 */
extern void run_schedule(World *world, const Schedule *schedule, int patience, bool deadlock_ends,
						 Transcript *transcript);

/*
 * The same, but nobody waits for anybody else's steps: each session gets its next one when it has answered.  Events
 * come in the order of answers.
 */
extern void run_freely(World *world, const Schedule *schedule, Transcript *transcript);

#endif
