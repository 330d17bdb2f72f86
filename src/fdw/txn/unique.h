/*
 * unique.h
 *	  Values that only one row may have: unique indexes other than the primary
 *	  key's.
 *
 * Who writes an entry of a unique index holds the latch of the value, that is
 * of the entry's key without the row's: under it the value's entries are looked
 * at, whatever rows they are of, and the new one is written.  Latches of rows
 * and values are taken together (host/latch.h orders them).
 *
 * As on a heap a row is there, with its entries in the indexes before it, while
 * the end of a transaction is waited for that has the value in the next index:
 * nobody passes, and two that want each other's values find out.
 */
#ifndef NVMKV_FDW_UNIQUE_H
#define NVMKV_FDW_UNIQUE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/host/latch.h"
#include "fdw/table/table.h"
#include "fdw/txn/entries.h"

/* What stands against an entry. */
typedef struct NvmkvRival
{
	unsigned index;			/* in table->indexes */
	size_t at;				/* where the entry begins within the new entries */
	NvmkvEntry entry;		/* that is to be written */
	TransactionId wait_xid; /* of who has written or taken away what is there; invalid: it stands */
} NvmkvRival;

/* Adds the latches of the values that the new entries bring: those that are not among the old ones. */
extern void nvmkv_unique_add_latches(NvmkvLatchSet *latches, NvmkvSlice old_entries, NvmkvSlice new_entries);

/* Do the new entries bring a value that is to be unique? */
extern bool nvmkv_unique_concerns(NvmkvSlice old_entries, NvmkvSlice new_entries);

/*
 * The first of the new entries' values that another row has, or may have: true, and *rival_out.  Entries of the row
 * that old_entries are of do not count, nor do values of indexes that are DEFERRABLE.  rival_key (may be NULL): the key
 * of the entry that stands against it.  REQUIRES the latches above.
 */
extern bool nvmkv_unique_find_rival(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice old_entries,
									NvmkvSlice new_entries, NvmkvRival *rival_out, StringInfo rival_key);

/*
 * Of the new entries in indexes that are DEFERRABLE those whose value another row has, or may have, are appended to
 * doubts, as they are: nobody waits for what they stand against until they are checked (nvmkv_unique_check).  REQUIRES
 * the latches above, until the entries are written.
 */
extern void nvmkv_unique_find_doubts(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice old_entries,
									 NvmkvSlice new_entries, StringInfo doubts);

/*
 * Has the value of this one entry, which this transaction has written, no other row by now?  Waits where others may
 * have it; 23505.  only_look: false in these cases.  An entry that is there no more is not asked for.  Hold no latch.
 */
extern bool nvmkv_unique_check(NvmkvDb *db, const NvmkvTable *table, Relation rel, NvmkvSlice entry, bool only_look);

/*
 * Of the entries that are left of a row that has been written by this command, writes those before the first whose
 * value another row has, or may have: true, and *rival_out.  *rest: what is left then; may be as it was, for want of
 * room that has been waited for.  doubts: see nvmkv_unique_find_doubts.  Hold no latch.
 */
extern bool nvmkv_unique_write_free(NvmkvDb *db, const NvmkvTable *table, Relation rel, NvmkvSlice *rest,
									FullTransactionId fxid, CommandId cid, StringInfo doubts, NvmkvRival *rival_out);

/* Waits until it is known whether the rival stands; 23505 if it does.  key: the row's, for messages. */
extern void nvmkv_unique_wait_rival(const NvmkvTable *table, Relation rel, NvmkvSlice key, const NvmkvRival *rival);

/* All that are left, waiting where others may have a value; 23505. */
extern void nvmkv_unique_write_rest(NvmkvDb *db, const NvmkvTable *table, Relation rel, NvmkvSlice key,
									NvmkvSlice entries, FullTransactionId fxid, CommandId cid, StringInfo doubts);

/* 23505 as a heap's unique index says it: of the entry that was to be written.  Does not return. */
pg_noreturn extern void nvmkv_unique_report(const NvmkvTable *table, Relation rel, const NvmkvRival *rival);

/* The same while an index is built. */
pg_noreturn extern void nvmkv_unique_report_build(Relation rel, const NvmkvIndex *index, NvmkvSlice key,
												  NvmkvSlice value);

#endif
