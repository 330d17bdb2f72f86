/*
 * shape.h
 *	  How large the levels are to be, and how far over that they are.
 */
#ifndef NVMKV_TREE_SHAPE_H
#define NVMKV_TREE_SHAPE_H

#include "engine/tree/tree.h"

/* Target size of a level; 0: none. */
extern uint64_t level_target(const NvmkvDb *db, unsigned level);
extern double level_score(const NvmkvDb *db, const VersionImage *v, unsigned level);

/* The level that is most over its target; *level_out 0: all are empty. */
extern double level_highest_score(const NvmkvDb *db, const VersionImage *v, unsigned *level_out);

/* Is there no table below "level" that overlaps [low, high]?  Then a frozen deletion in the output hides nothing. */
extern bool shape_is_bottom(const VersionImage *v, unsigned level, NvmkvSlice low, NvmkvSlice high);

/* Sum of the sizes of files [first, end) of the image. */
extern uint64_t shape_files_bytes(const VersionImage *v, uint32_t first, uint32_t end);

/* The run of files of "level" >= 1 that overlap [low, high]. */
extern void shape_overlapping(const VersionImage *v, unsigned level, NvmkvSlice low, NvmkvSlice high,
							  uint32_t *first_out, uint32_t *end_out);

#endif
