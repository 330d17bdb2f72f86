/*
 * settle.c
 *	  The server's commit log becomes the tree's outcome record, and is kept
 *	  until it has.
 *
 * A round: every transaction below the oldest one that runs or is prepared has
 * ended, and what the commit log says of those since the last round is final.
 * It is written into the WAL (OUTCOMES) and then into the record.  The barrier
 * does so every second if there was a transaction, and whoever wants space back
 * before that (nvmkv.compact) does it himself.
 *
 * Two things must not part: the server may remove commit log only below what
 * is settled.  VACUUM decides that by the oldest transaction that some process
 * shows as its xmin: vac_update_datfrozenxid takes
 * GetOldestNonRemovableTransactionId(NULL) as the newest value a database's
 * datfrozenxid may have.  So there is an entry in the array of processes that
 * belongs to none, the guard, and shows the first transaction that is not
 * settled.  It is made together with shared memory, before anything that could
 * run VACUUM, and outlives all processes: whether workers run does not matter.
 * Having no database it counts for shared horizons alone, so VACUUM of ordinary
 * tables is not held back by it.  It takes one of the connections' places.
 *
 * The record of a truncation is flushed before files are removed, and stands
 * behind the OUTCOMES it relies on: so crash recovery and standbys settle before
 * they truncate.  While they replay, the guard shows nothing.
 *
 * Gaps.  After "pg_resetwal -x" there is no commit log for the ids left out,
 * and nobody has had them: what has no file, or no page in it, once all pages
 * have been written, has not committed.  Such ranges are settled whole.
 *
 * If the commit log is gone all the same, as after a time without the library,
 * the ids in between are lost, and are said to be in the WAL too.  Those are
 * below where the server's commit log begins; ids in a gap are not, since no
 * VACUUM can have passed them while the guard stood before them.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/clog.h"
#include "access/slru.h"
#include "access/subtrans.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"

#include "fdw/compat/compat.h"
#include "fdw/host/engine.h"
#include "fdw/host/settle.h"
#include "fdw/host/status.h"
#include "fdw/host/wal.h"

/* As in clog.c: two bits a transaction. */
#define CLOG_PAGE_XIDS (BLCKSZ * 4)
#define CLOG_FILE_XIDS (CLOG_PAGE_XIDS * SLRU_PAGES_PER_SEGMENT)

/* Transactions of one record: 64 kB of bits. */
#define ROUND_XIDS (CLOG_PAGE_XIDS * 16)

typedef struct SettleShared
{
	PGPROC *guard;
	uint64 fallback; /* the server's oldest transaction id when it started: what the guard shows at least */
	pg_atomic_uint64 first_next; /* next transaction id when the first round began, 0: there was none */
} SettleShared;

static SettleShared *shared;

/* xid is within 2^31 of the next. */
static uint64
widen_by(TransactionId xid, uint64 next)
{
	return next + (uint64) (int64) (int32) (xid - (TransactionId) next);
}

uint64
nvmkv_settle_next_fxid(void)
{
	return U64FromFullTransactionId(ReadNextFullTransactionId());
}

/* 32 bits of a transaction id; the permanent ones are nobody's. */
static TransactionId
normal_xid(uint64 fxid)
{
	TransactionId xid = (TransactionId) fxid;

	return TransactionIdIsNormal(xid) ? xid : FirstNormalTransactionId;
}

/* ---------------------------------------------------------------- the guard */

/* The postmaster makes it, alone: as InitProcess does for a process, and TwoPhase for a prepared transaction. */
static PGPROC *
take_process_entry(void)
{
	PGPROC *proc = nvmkv_take_free_process();

	if (proc == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("nvmkv_fdw needs a place among the connections"),
				 errhint("Increase max_connections.")));
	nvmkv_forget_session(proc);
	proc->waitStatus = PROC_WAIT_STATUS_OK;
	proc->xid = InvalidTransactionId;
	proc->xmin = InvalidTransactionId;
	proc->pid = 0;
	proc->databaseId = InvalidOid;
	proc->roleId = InvalidOid;
	proc->tempNamespaceId = InvalidOid;
	proc->delayChkptFlags = 0;
	proc->statusFlags = 0;
	proc->lwWaiting = 0;
	proc->waitLock = NULL;
	proc->waitProcLock = NULL;
	proc->lockGroupLeader = NULL;
	ProcArrayAdd(proc);
	return proc;
}

/* Only moves up, so nobody who computes a horizon meanwhile can be misled. */
static void
show(uint64 fxid)
{
	shared->guard->xmin = normal_xid(fxid);
}

static ControlFileData *
control_file(void)
{
	bool crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);

	if (!crc_ok)
		ereport(FATAL,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the control file is damaged")));
	return control;
}

Size
nvmkv_settle_shmem_bytes(void)
{
	return MAXALIGN(sizeof(SettleShared));
}

void
nvmkv_settle_guard_init(NvmkvDb *db)
{
	ControlFileData *control = control_file();
	bool found;

	shared = ShmemInitStruct("nvmkv outcomes", sizeof(SettleShared), &found);
	memset(shared, 0, sizeof(*shared));
	pg_atomic_init_u64(&shared->first_next, 0);
	shared->fallback = widen_by(control->checkPointCopy.oldestXid,
								U64FromFullTransactionId(control->checkPointCopy.nextXid));
	pfree(control);
	shared->guard = take_process_entry();
	nvmkv_settle_guard_lower(db);
}

void
nvmkv_settle_guard_lift(void)
{
	if (shared != NULL)
		shared->guard->xmin = InvalidTransactionId;
}

void
nvmkv_settle_guard_lower(NvmkvDb *db)
{
	if (shared != NULL)
		show(db != NULL ? Max(nvmkv_settled(db), shared->fallback) : shared->fallback);
}

/*
 * After a shutdown nothing runs, and prepared transactions have not written to a tree that is not there: all that comes
 * is new.  After a crash, replay brings what was running at the checkpoint.
 */
uint64
nvmkv_settle_first_fxid(void)
{
	ControlFileData *control = control_file();
	const CheckPoint *checkpoint = &control->checkPointCopy;
	uint64 next = U64FromFullTransactionId(checkpoint->nextXid);
	uint64 first = next;

	if (control->state != DB_SHUTDOWNED)
		first = widen_by(TransactionIdIsNormal(checkpoint->oldestActiveXid) ? checkpoint->oldestActiveXid
																			: checkpoint->oldestXid,
						 next);
	pfree(control);
	return first;
}

const char *
nvmkv_settle_objection(NvmkvDb *db)
{
	uint64 settled = nvmkv_settled(db);
	uint64 next = nvmkv_settle_next_fxid();

	if (settled > next)
		return psprintf("foreign tables know transactions up to " UINT64_FORMAT ", but the server's next one is " UINT64_FORMAT ": it has gone back",
						settled - 1, next);
	return NULL;
}

/* ---------------------------------------------------------------- the commit log's files */

/* Is the page in its file?  One that is in memory alone is not. */
static bool
page_is_on_disk(uint64 page)
{
	char path[MAXPGPATH];
	struct stat st;
	uint32 xid = (uint32) (page * CLOG_PAGE_XIDS);
	uint32 segno = xid / CLOG_FILE_XIDS;
	off_t end = (off_t) (xid % CLOG_FILE_XIDS / CLOG_PAGE_XIDS + 1) * BLCKSZ;

	snprintf(path, sizeof(path), "pg_xact/%04X", segno);
	if (stat(path, &st) == 0)
		return st.st_size >= end;
	if (errno != ENOENT)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat file \"%s\": %m", path)));
	return false;
}

/* Found last: the newest page is asked for in every round. */
static uint64 page_found = UINT64_MAX;

static bool
page_exists(uint64 page, bool *all_written)
{
	bool found = page == page_found || page_is_on_disk(page);

	if (!found && !*all_written)
	{
		CheckPointCLOG();
		*all_written = true;
		found = page_is_on_disk(page);
	}
	if (found)
		page_found = page;
	return found;
}

/*
 * Sets the bits of those in [from, to), all of one page that is there, that have committed; bits: from the byte that
 * has "from" on.  Were there any?
 */
static bool
read_page(uint64 from, uint64 to, uint8 *bits)
{
	bool any = false;

	memset(bits, 0, CLOG_PAGE_XIDS / 8);
	for (uint64 fxid = from; fxid < to; fxid++)
	{
		XLogRecPtr lsn;

		if (!TransactionIdIsNormal((TransactionId) fxid) ||
			TransactionIdGetStatus((TransactionId) fxid, &lsn) != TRANSACTION_STATUS_COMMITTED)
			continue;
		bits[fxid / 8 - from / 8] |= (uint8) (1 << fxid % 8);
		any = true;
	}
	return any;
}

/* ---------------------------------------------------------------- a round */

static XLogRecPtr
log_outcomes(NvmkvOutcomesKind kind, uint64 from, uint64 to, const uint8 *bits)
{
	NvmkvOutcomesRecord record = {.from = from, .to = to, .kind = kind};
	XLogRecPtr lsn;

	XLogBeginInsert();
	XLogRegisterData((char *) &record, sizeof(record));
	if (bits != NULL)
		XLogRegisterData((char *) unconstify(uint8 *, bits), (uint32) nvmkv_outcome_bytes(from, to));
	XLogSetRecordFlags(XLOG_MARK_UNIMPORTANT); /* an idle server needs no checkpoint because of it */
	lsn = XLogInsert(NVMKV_RMGR_ID, XLOG_NVMKV_OUTCOMES);

	/* By itself the WAL writer writes whole pages only: an idle server's standbys would wait for this record. */
	XLogSetAsyncXactLSN(lsn);
	return lsn;
}

/* Writes the record and applies it; nothing may come in between. */
static void
settle(NvmkvDb *db, uint64 from, uint64 to, const uint8 *bits)
{
	XLogRecPtr lsn;

	HOLD_INTERRUPTS();
	lsn = log_outcomes(bits != NULL ? NVMKV_OUTCOMES_BITS : NVMKV_OUTCOMES_NONE, from, to, bits);
	nvmkv_settle(db, from, to, bits, lsn);
	RESUME_INTERRUPTS();
	show(to);
}

static NvmkvStatus
settle_lost(NvmkvDb *db, uint64 from, uint64 to)
{
	NvmkvStatus status;

	ereport(LOG,
			(errmsg("nvmkv_fdw: the commit log of transactions " UINT64_FORMAT " to " UINT64_FORMAT " is gone", from, to - 1),
			 errdetail("That is of concern only where they have written to foreign tables."),
			 errhint("nvmkv.check() tells whether they have, and nvmkv.set_outcome() decides.")));
	status = nvmkv_settle_lost(db, from, to, log_outcomes(NVMKV_OUTCOMES_LOST, from, to, NULL));
	if (status == NVMKV_OK)
		show(to);
	return status;
}

static uint64
page_of(uint64 fxid)
{
	return fxid % (UINT64CONST(1) << 32) / CLOG_PAGE_XIDS;
}

static uint64
page_end(uint64 fxid)
{
	return (fxid / CLOG_PAGE_XIDS + 1) * CLOG_PAGE_XIDS;
}

/*
 * Settles some of [from, to), where the record ends: a range without commits, of any size; or one with bits, which is
 * of one segment and no longer than a record; or one whose commit log has been truncated.  A page that is there is
 * good, also below "oldest", where the commit log begins since it was truncated last: files go whole.
 * REQUIRES the turn (nvmkv_settle_begin).
 */
static NvmkvStatus
settle_some(NvmkvDb *db, uint64 from, uint64 to, uint64 oldest)
{
	static uint8 bits[ROUND_XIDS / 8 + 1];
	static uint8 page_bits[CLOG_PAGE_XIDS / 8];
	uint64 limit = (from / NVMKV_SETTLE_SEGMENT_XIDS + 1) * NVMKV_SETTLE_SEGMENT_XIDS; /* if there are commits */
	uint64 at = from;
	bool any = false;
	bool all_written = false;

	memset(bits, 0, sizeof(bits));
	while (at < to && !(any && at >= limit))
	{
		uint64 end = Min(to, page_end(at));
		bool exists = page_exists(page_of(at), &all_written);

		CHECK_FOR_INTERRUPTS();
		if (!exists && at < oldest)
			break; /* it is gone, which it would not be had nobody had its ids */
		if (exists && read_page(at, end, page_bits))
		{
			if (!any && at > from)
				break; /* those before it are a range of their own */
			any = true;
			limit = Min(limit, from + ROUND_XIDS - CLOG_PAGE_XIDS);
			memcpy(bits + (at / 8 - from / 8), page_bits, nvmkv_outcome_bytes(at, end));
		}
		at = end;
	}
	if (at > from)
	{
		if (any)
			NVMKV_RETURN_IF(nvmkv_settle_prepare(db, from, at));
		settle(db, from, at, any ? bits : NULL);
		return NVMKV_OK;
	}
	while (at < Min(oldest, to) && !page_exists(page_of(at), &all_written))
		at = page_end(at);
	return settle_lost(db, from, Min(at, to));
}

/*
 * Those who were there before this server was, or before its last crash, may have written; of the others it is known
 * who has written last.
 */
static bool
may_have_written(NvmkvDb *db, uint64 from)
{
	uint64 first = pg_atomic_read_u64(&shared->first_next);

	if (first == 0)
	{
		first = nvmkv_settle_next_fxid();
		pg_atomic_write_u64(&shared->first_next, first);
	}
	return from < first || nvmkv_last_written_fxid(db) >= from;
}

bool
nvmkv_settle_is_due(NvmkvDb *db)
{
	return nvmkv_settle_next_fxid() > nvmkv_settled(db);
}

/* Subtransactions begin after their transaction: its id is enough. */
bool
nvmkv_settle_waits_for_process(uint64 limit)
{
	bool found = false;

	LWLockAcquire(ProcArrayLock, LW_SHARED);
	for (uint32 i = 0; i < ProcGlobal->allProcCount && !found; i++)
	{
		const PGPROC *proc = &ProcGlobal->allProcs[i];

		found = proc->pid != 0 && TransactionIdIsValid(proc->xid) &&
			TransactionIdPrecedes(proc->xid, (TransactionId) limit);
	}
	LWLockRelease(ProcArrayLock);
	return found;
}

/* The next step of a round. */
static NvmkvStatus
settle_next(NvmkvDb *db, uint64 to, uint64 next)
{
	uint64 from = nvmkv_settled(db);
	uint64 oldest = widen_by(TransamVariables->oldestClogXid, next);

	if (!may_have_written(db, from))
	{
		settle(db, from, to, NULL);
		return NVMKV_OK;
	}
	/* So far behind that ids of 32 bits would mean others. */
	if (next - from >= UINT64CONST(1) << 31)
		return settle_lost(db, from, Min(oldest, to));
	return settle_some(db, from, to, oldest);
}

NvmkvStatus
nvmkv_settle_round(NvmkvDb *db, bool is_barrier)
{
	NvmkvStatus status = NVMKV_OK;
	uint64 next;
	uint64 to;

	if (RecoveryInProgress())
		return NVMKV_OK;
	status = nvmkv_settle_begin(db);
	if (status != NVMKV_OK)
		return status;
	/*
	 * Without the barrier nothing holds a checkpoint back until what is settled now is saved.  Before its last save it
	 * says that it is going, and that save waits for our turn.
	 */
	if (!is_barrier && nvmkv_engine_writes_are_closed())
	{
		nvmkv_settle_end(db);
		return NVMKV_OK;
	}
	next = nvmkv_settle_next_fxid();
	to = widen_by(GetOldestActiveTransactionId(), next);
	while (status == NVMKV_OK && nvmkv_settled(db) < to)
		status = settle_next(db, to, next);
	nvmkv_settle_end(db);
	return status;
}

void
nvmkv_settle_now(NvmkvDb *db)
{
	nvmkv_check_status(nvmkv_settle_round(db, false), "noting outcomes of transactions for", "nvmkv");
}

uint64
nvmkv_settle_by_word(NvmkvDb *db, uint64 first, uint64 last, bool committed)
{
	uint64 count = 0;
	NvmkvStatus status = nvmkv_settle_begin(db);

	if (status == NVMKV_OK)
	{
		XLogRecPtr lsn = log_outcomes(committed ? NVMKV_OUTCOMES_SET_COMMITTED : NVMKV_OUTCOMES_SET_ABORTED, first,
									  last + 1, NULL);

		status = nvmkv_set_outcome(db, first, last + 1, committed, lsn, &count);
		nvmkv_settle_end(db);
	}
	nvmkv_check_status(status, "setting outcomes of transactions for", "nvmkv");
	return count;
}

/* ---------------------------------------------------------------- redo */

/* INVALID: the record is not what it should be. */
static NvmkvStatus
read_record(NvmkvSlice record, NvmkvOutcomesRecord *head, const uint8 **bits_out)
{
	const uint8 *data = record.data;
	uint32 size = (uint32) record.size;

	*bits_out = NULL;
	if (size < sizeof(*head))
		return NVMKV_FAIL(NVMKV_INVALID, "a record of outcomes has %u bytes", size);
	memcpy(head, data, sizeof(*head));
	size -= (uint32) sizeof(*head);
	if (head->from >= head->to || head->kind > NVMKV_OUTCOMES_SET_ABORTED ||
		size != (head->kind == NVMKV_OUTCOMES_BITS ? nvmkv_outcome_bytes(head->from, head->to) : 0))
		return NVMKV_FAIL(NVMKV_INVALID, "a record of outcomes is of transactions %llu to %llu and has %u bytes of bits",
						  (unsigned long long) head->from, (unsigned long long) head->to, size);
	if (size > 0)
		*bits_out = data + sizeof(*head);
	return NVMKV_OK;
}

/*
 * Transactions below "to", which the record has not: what settled them stands in the log before what is replayed, and
 * was not saved.  The tree is an older one than the log belongs to, or a new one.  They had ended then, so where their
 * commit log is still there it has their outcomes since the checkpoint.
 */
static NvmkvStatus
redo_gap(NvmkvDb *db, uint64 to, XLogRecPtr lsn)
{
	static uint8 bits[CLOG_PAGE_XIDS / 8];
	uint64 from;

	while ((from = nvmkv_settled(db)) < to)
	{
		uint64 end = Min(to, page_end(from));
		bool any;

		if (nvmkv_settle_next_fxid() - from >= UINT64CONST(1) << 31 || !page_is_on_disk(page_of(from)))
		{
			ereport(LOG,
					(errmsg("nvmkv_fdw: outcomes of transactions " UINT64_FORMAT " to " UINT64_FORMAT " are neither in files nor in the WAL that is replayed",
							from, end - 1)));
			NVMKV_RETURN_IF(nvmkv_settle_lost(db, from, end, lsn));
			continue;
		}
		any = read_page(from, end, bits);
		if (any)
			NVMKV_RETURN_IF(nvmkv_settle_prepare(db, from, end));
		nvmkv_settle(db, from, end, any ? bits : NULL, lsn);
	}
	return NVMKV_OK;
}

static NvmkvStatus
redo_settle(NvmkvDb *db, const NvmkvOutcomesRecord *head, const uint8 *bits, XLogRecPtr end)
{
	uint64 settled = nvmkv_settled(db);

	if (head->to <= settled)
		return NVMKV_OK;
	if (head->from > settled)
		NVMKV_RETURN_IF(redo_gap(db, head->from, end));
	if (head->kind == NVMKV_OUTCOMES_LOST)
		return nvmkv_settle_lost(db, head->from, head->to, end);
	if (bits != NULL)
		NVMKV_RETURN_IF(nvmkv_settle_prepare(db, head->from, head->to));
	nvmkv_settle(db, head->from, head->to, bits, end);
	return NVMKV_OK;
}

void
nvmkv_settle_redo_ids(NvmkvSlice record)
{
	NvmkvOutcomesRecord head;
	const uint8 *bits;

	if (read_record(record, &head, &bits) == NVMKV_OK && head.kind <= NVMKV_OUTCOMES_LOST)
		AdvanceNextFullTransactionIdPastXid((TransactionId) (head.to - 1));
}

NvmkvStatus
nvmkv_settle_redo(NvmkvDb *db, NvmkvSlice record, XLogRecPtr end)
{
	NvmkvOutcomesRecord head;
	const uint8 *bits;
	uint64 count;
	NvmkvStatus status = read_record(record, &head, &bits);

	if (status == NVMKV_OK)
		status = nvmkv_settle_begin(db);
	if (status != NVMKV_OK)
		return status;
	if (head.kind == NVMKV_OUTCOMES_SET_COMMITTED || head.kind == NVMKV_OUTCOMES_SET_ABORTED)
		status = nvmkv_set_outcome(db, head.from, head.to, head.kind == NVMKV_OUTCOMES_SET_COMMITTED, end, &count);
	else
		status = redo_settle(db, &head, bits, end);
	nvmkv_settle_end(db);
	return status;
}

NvmkvStatus
nvmkv_settle_kept(NvmkvDb *db, uint64 from, uint64 to, const uint8 *bits)
{
	const NvmkvOutcomesRecord head = {
		.from = from, .to = to, .kind = bits != NULL ? NVMKV_OUTCOMES_BITS : NVMKV_OUTCOMES_NONE};
	NvmkvStatus status = nvmkv_settle_begin(db);

	if (status != NVMKV_OK)
		return status;
	status = redo_settle(db, &head, bits, InvalidXLogRecPtr); /* the log has been made durable before */
	nvmkv_settle_end(db);
	return status;
}

void
nvmkv_settle_desc(StringInfo buf, NvmkvSlice record)
{
	static const char *const kinds[] = {"none committed", "bits", "lost", "set committed", "set aborted"};
	NvmkvOutcomesRecord head;
	const uint8 *bits;

	if (read_record(record, &head, &bits) == NVMKV_OK)
		appendStringInfo(buf, "transactions " UINT64_FORMAT " to " UINT64_FORMAT ": %s", head.from, head.to - 1,
						 kinds[head.kind]);
}
