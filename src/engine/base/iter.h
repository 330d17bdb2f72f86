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

/*
 * For an iterator that goes round what cannot be read, forwards, instead of failing (tree/damage.h): told of each range
 * of keys [low, upper) that it leaves out.  low, upper of size 0: as far as the source reaches.  source: number of the
 * table, or id of the row; offset: of the first damaged block of the table, or number of the entry of the row, or
 * NVMKV_DAMAGE_ALL.  What it returns other than OK is the iterator's failure.
 */
#define NVMKV_DAMAGE_ALL UINT64_MAX

typedef struct NvmkvDamageSink NvmkvDamageSink;

struct NvmkvDamageSink
{
	NvmkvStatus (*lost)(NvmkvDamageSink *sink, bool is_row, uint64_t source, uint64_t offset, NvmkvSlice low,
						NvmkvSlice upper);
};

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

/* For the iterators themselves, and for whoever knows that a seek would find nothing that matters. */
static inline void
iter_stand_nowhere(NvmkvIter *it)
{
	it->valid = false;
	it->status = NVMKV_OK;
}

#endif
