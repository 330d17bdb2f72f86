/*
 * bucket.h
 *	  A token bucket in shared memory: bytes that all processes together may
 *	  spend, so many a second.
 *
 * Two numbers that only grow: "granted" bytes and "taken" ones.  Who wants to
 * spend draws a ticket, the place in "taken" where its bytes begin, and may go
 * when "granted" has come so far.  So those who wait go in the order in which
 * they came, by bytes, and whoever takes much at once makes the others wait,
 * not itself.  Idle time is forgotten but for BUCKET_BURST_US: that much
 * makes up for naps that last longer than was asked for.
 *
 * No locks.  A race may grant a burst twice; what was taken is never lost, so
 * the rate holds in the long run.  A process that dies with a ticket has spent
 * it.
 */
#ifndef NVMKV_TREE_BUCKET_H
#define NVMKV_TREE_BUCKET_H

#include "engine/port/port.h"

#define BUCKET_BURST_US UINT64_C(2000)

typedef struct Bucket
{
	_Alignas(64) uint64_t granted;
	uint64_t taken;
	uint64_t refilled_us;
} Bucket;

/* Forgets what was granted and taken: nobody has to wait for the past. */
extern void bucket_reset(Bucket *bucket, uint64_t now_us);

/* Grants what the time since the last call is worth; rate in bytes a second, not 0. */
extern void bucket_refill(Bucket *bucket, uint64_t rate, uint64_t now_us);

/* Takes the bytes if that needs no wait. */
extern bool bucket_try(Bucket *bucket, uint64_t bytes);

/* Takes the bytes; they may be spent when bucket_wait_us says 0. */
extern uint64_t bucket_ticket(Bucket *bucket, uint64_t bytes);
extern uint64_t bucket_wait_us(const Bucket *bucket, uint64_t ticket, uint64_t rate);

/* Bytes that were taken and will not be spent. */
extern void bucket_give_back(Bucket *bucket, uint64_t bytes);

#endif
