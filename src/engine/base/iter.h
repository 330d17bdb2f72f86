/*
 * iter.h
 *	  The iterator every source of entries implements.
 *
 * The position is in the struct itself, so that a merge reads it without a
 * call: when "valid", key/tag/payload describe the current entry and stay
 * readable until the iterator moves or is destroyed (and no longer than the
 * epoch in which it was positioned).  After any operation "status" is NVMKV_OK
 * or the first failure; a failed iterator is not valid and stays so until the
 * next seek.
 */
#ifndef NVMKV_BASE_ITER_H
#define NVMKV_BASE_ITER_H

#include "engine/base/ikey.h"

typedef struct NvmkvIter NvmkvIter;

typedef struct NvmkvIterOps
{
	void (*seek)(NvmkvIter *it, NvmkvSlice key, uint64_t tag);          /* first entry >= (key, tag) */
	void (*seek_for_prev)(NvmkvIter *it, NvmkvSlice key, uint64_t tag); /* last entry <= (key, tag) */
	void (*seek_first)(NvmkvIter *it);
	void (*seek_last)(NvmkvIter *it);
	void (*next)(NvmkvIter *it); /* REQUIRES valid */
	void (*prev)(NvmkvIter *it); /* REQUIRES valid */
	void (*destroy)(NvmkvIter *it);
} NvmkvIterOps;

struct NvmkvIter
{
	const NvmkvIterOps *ops;
	bool valid;
	NvmkvStatus status;
	NvmkvSlice key;
	uint64_t tag;
	NvmkvSlice payload;
};

#endif
