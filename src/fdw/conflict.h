/*
 * conflict.h
 *	  What stands at a key right now, for whoever is about to write it.
 */
#ifndef NVMKV_FDW_CONFLICT_H
#define NVMKV_FDW_CONFLICT_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/snapshot.h"

#include "engine/nvmkv.h"
#include "fdw/table.h"

/* Row locks; the byte in a LOCK entry's value.  ON DISK AND IN THE LOG: never renumber. */
typedef enum NvmkvLockMode
{
	NVMKV_LOCK_NONE = 0,
	NVMKV_LOCK_SHARE = 1,	 /* FOR KEY SHARE, FOR SHARE */
	NVMKV_LOCK_EXCLUSIVE = 2 /* FOR NO KEY UPDATE, FOR UPDATE, and what UPDATE and DELETE need */
} NvmkvLockMode;

/*
 * The value of a tombstone that an UPDATE of the key leaves: the key the row has now, or this one byte when it has
 * gone to another partition.  A deleted row's tombstone has no value.  ON DISK AND IN THE LOG, like the lock modes.
 */
#define NVMKV_MOVED_TO_PARTITION 0

typedef enum NvmkvRowState
{
	NVMKV_ROW_ABSENT, /* no version but aborted ones */
	NVMKV_ROW_LIVE,
	NVMKV_ROW_DELETED,
	NVMKV_ROW_WAIT /* another transaction that still runs has changed or locked it: wait_xid */
} NvmkvRowState;

typedef enum NvmkvRowCopy
{
	NVMKV_COPY_NEVER,
	NVMKV_COPY_CHANGED, /* only if the snapshot does not see the newest version */
	NVMKV_COPY_ALWAYS
} NvmkvRowCopy;

typedef struct NvmkvRowQuery
{
	NvmkvLockMode want;	/* locks that stand against it count; NONE: locks do not count */
	Snapshot snapshot;	/* NULL: "visible", "replaced" are not asked for */
	NvmkvRowCopy copy;
	StringInfo value;	/* a live row's value bytes go here (replaced), according to copy */
	uint64 origin;		/* not 0: a row that was followed to this key; older versions than this are another's */
	StringInfo moved;	/* may be NULL: a tombstone's value goes here */
} NvmkvRowQuery;

typedef struct NvmkvRowView
{
	NvmkvRowState state;
	TransactionId wait_xid;
	uint64 sequence;		/* of the newest data version that was not aborted */
	bool own;				/* written by this transaction, in command cid */
	CommandId cid;
	bool visible;			/* the snapshot sees this very version */
	bool replaced;			/* it does not; and the row it sees was deleted before this one came: another row */
	uint64 moved_sequence;	/* not 0: the row it sees was not deleted but moved, by this tombstone; see query.moved */
	NvmkvLockMode own_lock; /* strongest one this transaction holds by LOCK entries */
} NvmkvRowView;

/* REQUIRES the key's latch.  Raises what the engine reports. */
extern void nvmkv_row_view(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice key, const NvmkvRowQuery *query, NvmkvRowView *view_out);

#endif
