/*
 * running.h
 *	  The compactions under way in all processes: what each of them works on.
 *
 * A compaction takes tables of level n (n = 0: rows of the container, or the
 * tables of level 0) and of level n + 1, and writes tables of level n + 1.  It
 * announces the levels and the key range, widened to whole tables, under a lock
 * that is held while it chooses, and no longer.
 *
 * Invariant: of two announced compactions with a level in common the key ranges
 * are disjoint.  Hence, of what a compaction found in the version when it was
 * announced,
 *	  - nobody else takes its inputs out,
 *	  - nobody else puts tables into its range of its levels (a flush adds only
 *		what is newer: rows to the receiver, tables to level 0),
 *	  - nothing of its range gets below its output level, since all that gets
 *		there passes through that level: what it found to be the bottom stays so.
 * So its edit fits whatever version it is applied to, however old its copy is;
 * edits themselves are applied one after the other (manifest.h).
 *
 * Columns.  How far the compactor is drained is one number a row, so columns
 * are installed in the order of their keys.  They are numbered as they begin; each
 * begins where the one before it ends and is installed after it ("after").
 * Until then it waits, holding nothing but its announcement and its unnamed
 * tables.  When a column fails, those behind it cannot be installed any more:
 * they are doomed, give up and throw their tables away, and no column begins
 * before they have.  The first of a chain never waits, so waiting ends.
 *
 * A process that is aborted or has died leaves its announcement to whoever
 * cleans up its slot (nvmkv_abort_cleanup).
 */
#ifndef NVMKV_TREE_RUNNING_H
#define NVMKV_TREE_RUNNING_H

#include "engine/tree/tree.h"

typedef enum RunningTurn
{
	RUNNING_TURN_NOW,
	RUNNING_TURN_LATER,
	RUNNING_TURN_NEVER
} RunningTurn;

static inline NvmkvSlice
db_key_slice(const DbKey *key)
{
	return nvmkv_slice(key->bytes, key->size);
}

extern void db_key_set(DbKey *key, NvmkvSlice bytes);

extern void running_init(RunningShm *shm);

/* Short: the choice of work. */
extern void running_lock(NvmkvDb *db);
extern void running_unlock(NvmkvDb *db);

/* ---- REQUIRE the lock ---- */

/* Does somebody work on one of these levels in this range? */
extern bool running_conflicts(const NvmkvDb *db, unsigned first_level, unsigned last_level, NvmkvSlice low,
							  NvmkvSlice high);

/* Bytes that are on their way out of the level. */
extern uint64_t running_taken(const NvmkvDb *db, unsigned level);

/*
 * The column that began last, if it has not ended; *doomed_out: there are columns that must go before another may
 * begin.
 */
extern const Running *running_last_column(const NvmkvDb *db, bool *doomed_out);

/* Announces; the caller fills in what concerns columns.  NULL: too many run.  REQUIRES no conflict. */
extern Running *running_add(NvmkvDb *db, unsigned first_level, unsigned last_level, NvmkvSlice low, NvmkvSlice high);

/* Makes it a column, behind the one that began last; after NULL: at the start of what is left. */
extern void running_make_column(NvmkvDb *db, Running *running, const Running *after, bool takes_all, NvmkvSlice cut);

/* ---- without the lock ---- */

/* May this one be installed? */
extern RunningTurn running_turn(const NvmkvDb *db, const Running *running);

/* It has ended, and its edit was installed or never will be. */
extern void running_end(NvmkvDb *db, Running *running, bool installed);

/* Ends all of this process without effect; were there any? */
extern bool running_abort(NvmkvDb *db);

/* Does any other process compact? */
extern bool running_others(const NvmkvDb *db);

#endif
