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
	unsigned second; /* heap[second] comes next after heap[0]; 0: not known */
	bool reverse;	 /* which way the heap is ordered */
} MergeIter;

/* children: stays valid as long as the merge.  NO_MEMORY. */
extern NvmkvStatus merge_iter_init(MergeIter *it, NvmkvIter **children, unsigned nchildren);

/* For a caller that has positioned the children itself, all in one direction: takes their positions. */
extern void merge_iter_take(MergeIter *it, bool reverse);

/* The child the current entry comes from. REQUIRES valid. */
extern unsigned merge_iter_source(const MergeIter *it);

/*
 * For a caller that moves the child of the current entry itself, forwards, as long as its key is below that of all
 * other children: the child, the least key of the others (false: there are none left), and what to call when done.
 * REQUIRES valid, and not reverse.
 */
extern NvmkvIter *merge_iter_child(const MergeIter *it);
extern bool merge_iter_next_key(MergeIter *it, NvmkvSlice *key_out);
extern void merge_iter_moved(MergeIter *it);

/* Frees the heap, not the children. (base.ops->destroy does the same.) */
extern void merge_iter_free(MergeIter *it);

#endif
