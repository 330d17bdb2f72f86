/*
 * spec.h
 *	  A schedule as a test of PostgreSQL's isolation tester.
 */
#ifndef NVMKV_SCHEDULE_SPEC_H
#define NVMKV_SCHEDULE_SPEC_H

#include "schedule/transcript.h"

/*
 * Appends the text of a file for specs/.  The transcript, of heap tables, gives the order of steps: the tester
 * waits where a step's session does.
 */
extern void spec_print(const Schedule *schedule, const Transcript *transcript, Text *out);

#endif
