/*
 * store_peer.h
 *	  What the engines of one process with threads have in common.
 */
#ifndef NVMKV_BENCH_STORE_PEER_H
#define NVMKV_BENCH_STORE_PEER_H

#include "engine/store.h"

/*
 * Bytes a write of one entry takes in a log of LevelDB's format: header of the record, of the batch, type, lengths.
 * (Headers of blocks' fragments are left out: 7 bytes in 32 KiB.)
 */
static inline uint64_t
peer_log_bytes(uint64_t key_size, uint64_t value_size)
{
	return 7 + 12 + 1 + (key_size < 128 ? 1u : 2u) + (value_size < 128 ? 1u : value_size < 16384 ? 2u : 3u) + key_size +
		   value_size;
}

/* Bytes this process has handed to write(), pwrite() and the like so far. */
extern uint64_t peer_bytes_written(void);

#endif
