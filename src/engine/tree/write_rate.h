/*
 * write_rate.h
 *	  How fast writers may be: a pure function of how much room is left and how
 *	  fast background work makes room.
 *
 * Each cause has a zone of slow-down.  "reserve" is the share of the zone that
 * is left: 1 and more at its edge, 0 where the room ends.  In the zone
 *
 *	  rate = drain * 2 ^ (3 * (2 * reserve - 1))
 *
 * so writers are let in eight times as fast as room is made at the edge, exactly
 * as fast in the middle, and an eighth as fast at the end.  The reserve then
 * moves by drain - rate, towards the middle, from either side and without
 * swinging: a first-order loop.  Where the drain is misjudged (up to eightfold)
 * the reserve settles elsewhere in the zone, and writers are as fast as the true
 * drain all the same.  A limit that is switched on and off at one mark, or
 * multiplied at every step of background work, has no such place to settle: it
 * swings between full speed and nothing.
 *
 * The rate is never 0: writers stop where there is no room, not before.
 */
#ifndef NVMKV_TREE_WRITE_RATE_H
#define NVMKV_TREE_WRITE_RATE_H

#include "engine/nvmkv_stats.h"

typedef struct WriteSignal
{
	double reserve;
	double drain; /* bytes a second; 0: not known yet */
} WriteSignal;

/* Bytes a second, 0: no limit.  *cause_out: the signal that asks for the lowest rate. */
extern uint64_t write_rate(const WriteSignal signals[NVMKV_STALL_CAUSES], NvmkvStallCause *cause_out);

/*
 * Measures a drain while it is busy: what an idle one achieves says nothing of what it could.  The speed is an average
 * that forgets with a time constant of some seconds, since work comes in pieces.
 */
typedef struct WriteMeter
{
	uint64_t total; /* bytes drained at the last look */
	uint64_t looked_us;
	double busy_us; /* measured so far, at most the time constant */
	double speed;	/* bytes a second */
	bool busy;		/* at the last look */
} WriteMeter;

/* total: bytes drained since ever; busy: there is work now, and there will be until it is done. */
extern void write_meter_look(WriteMeter *meter, uint64_t total, bool busy, uint64_t now_us);

/* 0: not known yet. */
extern double write_meter_speed(const WriteMeter *meter);

#endif
