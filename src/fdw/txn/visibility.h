/*
 * visibility.h
 *	  MVCC verdicts on (fxid, cid) tags, after heapam_visibility.c.
 */
#ifndef NVMKV_FDW_VISIBILITY_H
#define NVMKV_FDW_VISIBILITY_H

#include "postgres.h"

#include "access/transam.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "engine/nvmkv.h"

/*
 * A PostgreSQL snapshot as the engine's reads take it.  Lives as long as the scan; rel is for serializable conflict
 * checks.
 */
typedef struct NvmkvVisibility
{
	NvmkvSnapshot engine; /* pass &v->engine */
	Snapshot snapshot;
	Relation rel; /* NULL: no predicate locking */
	Relation leaps_in; /* NULL: nothing is leapt over */
	bool shows_two;	  /* nvmkv_visibility_show_two */
	bool passes_lost; /* a version whose outcome is lost is not seen; else it is an ERROR */
	bool met_successor; /* nvmkv_visibility_met_successor */
} NvmkvVisibility;

extern void nvmkv_visibility_init(NvmkvVisibility *v, Snapshot snapshot, Relation rel);

/*
 * Scans with it may leap over what nobody can see any more (engine/tree/emptied.h).  rel: the foreign table, open as
 * long as the scans.
 */
extern void nvmkv_visibility_leap(NvmkvVisibility *v, Relation rel);

/* What is written from now on is not to be seen, whatever the snapshot says. */
extern void nvmkv_visibility_until_now(NvmkvVisibility *v);

/*
 * The reader wants to know of keys whose versions may be two rows for the snapshot (covered.c).  Nothing in READ
 * COMMITTED: there a snapshot is younger than what its transaction has written before, and so than all that this was
 * written upon.
 */
extern void nvmkv_visibility_show_two(NvmkvVisibility *v);

/* Did this very transaction write the version that the snapshot sees?  Only asked if v shows two; else it is false. */
extern bool nvmkv_visibility_is_own(const NvmkvVisibility *v, const NvmkvVersion *version);

/* The same of a version with this id; 0: it has none any more, so it is older. */
extern bool nvmkv_visibility_is_own_id(const NvmkvVisibility *v, uint64 fxid);

/*
 * What a serializable transaction reads, noted before it reads: all of the table, or one key (there or not).
 * Nothing in other transactions.
 */
extern void nvmkv_predicate_lock_relation(const NvmkvVisibility *v);
extern void nvmkv_predicate_lock_key(const NvmkvVisibility *v, NvmkvSlice key);

/*
 * Of a look at one key by a serializable transaction: has it passed over a version of a transaction that has committed?
 * The conflict with that one is noted then.
 */
static inline void
nvmkv_visibility_expect_successor(NvmkvVisibility *v)
{
	v->met_successor = false;
}

static inline bool
nvmkv_visibility_met_successor(const NvmkvVisibility *v)
{
	return v->met_successor;
}

/* Is a version with this tag visible to an MVCC snapshot?  (also the heart of the engine callback) */
extern bool nvmkv_tag_is_visible(Snapshot snapshot, uint64 fxid, CommandId cid, bool committed, uint8 *memo);

/* Before the two: the key of the versions, for messages.  Not copied. */
extern void nvmkv_visibility_of_key(NvmkvSlice key);

typedef enum NvmkvTagState
{
	NVMKV_TAG_OWN,		   /* written by the current transaction (live subtransaction) */
	NVMKV_TAG_IN_PROGRESS, /* by another one that still runs or is prepared */
	NVMKV_TAG_COMMITTED,
	NVMKV_TAG_ABORTED
} NvmkvTagState;

/* State for write-write decisions ("dirty" view), asked under the key's latch. */
extern NvmkvTagState nvmkv_tag_state(uint64 fxid, bool committed, uint8 *memo);

/* The same of a row lock, of which the outcome does not matter: OWN, IN_PROGRESS or, when it has ended, COMMITTED. */
extern NvmkvTagState nvmkv_lock_state(uint64 fxid);

/* Are these subtransactions of one transaction, or the same?  "No" for those that ended before the oldest snapshot. */
extern bool nvmkv_same_transaction(uint64 fxid, uint64 other);

/* TxnOps for flush and compaction in this process: horizon by GetOldestNonRemovableTransactionId(NULL) at begin_job. */
extern const NvmkvTxnOps *nvmkv_txn_ops(void);

/* End of a transaction: what was remembered about transaction ids may grow stale. */
extern void nvmkv_visibility_forget(void);

#endif
