/*
 * claim.c
 *	  Claims, and waiting for progress.
 */
#include "engine/tree/claim.h"

#include "engine/base/assert.h"

/* How long one looks the other way while another process does the step one waits for. */
#define PROGRESS_WAIT_MS 20

uint32_t
db_claim_word(void)
{
	return (uint32_t) (port_process_slot() + 2); /* 1: a process without a slot, at start-up */
}

bool
db_claim(NvmkvDb *db, DbClaim claim)
{
	uint32_t expected = 0;

	return __atomic_compare_exchange_n(&db->shm->claims[claim], &expected, db_claim_word(), false, __ATOMIC_SEQ_CST,
									   __ATOMIC_RELAXED);
}

void
db_unclaim(NvmkvDb *db, DbClaim claim)
{
	NVMKV_ASSERT(port_load_relaxed(&db->shm->claims[claim]) == db_claim_word());
	port_store_release(&db->shm->claims[claim], 0);
	port_cond_broadcast(&db->shm->progress);
}

NvmkvStatus
db_wait_progress(NvmkvDb *db)
{
	NvmkvStatus st;

	port_cond_prepare(&db->shm->progress);
	st = port_cond_wait(&db->shm->progress, PROGRESS_WAIT_MS);
	port_cond_finish(&db->shm->progress);
	return st;
}
