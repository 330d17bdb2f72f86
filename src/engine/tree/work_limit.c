/*
 * work_limit.c
 *	  The rate of compaction (see work_limit.h).
 */
#include "engine/tree/work_limit.h"

#include "engine/tree/bucket.h"
#include "engine/tree/write_control.h"

/* Pressure and urgency are noticed after at most this long. */
#define NAP_MS_MAX 20

#define URGENT_US UINT64_C(1000000)

static bool
applies(NvmkvDb *db, uint64_t now_us)
{
	return now_us > port_load_relaxed(&db->root->shm->work_limit.urgent_us) + URGENT_US &&
		!write_control_is_pressed(db);
}

void
work_limit_urge(NvmkvDb *db)
{
	port_store_relaxed(&db->root->shm->work_limit.urgent_us, port_now_us());
}

void
nvmkv_set_compaction_rate(NvmkvDb *db, uint64_t bytes_per_second)
{
	DbWorkLimit *limit = &db->root->shm->work_limit;

	if (port_load_relaxed(&limit->rate) == bytes_per_second)
		return;
	bucket_reset(&limit->bucket, port_now_us());
	port_store_relaxed(&limit->rate, bytes_per_second);
}

NvmkvStatus
work_limit_pay(NvmkvDb *db, uint64_t bytes)
{
	DbWorkLimit *limit = &db->root->shm->work_limit; /* one for all families */
	uint64_t rate = port_load_relaxed(&limit->rate);
	NvmkvStatus st = NVMKV_OK;
	uint64_t ticket;

	if (rate == 0)
		return NVMKV_OK;
	ticket = bucket_ticket(&limit->bucket, bytes) + bytes;
	port_cond_prepare(&limit->wait);
	while (st == NVMKV_OK)
	{
		uint64_t now = port_now_us();
		uint64_t us;

		rate = port_load_relaxed(&limit->rate);
		if (rate == 0)
			break;
		bucket_refill(&limit->bucket, rate, now);
		us = bucket_wait_us(&limit->bucket, ticket, rate);
		if (us == 0)
			break;
		if (!applies(db, now))
		{
			/* Those who come when it applies again shall not pay for this. */
			bucket_give_back(&limit->bucket, bytes);
			break;
		}
		us = (us + 999) / 1000;
		st = port_cond_wait(&limit->wait, us < NAP_MS_MAX ? (int) us : NAP_MS_MAX);
	}
	port_cond_finish(&limit->wait);
	return st;
}
