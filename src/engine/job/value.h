/*
 * value.h
 *	  Values apart (sst_format.h): giving their space back.
 *
 * A value table is written by the job that writes the tables that refer to it,
 * and becomes part of the database by the same edit.  A reference moves with its
 * key from table to table, so each value is referred to from one table at a time.
 *
 * An edit that replaces tables says what their successors do not refer to any
 * more (value_release).  A value table nobody refers to is dead, and a later edit
 * drops it (value_sweep).  One of which more than half is not referred to is
 * given up: whoever compacts a table that refers to it takes the values along to
 * a new one, and where nothing else makes compaction come by, value_collect does.
 * So, where compaction is not busy all the time, value tables take at most about
 * twice what is in them.
 *
 * When nobody has written for a while (value_is_quiet) there is time for more: the
 * container is drained where that is worth it, since what rows in it overwrite
 * counts as dead once they have left it only (column.c); and tables of which a
 * quarter is dead are collected.
 *
 * A value that cannot be read stays where it is, and costs its key alone.  Its
 * table is not collected any more until the next open, as that would not come to an
 * end; it goes when the references have gone.
 *
 * A value table is not deleted before every reader has left the versions that
 * have it, like any other table (retire.c).
 */
#ifndef NVMKV_JOB_VALUE_H
#define NVMKV_JOB_VALUE_H

#include "engine/sst/value_read.h"
#include "engine/sst/value_refs.h"
#include "engine/tree/tree.h"

/*
 * Does a value of this table move to a new one when a compaction of version v comes by?  frees_all: also if anything in
 * the table is nobody's.
 */
extern bool value_is_moved(const NvmkvDb *db, const VersionImage *v, uint64_t number, bool frees_all);

/* Is more than half of the value table nobody's? */
extern bool value_is_given_up(const VersionFile *values);

/* Adds what a table refers to. */
extern NvmkvStatus value_refs_of_table(NvmkvDb *db, const VersionFile *file, ValueRefs *refs);

/*
 * The same of a table that goes away.  One that is damaged cannot tell: then nothing is added but its bytes, to
 * *lost_inout.
 */
extern NvmkvStatus value_refs_or_lost(NvmkvDb *db, const VersionFile *file, ValueRefs *refs, uint64_t *lost_inout);

/*
 * Adds references of so many bytes in place of those that damaged tables had: of what no table that can be read refers
 * to.  Which of several damaged tables had which is not known, so they may go to the wrong one; the sums are right all
 * the same.  Takes the LOST_REFS claim, which the caller keeps (*held_out) until its edit is installed; BUSY.
 */
extern NvmkvStatus value_refs_lost(NvmkvDb *db, uint64_t bytes, ValueRefs *refs, bool *held_out);

/*
 * refs: what the inputs refer to; becomes what the outputs do not.  CORRUPTION: the outputs refer to more.
 */
extern NvmkvStatus value_release(ValueRefs *refs, const ValueRefs *outputs, const MetaFile *files, uint32_t nfiles);

/* Has nobody written for so long? */
extern bool value_is_quiet(NvmkvDb *db);
extern uint64_t value_quiet_us; /* changed by tests */

/* A value of this table cannot be read. */
extern void value_note_lost(NvmkvDb *db, uint64_t number);

/* Has that happened since the last open? */
extern bool value_is_lost(const NvmkvDb *db, uint64_t number);

#endif
