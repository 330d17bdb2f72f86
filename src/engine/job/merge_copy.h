/*
 * merge_copy.h
 *	  The common middle of all compactions: a merged stream, through the garbage
 *	  rules, to new tables.
 */
#ifndef NVMKV_JOB_MERGE_COPY_H
#define NVMKV_JOB_MERGE_COPY_H

#include "engine/job/compaction.h"

/*
 * Reads the merge from its first entry to its last; of a dropped storage hardly more than the first entry.
 * CANCELLED when the host wants this process to stop; BUSY when the column cannot be installed any more; or what
 * reading or writing says.
 */
extern NvmkvStatus merge_copy(Compaction *c);

/* Is there no table below "level" that overlaps [low, high]?  Then a frozen deletion in the output hides nothing. */
extern bool merge_is_bottom(const VersionImage *v, unsigned level, NvmkvSlice low, NvmkvSlice high);

/* Sum of the sizes of files [first, end) of the image. */
extern uint64_t merge_files_bytes(const VersionImage *v, uint32_t first, uint32_t end);

/* The run of files of "level" >= 1 that overlap [low, high]. */
extern void merge_overlapping(const VersionImage *v, unsigned level, NvmkvSlice low, NvmkvSlice high,
							  uint32_t *first_out, uint32_t *end_out);

#endif
