/*
 * compaction.h
 *	  A compaction under way in this process, whatever chose it: columns
 *	  (column.c), levels (level.c), dropped storages (drop.c).
 *
 * Steps, and what a crash after each leaves:
 *	  1 announced (running.h), by who chose it						nothing
 *	  2 entries merged into new tables, filtered (gc.h)				files no version names: removed at the next open
 *	  3 log flushed (outcomes stored in step 2), tables synced		the same
 *	  4 edit installed: inputs out, tables in						done; what was given up is free again
 *	  5 extents and files retired until no reader can look at them
 *
 * It goes round what it cannot read of its inputs (damage.h); the edit of step 4
 * says which keys that costs.
 *
 * Everything a compaction owns hangs on the handle, so that an abort frees it:
 * the host's callbacks may raise in step 2.
 */
#ifndef NVMKV_JOB_COMPACTION_H
#define NVMKV_JOB_COMPACTION_H

#include "engine/iter/level.h"
#include "engine/iter/merge.h"
#include "engine/job/gc.h"
#include "engine/job/table_output.h"
#include "engine/nvm/column.h"
#include "engine/tree/damage.h"
#include "engine/tree/tree.h"

typedef struct Compaction
{
	NvmkvDb *db;
	DbJob *job;		  /* NULL before compaction_begin */
	Running *running; /* NULL before it is announced */
	VersionImage *v;  /* private copy of the version it was chosen in */
	unsigned level;	  /* of the tables that are taken */
	unsigned output_level;
	NvmkvSlice low, high;			  /* of what is taken; into v or "low_key" and "column" */
	uint32_t first_taken, end_taken;  /* tables of "level"; files of v */
	uint32_t first_merged, end_merged; /* tables of "output_level" it meets, if that is another */
	NvmRowRef *rows; /* columns: those with entries in it, newest first; they begin where the column does */
	uint32_t nrows;
	NvmColumn column;
	uint64_t *bytes_behind; /* by row: its data behind the column; NULL: the indexes tell */
	NvmkvBuf low_key;
	TableOutput output;
	GcFilter gc;
	DamageList damage;	 /* what it went round */
	MetaDamageClear *clears; /* where no damage is missed any more; the keys are owned here */
	uint32_t nclears;
	NvmkvBuf forgotten;	 /* the last key whose value was lost, and that accepted (merge_copy.c) */
	bool frees_all;		 /* of values apart: see value_is_moved */
	bool holds_lost_refs; /* the claim (value.h) */
	ValueRefs released;	 /* what is not referred to any more; for the edit */
	MetaFileDrop *drops; /* drop.c */
	uint64_t *row_drops;

	/* The merge. */
	NvmRowIter *row_iters;
	LevelIter *file_iters;
	NvmkvIter **children;
	unsigned nchildren;
	MergeIter merge;
	bool is_merging;
} Compaction;

/* Hangs a new one on the handle. */
extern NvmkvStatus compaction_create(NvmkvDb *db, Compaction **c_out);

/*
 * To be called under the lock of running.h: finds the tables of the output level and announces the whole.  *added_out
 * false: others are at it.  REQUIRES v, levels, low and high, and what is taken.
 */
extern bool compaction_announce(Compaction *c);

/* The job as the views show it.  The callbacks of the host may raise. */
extern void compaction_begin(Compaction *c, DbJobKind kind);

extern uint64_t compaction_taken_bytes(const Compaction *c);
extern uint64_t compaction_merged_bytes(const Compaction *c);

/* Closes the iterators of step 2, which merge_copy.c opens. */
extern void compaction_close_inputs(Compaction *c);

/* The tables' part of the edit.  drops: room for compaction_inputs() elements. */
extern uint32_t compaction_inputs(const Compaction *c);
extern NvmkvStatus compaction_fill_edit(Compaction *c, MetaFileDrop *drops, VersionEdit *edit);

/* The edit is to take the range out of all damaged ranges. */
extern NvmkvStatus compaction_clear_damage(Compaction *c, const DamageRange *range);

/* Step 5 for tables; counters. */
extern void compaction_installed(Compaction *c, const VersionEdit *edit);

/* Ends it: its failure is noted, unless it has only to be tried again. */
extern NvmkvStatus compaction_end(Compaction *c, NvmkvStatus status);

/* What an abort has cut short. */
extern void compaction_abandon(NvmkvDb *db);

#endif
