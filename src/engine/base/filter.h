/*
 * filter.h
 *	  Blocked bloom filters over user keys: one cache line a key.
 *
 * A filter is an array of 64-byte lines.  A key's 64-bit hash chooses one
 * line by its high half and k bits in it by its low half ("Cache-, Hash- and
 * Space-Efficient Bloom Filters", Putze, Sanders, Singler 2007).
 */
#ifndef NVMKV_BASE_FILTER_H
#define NVMKV_BASE_FILTER_H

#include "engine/base/slice.h"

#define FILTER_LINE_BYTES 64

/* 64-bit hash of a user key: fixed for ever, it is part of the file formats. */
extern uint64_t filter_hash(NvmkvSlice key);

/*
 * The same for what keys begin with: another function, so that a prefix in a filter says nothing of the key that
 * consists of it.
 */
extern uint64_t filter_prefix_hash(NvmkvSlice prefix);

/* Bytes of a filter for "keys" keys at bits_per_key (1..32): a multiple of 64, at least 64; 0 when bits_per_key is 0. */
extern size_t filter_bytes(uint64_t keys, unsigned bits_per_key);

/* Sets the key's bits.  bytes is a multiple of 64.  Not safe against concurrent adders. */
extern void filter_add(uint8_t *filter, size_t bytes, uint64_t hash);

/* The same with atomic ORs: concurrent adders and readers. */
extern void filter_add_atomic(uint8_t *filter, size_t bytes, uint64_t hash);

/* false: the key was never added.  An empty filter (bytes 0) says true. */
extern bool filter_may_contain(const uint8_t *filter, size_t bytes, uint64_t hash);

/* Fetches the key's line into the processor's cache for a filter_add or filter_may_contain that comes soon. */
extern void filter_prefetch(const uint8_t *filter, size_t bytes, uint64_t hash);

#endif
