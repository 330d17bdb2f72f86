/*
 * emptied.h
 *	  Emptied ranges: keys of which nobody can see anything any more, so that
 *	  scans leap over them.
 *
 * Deleted rows stay where they are until compaction comes by.  A scan that has
 * passed many of them in a row notes here that there is nothing to be seen
 * between two keys, and the next one goes on behind with a seek.
 *
 * A key is empty when its newest version that was not rolled back is a deletion,
 * or when there is none, and everything newer than that deletion, itself
 * included, is of transactions below the horizon: they have ended for every
 * snapshot that is held or will ever be taken.  So nobody sees anything of the
 * key until somebody writes it again; a version of a transaction that runs, is
 * prepared, or has only just ended makes a key one that is not empty.
 *
 * Writers against scans.  A range has two parts: [low, upper) is empty, and in
 * the rest of [watched_low, watched_upper) nothing was written since the watch
 * began.  Any write into it makes it smaller, until it ends before the key.
 *	  writer	link the entries -- fence -- look at the ranges -- then return, so before it commits
 *	  watcher	begin the watch  -- fence -- look at all keys, from the end of the empty part on -- extend that
 * Either the writer finds the watch, or the watcher's iterators, which are placed
 * after the fence, find the entry.  And who leaps has taken his snapshot before:
 * whatever that sees was written, and its range made smaller, before it
 * committed.  The same holds for what a transaction sees of its own.  On a
 * standby the replay of a record is the writer, and it comes before that of the
 * commit.
 *
 * Only scans whose snapshot has a horizon
 * (NvmkvSnapshot) leap.  Whoever looks for versions rather than rows - writers
 * that look for conflicts, verification - passes all of them.
 *
 * Memory only: an open database knows no range.  A range belongs to the keys of
 * one prefix (NvmkvOptions.prefix_bytes: in the server, one table or index),
 * whose hash says in which group it is.  Where a group is full the range that was
 * of use longest ago gives way; keys that are too long for a range's ends are cut
 * where that makes it smaller, or else not noted.
 */
#ifndef NVMKV_TREE_EMPTIED_H
#define NVMKV_TREE_EMPTIED_H

#include "engine/tree/tree.h"

extern void emptied_init(EmptiedShm *shm);

/*
 * Is the place at "key" in an empty range?  Then *to_out is where the next key is that may be seen: forwards at it or
 * behind it, backwards before it.  The place is forwards at the key or right behind it, backwards before it.
 * Takes a lock only if there are ranges of this prefix.  NO_MEMORY.
 */
extern NvmkvStatus emptied_find(NvmkvDb *db, uint64_t prefix_hash, NvmkvSlice key, bool reverse, NvmkvBuf *to_out,
								bool *found_out);

/* A watcher's, in its own memory. */
typedef struct EmptiedWatch
{
	unsigned group, range;
	uint64_t generation; /* of the watch; it has ended when the range has another one */
	bool reverse;
} EmptiedWatch;

/*
 * Begins a watch from "key" up to "limit": forwards of [key, limit), backwards of [limit, key).  Iterators must be placed
 * after it.  false: the key is too long.
 */
extern bool emptied_watch(NvmkvDb *db, uint64_t prefix_hash, NvmkvSlice key, NvmkvSlice limit, bool reverse,
						  EmptiedWatch *watch_out);

/*
 * All keys from the start of the watch up to "end" (backwards: down to it, itself included) have been looked at, and are
 * empty.  Without effect where the watch has ended.
 */
extern void emptied_extend(NvmkvDb *db, const EmptiedWatch *watch, NvmkvSlice end);

/* Nothing more will come of the watch. */
extern void emptied_unwatch(NvmkvDb *db, const EmptiedWatch *watch);

/* Entries of the batch were linked in the family's memtables: to be called before anybody is told so. */
extern void emptied_note_written(NvmkvDb *db, NvmkvSlice batch);
extern void emptied_note_key(NvmkvDb *db, NvmkvSlice key);

/* Something was taken away that may have hidden older versions. */
extern void emptied_forget(NvmkvDb *db);

#endif
