/*
 * conflict.h
 *	  What stands at a key right now, for whoever is about to write it; what has
 *	  become of a row; row locks.  conflict.c says what a row is.
 */
#ifndef NVMKV_FDW_CONFLICT_H
#define NVMKV_FDW_CONFLICT_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/snapshot.h"

#include "engine/nvmkv.h"
#include "fdw/table/table.h"

/*
 * Row locks, with the strengths and conflicts of a heap's.  A LOCK entry's value is this byte; a lock that is on
 * older versions than the one below the entry, too, has the sequence of the oldest of them behind it (8 bytes,
 * little-endian).  ON DISK AND IN THE LOG: never renumber.
 */
typedef enum NvmkvLockMode
{
	NVMKV_LOCK_NONE = 0,
	NVMKV_LOCK_SHARE = 1,		  /* FOR SHARE */
	NVMKV_LOCK_EXCLUSIVE = 2,	  /* FOR UPDATE; DELETE, and UPDATE of the key */
	NVMKV_LOCK_KEY_SHARE = 3,	  /* FOR KEY SHARE */
	NVMKV_LOCK_NO_KEY_UPDATE = 4  /* FOR NO KEY UPDATE; other UPDATEs */
} NvmkvLockMode;

/* Stronger modes conflict with all that weaker ones conflict with. */
static inline int
nvmkv_lock_strength(NvmkvLockMode mode)
{
	static const uint8 strength[] = {
		[NVMKV_LOCK_NONE] = 0,
		[NVMKV_LOCK_KEY_SHARE] = 1,
		[NVMKV_LOCK_SHARE] = 2,
		[NVMKV_LOCK_NO_KEY_UPDATE] = 3,
		[NVMKV_LOCK_EXCLUSIVE] = 4,
	};

	return strength[mode];
}

static inline bool
nvmkv_locks_conflict(NvmkvLockMode a, NvmkvLockMode b)
{
	return nvmkv_lock_strength(a) + nvmkv_lock_strength(b) > 4;
}

/*
 * The value of a tombstone that an UPDATE of the key leaves: the key the row has now, or this one byte when it has
 * gone to another partition.  A deleted row's tombstone has no value.  ON DISK AND IN THE LOG, like the lock modes.
 */
#define NVMKV_MOVED_TO_PARTITION 0

/* Which of the rows that have had a key is meant: the one that has this version. */
typedef enum NvmkvAnchorKind
{
	NVMKV_ANCHOR_SNAPSHOT = 0, /* the one that the query's snapshot sees */
	NVMKV_ANCHOR_NEWEST,	   /* the newest: the question is for the key */
	NVMKV_ANCHOR_VERSION,	   /* the one with this sequence */
	NVMKV_ANCHOR_ARRIVAL	   /* written by this command, for a row that has moved here: above this sequence */
} NvmkvAnchorKind;

typedef struct NvmkvRowAnchor
{
	NvmkvAnchorKind kind;
	uint64 sequence;
	uint64 fxid;
	CommandId cid;
} NvmkvRowAnchor;

typedef enum NvmkvRowState
{
	NVMKV_ROW_ABSENT, /* the anchor's version is not there */
	NVMKV_ROW_LIVE,
	NVMKV_ROW_DELETED, /* or moved */
	NVMKV_ROW_WAIT	   /* another transaction that still runs has changed or locked it: wait_xid */
} NvmkvRowState;

/* What another transaction, which has committed, has made of the anchor's version, whatever came after that. */
typedef enum NvmkvRowLoss
{
	NVMKV_NOT_LOST,
	NVMKV_LOST_BY_UPDATE, /* also of the key */
	NVMKV_LOST_BY_DELETE
} NvmkvRowLoss;

typedef enum NvmkvRowCopy
{
	NVMKV_COPY_NEVER,
	NVMKV_COPY_CHANGED, /* only if the snapshot does not see the newest version */
	NVMKV_COPY_ALWAYS
} NvmkvRowCopy;

/* Somebody else's lock, while he runs. */
typedef struct NvmkvLockHolder
{
	uint64 fxid;
	uint64 from; /* sequence of the oldest version that it is on */
} NvmkvLockHolder;

typedef struct NvmkvRowQuery
{
	NvmkvLockMode want; /* locks that stand against it count; NONE: locks do not count */
	Snapshot snapshot;	/* NULL: "visible" is not asked for */
	NvmkvRowAnchor anchor;
	bool any_version; /* the anchor's version does, though the row may be written in place: nobody changes its key */
	NvmkvRowCopy copy;
	StringInfo value;	 /* a live row's value bytes go here (replaced), according to copy */
	StringInfo moved;	 /* may be NULL: where a tombstone says the row is now goes here */
	StringInfo standing; /* may be NULL: ids (uint64) of others who hold KEY_SHARE locks, each once, go here */
	StringInfo holders;	 /* may be NULL: those (NvmkvLockHolder) whose locks on the anchor's version conflict */
} NvmkvRowQuery;

typedef struct NvmkvRowView
{
	NvmkvRowState state;
	TransactionId wait_xid;
	bool wait_for_lock; /* WAIT: the row is there, and only locked */
	uint64 base;	 /* newest version of a transaction that has ended, 0: none; what others wait for each other on */
	uint64 anchor;	 /* sequence of the anchor's version, 0: none */
	uint64 sequence; /* of the row's newest version; of its tombstone when DELETED */
	bool own;		 /* written by this transaction, in command cid */
	CommandId cid;
	bool visible;			/* LIVE, and the snapshot sees this version (query.any_version: or an older one) */
	bool in_place;			/* what follows the anchor's version is an UPDATE in place, by whomever */
	bool for_update;		/* whose transaction had locked the row FOR UPDATE, as far as that is still known */
	bool changed_again;		/* and a later version, too, against the wish, by a transaction that has committed */
	NvmkvRowLoss loss;		/* in any state: a transaction with a snapshot of its own need not wait */
	bool has_moved;			/* DELETED: by an UPDATE of the key; query.moved */
	NvmkvRowAnchor arrival; /* the row's anchor at its new key */
	NvmkvLockMode own_lock; /* strongest one this transaction holds, by LOCK entries or by having written the row */
} NvmkvRowView;

/* REQUIRES the key's latch.  Raises what the engine reports. */
extern void nvmkv_row_view(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice key, const NvmkvRowQuery *query,
						   NvmkvRowView *view_out);

/*
 * Is the row's version with this sequence, which the query's snapshot sees, the newest at its key, and nobody else's
 * lock upon it?  Then whoever wants to change the row may.  A hint, unless the key's latch is held.  mark: not 0 if it
 * was the newest entry of the key when a scan found it, with this mark (nvmkv_scan_mark).
 */
extern bool nvmkv_row_is_untouched(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice key, uint64 sequence, uint64 mark);

/* The same of several rows, as of when the call begins; less work where their keys ascend. */
typedef struct NvmkvRowLook
{
	NvmkvSlice key;
	uint64 sequence;
	uint64 mark;
	bool untouched; /* the answer */
} NvmkvRowLook;

#define NVMKV_ROW_LOOKS 16
extern void nvmkv_rows_look(NvmkvDb *db, const NvmkvTable *table, NvmkvRowLook *rows, unsigned n);

#endif
