/*
 * flush.h
 *	  One immutable memtable becomes a row of the container, or a table.
 */
#ifndef NVMKV_JOB_FLUSH_H
#define NVMKV_JOB_FLUSH_H

#include "engine/tree/tree.h"

/*
 * Flushes the oldest immutable memtable, if there is one.  REQUIRES the FLUSH claim.  BUSY: the container has no room;
 * *starved_out: for the first time, so that compaction is to be woken when the claim is given back.
 */
extern NvmkvStatus flush_oldest(NvmkvDb *db, bool *did_out, bool *starved_out);

/*
 * Makes a table of an entry that is larger than a memtable.  REQUIRES the FLUSH claim, that all that is older is in
 * tables, and that nobody writes meanwhile.  Durable on OK, but the durable sequence stays: a crash brings the entry
 * once more, which changes nothing.
 */
extern NvmkvStatus flush_entry(NvmkvDb *db, NvmkvSlice key, uint64_t tag, NvmkvSlice payload);

/* Are there rows in the container? */
extern bool flush_has_rows(NvmkvDb *db);

/* Lets go of what a flush that an abort cut short had taken. */
extern void flush_abandon(NvmkvDb *db);

#endif
