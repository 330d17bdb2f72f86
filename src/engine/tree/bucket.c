/*
 * bucket.c
 *	  Granting and taking (see bucket.h).
 */
#include "engine/tree/bucket.h"

/* Shorter times are left to the next call: their bytes would be rounded away at a low rate. */
#define REFILL_US_MIN UINT64_C(250)
#define REFILL_US_MAX UINT64_C(1000000)

void
bucket_reset(Bucket *bucket, uint64_t now_us)
{
	port_store_relaxed(&bucket->refilled_us, now_us);
	port_store_relaxed(&bucket->granted, port_load_relaxed(&bucket->taken));
}

void
bucket_refill(Bucket *bucket, uint64_t rate, uint64_t now_us)
{
	uint64_t since = port_load_relaxed(&bucket->refilled_us);
	uint64_t granted, limit, target;

	if (now_us < since + REFILL_US_MIN ||
		!__atomic_compare_exchange_n(&bucket->refilled_us, &since, now_us, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	if (now_us - since > REFILL_US_MAX)
		since = now_us - REFILL_US_MAX;
	granted = port_load_relaxed(&bucket->granted);
	limit = port_load_relaxed(&bucket->taken) + (uint64_t) ((double) rate * (double) BUCKET_BURST_US / 1e6);
	target = granted + (uint64_t) ((double) rate * (double) (now_us - since) / 1e6);
	if (target > limit)
		target = limit;
	if (target > granted)
		port_count(&bucket->granted, target - granted);
}

bool
bucket_try(Bucket *bucket, uint64_t bytes)
{
	if ((int64_t) (port_load_relaxed(&bucket->granted) - port_load_relaxed(&bucket->taken)) < 0)
		return false;
	port_count(&bucket->taken, bytes);
	return true;
}

uint64_t
bucket_ticket(Bucket *bucket, uint64_t bytes)
{
	return port_fetch_add(&bucket->taken, bytes);
}

uint64_t
bucket_wait_us(const Bucket *bucket, uint64_t ticket, uint64_t rate)
{
	int64_t missing = (int64_t) (ticket - port_load_relaxed(&bucket->granted));

	return missing <= 0 ? 0 : (uint64_t) ((double) missing * 1e6 / (double) rate) + 1;
}

void
bucket_give_back(Bucket *bucket, uint64_t bytes)
{
	port_count(&bucket->granted, bytes);
}
