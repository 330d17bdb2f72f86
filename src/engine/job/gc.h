/*
 * gc.h
 *	  The one rule by which flush and compaction keep, freeze or drop versions.
 *
 * Entries come in internal order (all versions of a key together, newest
 * first).  For each, with the outcome of its transaction:
 *	  aborted			dropped
 *	  running, unknown	kept as it is
 *	  committed			kept, with the outcome stored in its type
 *	  frozen			kept without its tag; everything older of the key is garbage
 * Locks are kept while they run, and as long as somebody does not see what their
 * transaction has done: it may matter to him how it had locked a row that it has
 * changed.  A frozen deletion is dropped where
 * nothing older can exist below ("bottom"), unless it says what damage does not.  Entries of a dropped storage
 * (a frozen range deletion at its 8-byte prefix) are garbage, and so is that
 * range deletion when the job takes all that is left of the storage.
 */
#ifndef NVMKV_JOB_GC_H
#define NVMKV_JOB_GC_H

#include "engine/base/slice.h"
#include "engine/base/txnops.h"
#include "engine/nvmkv.h"
#include "engine/tree/tree.h"

#define GC_OUTCOMES 64 /* direct-mapped cache of outcomes within one job */

typedef struct GcFilter GcFilter;

struct GcFilter
{
	const NvmkvTxnOps *txn; /* NULL: all tags are running */
	uint64_t horizon;
	bool bottom;
	/* Is this storage dropped for good?  NULL: never. */
	NvmkvStatus (*dropped)(void *ctx, NvmkvSlice storage, bool *dropped_out);
	/* Are there entries of a dropped storage that the job does not take?  NULL: there may be. */
	NvmkvStatus (*elsewhere)(void *ctx, NvmkvSlice storage, bool *elsewhere_out);
	/* Must this deletion stay although nothing below it can be read?  NULL: never. */
	bool (*needed)(void *ctx, NvmkvSlice key, uint64_t sequence);
	void *ctx; /* of all three */

	NvmkvBuf key; /* the key whose versions are passing */
	bool have_key;
	uint64_t last_sequence;
	bool frozen_seen;
	bool storage_dropped; /* of the current storage prefix */

	struct
	{
		uint64_t fxid;
		NvmkvOutcome outcome;
	} outcomes[GC_OUTCOMES];

	uint64_t frozen, dropped_aborted, dropped_obsolete; /* counts */
};

extern void gc_init(GcFilter *gc, const NvmkvTxnOps *txn, bool bottom,
					NvmkvStatus (*dropped)(void *ctx, NvmkvSlice storage, bool *dropped_out), void *ctx);
extern void gc_free(GcFilter *gc);

/* Judges the next entry.  *keep_out: write (key, *tag, *payload), which may have been changed. */
extern NvmkvStatus gc_next(GcFilter *gc, NvmkvSlice key, uint64_t *tag, NvmkvSlice *payload, bool *keep_out);

/* Adds what it has counted to the tree's counters. */
extern void gc_count(NvmkvDb *db, const GcFilter *gc);

#endif
