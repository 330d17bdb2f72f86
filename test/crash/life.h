/*
 * life.h
 *	  A life with a failure or a crash in it, then recovery.
 *
 * A child process plays a script of writes, syncs, flushes, compactions and
 * reopens; somewhere in it a fault point, a file operation or an allocation
 * fails, the process is killed, or the power goes.  The script is recorded in
 * shared memory as it goes.  Afterwards the database must open, hold exactly
 * the writes up to some moment, and this moment must not lie before the last
 * write that was acknowledged as durable.
 *
 * In some lives the keys are spread over column families, which are dropped and
 * made anew on the way.  A family's name says which one of all it was, so that
 * after a death in the middle of it the model knows what has become of it.
 */
#ifndef NVMKV_TEST_LIFE_H
#define NVMKV_TEST_LIFE_H

#include "crash/record.h"

/* What the power took in all lives of this program. */
extern LossyTally life_sectors;
extern LineTally life_lines;
extern void life_print_tally(void);

/*
 * One life of the kind that "life" says, one fault, one recovery.  Prints what was wrong.  Both seeds repeat it; the
 * record tells what was done.
 */
extern bool life_with(const Fault *f, uint64_t seed);

#endif
