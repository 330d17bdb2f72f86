/*
 * order.h
 *	  Is there an order in which transactions, one after the other, would have done what they did beside each other?
 */
#ifndef NVMKV_SCHEDULE_ORDER_H
#define NVMKV_SCHEDULE_ORDER_H

#include "schedule/transcript.h"
#include "schedule/world.h"

/*
 * The schedule has one transaction a session, from BEGIN to COMMIT. Tries orders of those that were committed, on
 * tables of the reference, until the results of all of their statements, and the rows at the end, are those of the
 * transcript. Writes the order that was found, or nothing, as text: "s2 s1 s3".
 */
extern bool order_find(World *reference, const Schedule *schedule, const Transcript *transcript, Text *order);

/* Which sessions have committed. */
extern void order_committed(const Schedule *schedule, const Transcript *transcript, bool committed[MAX_SESSIONS]);

#endif
