/*
 * visibility.c
 *	  Who sees a version.
 *
 * A version carries the 64-bit id of the transaction that wrote it and the
 * command in it.  The rules are those of heapam_visibility.c with a delete as
 * a version of its own, and so is the order of questions: is it mine, is it
 * running according to the snapshot, and only then the commit log.  (Asked
 * the other way round a transaction could look committed before the snapshot
 * that must not see it was taken.)
 *
 * The server's functions take 32-bit ids, which mean something only within
 * two thousand million transactions of the next one; older ids are settled by
 * comparing 64-bit ids first.  The commit log is truncated sooner or later;
 * what it said of transactions that have ended is in the tree's own record
 * before that (settle.c).
 */
#include "postgres.h"

#include "access/clog.h"
#include "access/subtrans.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/predicate.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

#include "fdw/compat/compat.h"
#include "fdw/host/engine.h"
#include "fdw/host/latch.h"
#include "fdw/host/status.h"
#include "fdw/txn/lost.h"
#include "fdw/txn/visibility.h"

/* What the memo byte of a memtable entry says.  Outcomes are final, so processes may write it without a lock. */
#define MEMO_COMMITTED 1
#define MEMO_ABORTED 2

/* A 32-bit id and the 64-bit id it stands for. */
typedef struct WideXid
{
	TransactionId xid;
	uint64 fxid;
} WideXid;

static WideXid wide_snapshot_xmin;
static WideXid wide_snapshot_xmax;
static WideXid wide_transaction_xmin;
static WideXid wide_recent_xmin;

/* xid must be one the server holds as recent: within 2^31 of the next. */
static uint64
widen(TransactionId xid)
{
	uint64 next = U64FromFullTransactionId(ReadNextFullTransactionId());
	int32 distance = (int32) (xid - (TransactionId) next);

	Assert(TransactionIdIsNormal(xid));
	return next + (uint64) (int64) distance;
}

static inline uint64
widen_cached(WideXid *slot, TransactionId xid)
{
	if (unlikely(slot->xid != xid))
	{
		slot->fxid = widen(xid);
		slot->xid = xid;
	}
	return slot->fxid;
}

void
nvmkv_visibility_forget(void)
{
	wide_snapshot_xmin.xid = InvalidTransactionId;
	wide_snapshot_xmax.xid = InvalidTransactionId;
	wide_transaction_xmin.xid = InvalidTransactionId;
	wide_recent_xmin.xid = InvalidTransactionId;
}

/* ---------------------------------------------------------------- outcomes */

/*
 * The last answer below: versions that were stored together mostly have one writer, and asking takes a lock.  Of a
 * transaction that no longer runs an outcome is final, so it holds for as long as this process lives.
 */
static uint64 settled_fxid; /* 0: none, no version has that id */
static bool settled_committed;

/* Of which key's version outcomes are asked for now: for the message when one is lost. */
static NvmkvSlice asked_key;

void
nvmkv_visibility_of_key(NvmkvSlice key)
{
	asked_key = key;
}

/*
 * What the tree's own record says; NVMKV_SETTLED_NOT_YET: the commit log is there.  Asked inside the engine, where a
 * wait for it to be ready would be wrong.
 */
static NvmkvSettled
recorded_outcome(uint64 fxid)
{
	NvmkvSettled outcome;

	nvmkv_check_status(nvmkv_settled_outcome(nvmkv_engine_held(), fxid, &outcome),
					   "looking up the outcome of a transaction for", "nvmkv");
	return outcome;
}

/* As TransactionIdDidCommit, from the commit log as far as that is there; false: it is not. */
static bool
ask_commit_log(uint64 fxid, bool *committed_out)
{
	bool known;

	*committed_out = false;
	LWLockAcquire(XactTruncationLock, LW_SHARED);
	known = fxid >= widen(TransamVariables->oldestClogXid);
	if (known)
		*committed_out = TransactionIdDidCommit((TransactionId) fxid);
	LWLockRelease(XactTruncationLock);
	return known;
}

/*
 * Did a transaction that no longer runs commit?
 *
 * The commit log is not truncated above the oldest snapshot, ours included,
 * nor above what the record knows.  That may move up between the two questions.
 */
static bool
outcome_is_committed(uint64 fxid)
{
	bool committed;

	if (fxid == settled_fxid)
		return settled_committed;
	for (;;)
	{
		NvmkvSettled outcome = recorded_outcome(fxid);

		if (outcome == NVMKV_SETTLED_LOST)
			nvmkv_report_lost_outcome(fxid, asked_key);
		if (outcome != NVMKV_SETTLED_NOT_YET)
		{
			committed = outcome == NVMKV_SETTLED_COMMITTED;
			break;
		}
		if (fxid >= widen_cached(&wide_transaction_xmin, TransactionXmin))
			return TransactionIdDidCommit((TransactionId) fxid);
		if (ask_commit_log(fxid, &committed))
			break;
		if (fxid >= nvmkv_settled(nvmkv_engine_held()))
			nvmkv_report_lost_outcome(fxid, asked_key);
	}
	settled_committed = committed;
	settled_fxid = fxid;
	return committed;
}

/* The same, remembered beside the version. */
static bool
resolve(uint64 fxid, uint8 *memo)
{
	bool committed = outcome_is_committed(fxid);

	if (memo != NULL)
		*memo = committed ? MEMO_COMMITTED : MEMO_ABORTED;
	return committed;
}

/* ---------------------------------------------------------------- readers */

bool
nvmkv_tag_is_visible(Snapshot snapshot, uint64 fxid, CommandId cid, bool committed, uint8 *memo)
{
	TransactionId xid = (TransactionId) fxid;

	Assert(snapshot->snapshot_type == SNAPSHOT_MVCC);

	if (memo != NULL)
	{
		if (*memo == MEMO_ABORTED)
			return false;
		committed = committed || *memo == MEMO_COMMITTED;
	}

	/* Finished before the snapshot was taken, so not ours either: only the outcome counts. */
	if (fxid < widen_cached(&wide_snapshot_xmin, snapshot->xmin))
		return committed || resolve(fxid, memo);

	/* Not begun when the snapshot was taken, unless ours (a snapshot may be older than its transaction's ids). */
	if (TransactionIdIsCurrentTransactionId(xid))
		return cid < snapshot->curcid;
	if (fxid >= widen_cached(&wide_snapshot_xmax, snapshot->xmax))
		return false;

	if (XidInMVCCSnapshot(xid, snapshot))
		return false;
	return committed || resolve(fxid, memo);
}

/*
 * A serializable transaction has passed over a version because its writer
 * was not finished for it: a conflict with that writer, as
 * HeapCheckForSerializableConflictOut sees it.
 */
static void
note_conflict_out(NvmkvVisibility *v, uint64 fxid)
{
	TransactionId xid = (TransactionId) fxid;
	TransactionId writer = xid; /* the subtransaction */

	if (!CheckForSerializableConflictOutNeeded(v->rel, v->snapshot))
		return;
	if (fxid < widen_cached(&wide_transaction_xmin, TransactionXmin) || TransactionIdIsCurrentTransactionId(xid))
		return;
	xid = SubTransGetTopmostTransaction(xid);
	if (TransactionIdPrecedes(xid, TransactionXmin) || TransactionIdEquals(xid, GetTopTransactionIdIfAny()))
		return;
	CheckForSerializableConflictOut(v->rel, xid, v->snapshot);
	if (!v->met_successor)
		v->met_successor = !TransactionIdIsInProgress(xid) && TransactionIdDidCommit(writer);
}

static inline bool
is_own(const NvmkvVisibility *v, uint64 fxid)
{
	return v->shows_two && fxid >= widen_cached(&wide_snapshot_xmin, v->snapshot->xmin) &&
		TransactionIdIsCurrentTransactionId((TransactionId) fxid);
}

static NvmkvSight
visible_to_snapshot(void *ctx, NvmkvSlice key, uint64_t fxid, uint32_t cid, bool committed_hint, uint8_t *memo)
{
	NvmkvVisibility *v = ctx;

	nvmkv_visibility_of_key(key);
	if (v->passes_lost && !committed_hint && recorded_outcome(fxid) == NVMKV_SETTLED_LOST)
		return NVMKV_UNSEEN;
	if (nvmkv_tag_is_visible(v->snapshot, fxid, cid, committed_hint, memo))
		return is_own(v, fxid) ? NVMKV_SEEN_OWN : NVMKV_SEEN;
	if (v->rel != NULL)
		note_conflict_out(v, fxid);
	return NVMKV_UNSEEN;
}

void
nvmkv_visibility_init(NvmkvVisibility *v, Snapshot snapshot, Relation rel)
{
	v->engine.ctx = v;
	v->engine.visible = visible_to_snapshot;
	v->engine.sequence = NVMKV_SEQUENCE_MAX; /* the snapshot goes by transactions */
	v->engine.horizon = NULL;
	v->leaps_in = NULL;
	v->snapshot = snapshot;
	v->rel = IsolationIsSerializable() ? rel : NULL;
	v->shows_two = false;
	v->passes_lost = false;
	v->met_successor = false;
}

/*
 * Every transaction below it has ended for all snapshots that there are or will be in the table's database, this
 * one included: the horizon by which VACUUM and HOT pruning of a heap table would go (GlobalVisTestFor).  The shared
 * one, by which flush and compaction go, is held back until outcomes are settled, and by other databases.  The server
 * answers for tables of its own kinds only, so it is asked as of such a one.  That the table may have been made by
 * this very transaction does not matter: that only makes the horizon older.
 */
static uint64_t
horizon_of_snapshots(void *ctx)
{
	const NvmkvVisibility *v = ctx;
	FormData_pg_class form;
	RelationData twin;

	if (v->passes_lost)
		return 0;
	memcpy(&form, v->leaps_in->rd_rel, CLASS_TUPLE_SIZE);
	form.relkind = RELKIND_RELATION;
	twin = *v->leaps_in;
	twin.rd_rel = &form;
	twin.rd_createSubid = InvalidSubTransactionId;
	return widen(GetOldestNonRemovableTransactionId(&twin));
}

void
nvmkv_visibility_leap(NvmkvVisibility *v, Relation rel)
{
	v->leaps_in = rel;
	v->engine.horizon = horizon_of_snapshots;
}

void
nvmkv_visibility_until_now(NvmkvVisibility *v)
{
	/* Sequences are positions in the log. */
	v->engine.sequence = GetXLogInsertRecPtr();
}

void
nvmkv_visibility_show_two(NvmkvVisibility *v)
{
	v->shows_two = IsolationUsesXactSnapshot();
}

bool
nvmkv_visibility_is_own(const NvmkvVisibility *v, const NvmkvVersion *version)
{
	return (version->type & NVMKV_TYPE_TAGGED_BIT) != 0 && is_own(v, version->txn.fxid);
}

bool
nvmkv_visibility_is_own_id(const NvmkvVisibility *v, uint64 fxid)
{
	return is_own(v, fxid);
}

void
nvmkv_predicate_lock_relation(const NvmkvVisibility *v)
{
	if (v->rel != NULL)
		PredicateLockRelation(v->rel, v->snapshot);
}

/*
 * A key's lock is one on a page.  It is for whatever has the key, now or later, as that on a page of a heap's index:
 * one on a tuple is for a single row, and the server drops it when its holder writes that row.
 */
void
nvmkv_predicate_lock_key(const NvmkvVisibility *v, NvmkvSlice key)
{
	if (v->rel != NULL)
		PredicateLockPage(v->rel, nvmkv_key_hash_to_page(nvmkv_key_hash(key)), v->snapshot);
}

/* ---------------------------------------------------------------- writers */

/*
 * From the oldest running transaction on, a known commit is not enough: its locks are held, and new snapshots do not
 * see it, until it has left the list of running transactions.
 */
NvmkvTagState
nvmkv_lock_state(uint64 fxid)
{
	TransactionId xid = (TransactionId) fxid;

	if (fxid < widen_cached(&wide_recent_xmin, RecentXmin))
		return NVMKV_TAG_COMMITTED;
	if (TransactionIdIsCurrentTransactionId(xid))
		return NVMKV_TAG_OWN;
	return TransactionIdIsInProgress(xid) ? NVMKV_TAG_IN_PROGRESS : NVMKV_TAG_COMMITTED;
}

bool
nvmkv_same_transaction(uint64 fxid, uint64 other)
{
	if (fxid == other)
		return true;
	if (Min(fxid, other) < widen_cached(&wide_transaction_xmin, TransactionXmin))
		return false;
	return SubTransGetTopmostTransaction((TransactionId) fxid) == SubTransGetTopmostTransaction((TransactionId) other);
}

NvmkvTagState
nvmkv_tag_state(uint64 fxid, bool committed, uint8 *memo)
{
	NvmkvTagState state;

	if (memo != NULL)
	{
		if (*memo == MEMO_ABORTED)
			return NVMKV_TAG_ABORTED;
		committed = committed || *memo == MEMO_COMMITTED;
	}

	state = nvmkv_lock_state(fxid);
	if (state != NVMKV_TAG_COMMITTED)
		return state;
	if (committed || resolve(fxid, memo))
		return NVMKV_TAG_COMMITTED;
	return NVMKV_TAG_ABORTED;
}

/* ---------------------------------------------------------------- flush and compaction */

/*
 * A job may run in a process without a snapshot, so nothing here relies on
 * TransactionXmin or RecentXmin: what the tree's record knows is final; else,
 * below the horizon nothing runs and the commit log is final; from the horizon
 * on, only what the commit log states outright counts.
 */
typedef struct JobState
{
	uint64 horizon; /* 0: the commit log cannot be asked here */
	uint64 last_fxid;
	NvmkvOutcome last_outcome;
} JobState;

static JobState job;

static void
job_begin(void *ctx)
{
	JobState *state = ctx;

	state->horizon = 0;
	state->last_fxid = 0;

	/* In recovery the list of running transactions is complete only once queries are let in. */
	if (MyProc == NULL || AmStartupProcess() || (RecoveryInProgress() && !HotStandbyActive()))
		return;
	state->horizon = widen(GetOldestNonRemovableTransactionId(NULL));
}

static NvmkvOutcome
ask_commit_log_for_job(const JobState *state, uint64 fxid)
{
	TransactionId xid = (TransactionId) fxid;
	XidStatus status = TRANSACTION_STATUS_IN_PROGRESS;
	XLogRecPtr commit_lsn;
	bool known;

	if (state->horizon == 0 || fxid >= U64FromFullTransactionId(ReadNextFullTransactionId()))
		return NVMKV_OUTCOME_RUNNING;

	LWLockAcquire(XactTruncationLock, LW_SHARED);
	known = fxid >= widen(TransamVariables->oldestClogXid);
	if (known)
		status = TransactionIdGetStatus(xid, &commit_lsn);
	LWLockRelease(XactTruncationLock);

	if (!known)
		return NVMKV_OUTCOME_RUNNING;
	if (fxid < state->horizon)
		return status == TRANSACTION_STATUS_COMMITTED ? NVMKV_OUTCOME_FROZEN : NVMKV_OUTCOME_ABORTED;
	if (status == TRANSACTION_STATUS_COMMITTED)
		return NVMKV_OUTCOME_COMMITTED;
	if (status == TRANSACTION_STATUS_ABORTED)
		return NVMKV_OUTCOME_ABORTED;
	return NVMKV_OUTCOME_RUNNING;
}

/* What cannot be told is kept as it is. */
static NvmkvOutcome
lookup_outcome(const JobState *state, uint64 fxid)
{
	NvmkvSettled outcome;

	if (nvmkv_settled_outcome(nvmkv_engine_held(), fxid, &outcome) != NVMKV_OK)
		return NVMKV_OUTCOME_RUNNING;
	switch (outcome)
	{
		case NVMKV_SETTLED_NOT_YET:
			return ask_commit_log_for_job(state, fxid);
		case NVMKV_SETTLED_ABORTED:
			return NVMKV_OUTCOME_ABORTED;
		case NVMKV_SETTLED_COMMITTED:
			return fxid < state->horizon ? NVMKV_OUTCOME_FROZEN : NVMKV_OUTCOME_COMMITTED;
		case NVMKV_SETTLED_LOST:
			break;
	}
	return NVMKV_OUTCOME_RUNNING;
}

static NvmkvOutcome
job_outcome(void *ctx, uint64_t fxid)
{
	JobState *state = ctx;

	if (fxid != state->last_fxid)
	{
		state->last_outcome = lookup_outcome(state, fxid);
		state->last_fxid = fxid;
	}
	return state->last_outcome;
}

static uint64_t
job_horizon(void *ctx)
{
	JobState *state = ctx;

	return state->horizon;
}

const NvmkvTxnOps *
nvmkv_txn_ops(void)
{
	static const NvmkvTxnOps ops = {
		.ctx = &job,
		.begin_job = job_begin,
		.outcome = job_outcome,
		.horizon = job_horizon,
	};

	return &ops;
}
