/*
 * txnops.h
 *	  What background work asks the host about transactions.
 */
#ifndef NVMKV_BASE_TXNOPS_H
#define NVMKV_BASE_TXNOPS_H

#include <stddef.h>
#include <stdint.h>

typedef enum NvmkvOutcome
{
	NVMKV_OUTCOME_RUNNING,	 /* or unknown: keep the tag, ask again later */
	NVMKV_OUTCOME_ABORTED,	 /* never happened */
	NVMKV_OUTCOME_COMMITTED, /* but some snapshot may still not see it */
	NVMKV_OUTCOME_FROZEN	 /* committed, and every snapshot anyone holds or will take sees it */
} NvmkvOutcome;

/* Outcomes of transactions [from, to) as bits, transaction x in bit x % 8: bytes from the one that has "from" on. */
static inline size_t
nvmkv_outcome_bytes(uint64_t from, uint64_t to)
{
	return (size_t) ((to - 1) / 8 - from / 8 + 1);
}

/*
 * Process-local.  Used by flush and compaction in this process; NULL outcome: every tag is RUNNING.
 * They may raise: nvmkv_abort_cleanup then takes the work apart that asked.
 */
typedef struct NvmkvTxnOps
{
	void *ctx;
	/* A new job begins: fetch the horizon. May be NULL. */
	void (*begin_job)(void *ctx);
	NvmkvOutcome (*outcome)(void *ctx, uint64_t fxid);
	/* Every committed fxid below it is FROZEN (for versions whose outcome is stored already).  NULL: 0, none is. */
	uint64_t (*horizon)(void *ctx);
} NvmkvTxnOps;

#endif
