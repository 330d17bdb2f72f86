/*
 * merge.h
 *	  The one sorted stream of several iterators.
 *
 * Entries that are exactly equal (log replay may leave an entry in two
 * sources) come one after the other, that of the lower-numbered child first:
 * the caller numbers the newest source 0.
 */
#ifndef NVMKV_ITER_MERGE_H
#define NVMKV_ITER_MERGE_H

#include "engine/base/iter.h"

typedef struct MergeIter
{
	NvmkvIter base;
	NvmkvIter **children; /* owned by the caller, as are the iterators */
	unsigned nchildren;
	unsigned *heap; /* indexes of valid children; heap[0] is the current one */
	unsigned heap_size;
	bool reverse; /* which way the heap is ordered */
} MergeIter;

/* children: stays valid as long as the merge.  NO_MEMORY. */
extern NvmkvStatus merge_iter_init(MergeIter *it, NvmkvIter **children, unsigned nchildren);

/* For a caller that has positioned the children itself, all in one direction: takes their positions. */
extern void merge_iter_take(MergeIter *it, bool reverse);

/* The child the current entry comes from. REQUIRES valid. */
extern unsigned merge_iter_source(const MergeIter *it);

/* Frees the heap, not the children. (base.ops->destroy does the same.) */
extern void merge_iter_free(MergeIter *it);

#endif
