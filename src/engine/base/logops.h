/*
 * logops.h
 *	  The log as the write path sees it.
 *
 * Two implementations: the engine's own log (log_group.h, several processes,
 * group commit) and PostgreSQL's WAL (src/fdw/host/wal.c).  A record is one write
 * batch; its entries get consecutive sequences that end at *last_sequence_out,
 * so the log is what orders writes.
 */
#ifndef NVMKV_BASE_LOGOPS_H
#define NVMKV_BASE_LOGOPS_H

#include "engine/base/slice.h"

typedef struct NvmkvLogOps
{
	void *ctx;

	/* Appends a batch of "count" entries.  Not durable yet.  The server's may raise: the write path must be sound then. */
	NvmkvStatus (*append)(void *ctx, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out);

	/*
	 * Everything up to "sequence" is durable on OK, and so is every transaction outcome the host has
	 * reported through NvmkvTxnOps.outcome before this call.  sequence NVMKV_SEQUENCE_MAX: all there is.
	 */
	NvmkvStatus (*flush)(void *ctx, uint64_t sequence);

	/* Every record appended after this call has sequences greater than the result. */
	uint64_t (*position)(void *ctx);
} NvmkvLogOps;

#endif
