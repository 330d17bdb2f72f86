/*
 * level.h
 *	  Level compaction of a key range, a table a step.
 */
#ifndef NVMKV_JOB_LEVEL_H
#define NVMKV_JOB_LEVEL_H

#include "engine/tree/tree.h"

typedef struct LevelRange
{
	unsigned level, output_level; /* the same, or the next */
	NvmkvSlice lower;			  /* inclusive */
	bool behind;				  /* tables that end at "lower" are not meant */
	NvmkvSlice upper;			  /* exclusive; empty: none */
	uint64_t below_number;		  /* only tables with a smaller number */
} LevelRange;

/*
 * Compacts the first table of the range; its largest key is in *largest_out.  OK with *did_out false: there is none.
 * BUSY: others are at work there.
 */
extern NvmkvStatus level_range_step(NvmkvDb *db, const LevelRange *range, NvmkvBuf *largest_out, bool *did_out);

/*
 * Writes a table of a level >= 1 anew, in place; frees_all: see value_is_moved.  OK with *did_out false: it is not
 * there any more, or others are at work there.
 */
extern NvmkvStatus level_rewrite(NvmkvDb *db, unsigned level, uint64_t number, bool frees_all, bool *did_out);

/* Moves one table down if a level has at least this score; of those nobody else works on. */
extern NvmkvStatus level_step(NvmkvDb *db, double from_score, bool *did_out);

#endif
