/*
 * copies.c
 *	  The list of copies of the running server's files, and what is kept for them: see copies.h.
 *
 * The list has an element for each process, by its number.  It is changed by
 * that process, by the barrier, and by the flush worker, under one lock, with
 * the engine's stamps (engine/db/backup.c).
 */
#include "postgres.h"

#include <signal.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "engine/port/port_pg.h"
#include "fdw/compat/compat.h"
#include "fdw/host/copies.h"
#include "fdw/host/guc.h"

/* Those that may be about to begin, at a checkpoint of their own or of the past. */
#define COPY_FROM_CHECKPOINT (NVMKV_COPY_WALSENDER | NVMKV_COPY_BACKUP)

/* A point this old or younger serves further copies, while the one lives that it was made for. */
#define POINT_SHARED_MS 60000

/* What copies may keep beside tables of so many bytes, when no limit is set. */
#define SPACE_LIMIT_BYTES_MIN (UINT64CONST(1) << 30)

typedef struct CopyShared
{
	PortLock lock;
	/* the last point */
	XLogRecPtr position;
	uint64 stamp;
	TimestampTz made;
	NvmkvCopy copies[FLEXIBLE_ARRAY_MEMBER]; /* MaxBackends */
} CopyShared;

static CopyShared *shared;

/* ---------------------------------------------------------------- shared memory */

static Size
shared_bytes(void)
{
	return add_size(offsetof(CopyShared, copies), mul_size(MaxBackends, sizeof(NvmkvCopy)));
}

void
nvmkv_copies_shmem_request(void)
{
	RequestAddinShmemSpace(shared_bytes());
}

void
nvmkv_copies_shmem_init(void)
{
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("nvmkv copies", shared_bytes(), &found);
	if (!found)
	{
		memset(shared, 0, shared_bytes());
		port_lock_init(&shared->lock, PORT_RANK_HOST);
	}
	LWLockRelease(AddinShmemInitLock);
}

/* ---------------------------------------------------------------- the list */

static WalSndState
walsender_state(int pid)
{
	WalSndState state = WALSNDSTATE_STARTUP;

	for (int i = 0; i < max_wal_senders; i++)
	{
		WalSnd *walsnd = &WalSndCtl->walsnds[i];

		SpinLockAcquire(&walsnd->mutex);
		if (walsnd->pid == pid)
			state = walsnd->state;
		SpinLockRelease(&walsnd->mutex);
	}
	return state;
}

/* On a standby a walsender that has not said what it wants may be about to begin. */
static bool
walsender_copies(int pid)
{
	WalSndState state = walsender_state(pid);

	return state == WALSNDSTATE_BACKUP || (state == WALSNDSTATE_STARTUP && RecoveryInProgress());
}

bool
nvmkv_copy_is_needed(const NvmkvCopy *copy)
{
	return copy->pid != 0 && copy->broken[0] == '\0';
}

/* REQUIRES the lock: the engine learns which copy is the oldest. */
static void
tell_engine(NvmkvDb *db)
{
	uint64 oldest = 0;

	for (int i = 0; i < MaxBackends; i++)
	{
		const NvmkvCopy *copy = &shared->copies[i];

		if (nvmkv_copy_is_needed(copy) && (oldest == 0 || copy->stamp < oldest))
			oldest = copy->stamp;
	}
	nvmkv_copy_oldest(db, oldest);
}

/* REQUIRES the lock. */
static void
end_kind(NvmkvDb *db, NvmkvCopy *copy, int kind)
{
	copy->kinds &= ~kind;
	if (copy->kinds == 0)
	{
		copy->pid = 0;
		tell_engine(db);
	}
}

/* A process begins to copy, or has one more reason to. */
static void
add_kind(NvmkvDb *db, int pgprocno, int pid, int kind)
{
	NvmkvCopy *copy = &shared->copies[pgprocno];

	port_lock_exclusive(&shared->lock);
	if (copy->pid != pid || copy->broken[0] != '\0')
	{
		memset(copy, 0, sizeof(*copy));
		copy->since = GetCurrentTimestamp();
		copy->stamp = nvmkv_copy_begin(db);
		copy->pid = pid;
	}
	copy->kinds |= kind;
	if ((kind & COPY_FROM_CHECKPOINT) != 0)
	{
		/* A point of the past may be before what it will begin at. */
		copy->started = false;
		copy->position = InvalidXLogRecPtr;
	}
	port_lock_release(&shared->lock);
}

/* What is not ended by its own process: those that were killed, walsenders. */
static void
end_gone(NvmkvDb *db)
{
	port_lock_exclusive(&shared->lock);
	for (int i = 0; i < MaxBackends; i++)
	{
		NvmkvCopy *copy = &shared->copies[i];

		if (copy->pid == 0)
			continue;
		if (((volatile PGPROC *) &ProcGlobal->allProcs[i])->pid != copy->pid)
			end_kind(db, copy, copy->kinds);
		else if ((copy->kinds & NVMKV_COPY_WALSENDER) != 0 && !walsender_copies(copy->pid))
			end_kind(db, copy, NVMKV_COPY_WALSENDER);
	}
	port_lock_release(&shared->lock);
}

/* Walsenders that make a base backup and are not in the list: calls "unlisted" with each. */
static void
each_unlisted_backup(NvmkvDb *db, void (*unlisted) (NvmkvDb *db, int pgprocno, int pid))
{
	for (int i = 0; i < max_wal_senders; i++)
	{
		WalSnd *walsnd = &WalSndCtl->walsnds[i];
		int pid;
		bool copies;

		SpinLockAcquire(&walsnd->mutex);
		pid = walsnd->pid;
		copies = pid != 0 && walsnd->state == WALSNDSTATE_BACKUP;
		SpinLockRelease(&walsnd->mutex);
		for (int p = 0; copies && p < MaxBackends; p++)
			if (((volatile PGPROC *) &ProcGlobal->allProcs[p])->pid == pid &&
				!(shared->copies[p].pid == pid && (shared->copies[p].kinds & NVMKV_COPY_WALSENDER) != 0))
				unlisted(db, p, pid);
	}
}

/* ---------------------------------------------------------------- breaking */

/* Nothing is kept for the copy any more; its session learns of it now or at its end. */
static void
break_copy(NvmkvDb *db, int pgprocno, uint64 stamp, const char *why)
{
	NvmkvCopy *copy = &shared->copies[pgprocno];
	bool terminate = false;
	bool cancel = false;
	int pid = 0;

	port_lock_exclusive(&shared->lock);
	if (nvmkv_copy_is_needed(copy) && copy->stamp == stamp)
	{
		pid = copy->pid;
		strlcpy(copy->broken, why, sizeof(copy->broken));
		tell_engine(db);
		/* The others ask at their end, and may have something else to do before. */
		terminate = (copy->kinds & (NVMKV_COPY_WALSENDER | NVMKV_COPY_REWIND)) != 0;
		/* In pg_backup_start() it had better not return. */
		cancel = !terminate && (copy->kinds & NVMKV_COPY_BACKUP) != 0 && !copy->started;
		if ((terminate || cancel) && ((volatile PGPROC *) &ProcGlobal->allProcs[pgprocno])->pid == pid)
			(void) kill(pid, terminate ? SIGTERM : SIGINT);
	}
	port_lock_release(&shared->lock);
	if (pid != 0)
		ereport(LOG,
				(errmsg("the copy of the data directory that process %d makes cannot be used", pid),
				 errdetail("%s", why),
				 terminate ? errhint("The process was terminated.") : cancel ? errhint("Its statement was cancelled.") : 0));
}

void
nvmkv_copies_break(NvmkvDb *db, const char *why)
{
	for (int i = 0; i < MaxBackends; i++)
		break_copy(db, i, shared->copies[i].stamp, why);
}

/* ---------------------------------------------------------------- points */

/* Does the copy need points at checkpoints yet to come? */
static bool
may_begin(const NvmkvCopy *copy)
{
	return nvmkv_copy_is_needed(copy) && (copy->kinds & COPY_FROM_CHECKPOINT) != 0 && !copy->started;
}

/* Flushes, drains, and describes what there is, for all copies that are in the list by now. */
static NvmkvStatus
make_point(NvmkvDb *db)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64_t position;
	uint64 stamp = 0;

	port_lock_shared(&shared->lock);
	for (int i = 0; i < MaxBackends; i++)
		if (shared->copies[i].pid != 0)
			stamp = Max(stamp, shared->copies[i].stamp);
	port_lock_release(&shared->lock);

	NVMKV_RETURN_IF(nvmkv_copy_point(db, &position));

	port_lock_exclusive(&shared->lock);
	if (stamp >= shared->stamp)
	{
		shared->position = position;
		shared->stamp = stamp;
		shared->made = now;
	}
	for (int i = 0; i < MaxBackends; i++)
	{
		NvmkvCopy *copy = &shared->copies[i];

		if (copy->pid != 0 && copy->stamp <= stamp)
			copy->position = Max(copy->position, position);
	}
	port_lock_release(&shared->lock);
	return NVMKV_OK;
}

static void
add_walsender(NvmkvDb *db, int pgprocno, int pid)
{
	add_kind(db, pgprocno, pid, NVMKV_COPY_WALSENDER);
}

/* Is there a copy that may begin at a checkpoint with this redo point, and has no point at or behind it? */
static bool
point_is_wanted(XLogRecPtr redo)
{
	bool wanted = false;

	port_lock_shared(&shared->lock);
	for (int i = 0; i < MaxBackends && !wanted; i++)
	{
		const NvmkvCopy *copy = &shared->copies[i];

		wanted = may_begin(copy) && copy->position < redo;
	}
	port_lock_release(&shared->lock);
	return wanted;
}

/* There is no point for those that are about to begin: better they do not. */
static void
break_beginners(NvmkvDb *db)
{
	char why[sizeof(((NvmkvCopy *) 0)->broken)];

	snprintf(why, sizeof(why), "Foreign tables could not be drained: %s", nvmkv_error()->text);
	for (int i = 0; i < MaxBackends; i++)
		if (may_begin(&shared->copies[i]))
			break_copy(db, i, shared->copies[i].stamp, why);
}

NvmkvStatus
nvmkv_copies_at_checkpoint(NvmkvDb *db)
{
	end_gone(db);
	each_unlisted_backup(db, add_walsender);
	if (point_is_wanted(PG_UINT64_MAX))
	{
		NvmkvStatus status = make_point(db);

		if (status == NVMKV_OK || status == NVMKV_CANCELLED)
			return status;
		/* The checkpoint is not only theirs. */
		break_beginners(db);
	}
	return nvmkv_flush_all(db);
}

bool
nvmkv_copies_need_point(void)
{
	return point_is_wanted(PG_UINT64_MAX);
}

void
nvmkv_copies_before_redo(NvmkvDb *db, XLogRecPtr redo)
{
	end_gone(db);
	if (point_is_wanted(redo) && make_point(db) != NVMKV_OK)
		break_beginners(db);
}

/* ---------------------------------------------------------------- this process */

static NvmkvCopy *
my_copy(void)
{
	return &shared->copies[GetNumberFromPGProc(MyProc)];
}

const NvmkvCopy *
nvmkv_copy_mine(void)
{
	return shared != NULL && MyProc != NULL && my_copy()->pid == MyProcPid ? my_copy() : NULL;
}

void
nvmkv_copy_mine_add(NvmkvDb *db, int kind)
{
	add_kind(db, GetNumberFromPGProc(MyProc), MyProcPid, kind);
}

void
nvmkv_copy_mine_end(NvmkvDb *db, int kinds)
{
	port_lock_exclusive(&shared->lock);
	if (my_copy()->pid == MyProcPid)
		end_kind(db, my_copy(), kinds);
	port_lock_release(&shared->lock);
}

void
nvmkv_copy_mine_has_begun(void)
{
	my_copy()->started = true;
}

/*
 * A copy that has just been entered and has no point takes over the last one, with all that is kept for it, if that is
 * not old and still needed by somebody for whom points are made at each checkpoint: then it is behind the last
 * restartpoint.
 */
static bool
share_point(void)
{
	NvmkvCopy *mine = my_copy();
	bool is_kept = false;

	port_lock_exclusive(&shared->lock);
	if (shared->stamp != 0 && !TimestampDifferenceExceeds(shared->made, GetCurrentTimestamp(), POINT_SHARED_MS))
		for (int i = 0; i < MaxBackends && !is_kept; i++)
		{
			const NvmkvCopy *other = &shared->copies[i];

			is_kept = other != mine && may_begin(other) && other->stamp <= shared->stamp &&
				other->position == shared->position;
		}
	if (is_kept)
	{
		mine->stamp = Min(mine->stamp, shared->stamp);
		mine->position = shared->position;
	}
	port_lock_release(&shared->lock);
	return is_kept;
}

NvmkvStatus
nvmkv_copy_mine_get_point(NvmkvDb *db)
{
	if (my_copy()->position != InvalidXLogRecPtr || share_point())
		return NVMKV_OK;
	return make_point(db);
}

/* ---------------------------------------------------------------- tending */

static uint64
space_limit(const NvmkvCopyHeld *held)
{
	if (nvmkv_copy_space_limit_mb == 0)
		return PG_UINT64_MAX;
	if (nvmkv_copy_space_limit_mb > 0)
		return (uint64) nvmkv_copy_space_limit_mb << 20;
	return Max(held->tree_bytes, SPACE_LIMIT_BYTES_MIN);
}

/* The oldest copy, if all that is kept is more than may be. */
static bool
oldest_is_too_large(NvmkvDb *db, int *pgprocno_out, uint64 *stamp_out, NvmkvCopyHeld *held_out)
{
	*pgprocno_out = -1;
	port_lock_shared(&shared->lock);
	for (int i = 0; i < MaxBackends; i++)
	{
		const NvmkvCopy *copy = &shared->copies[i];

		if (nvmkv_copy_is_needed(copy) && (*pgprocno_out < 0 || copy->stamp < *stamp_out))
		{
			*pgprocno_out = i;
			*stamp_out = copy->stamp;
		}
	}
	port_lock_release(&shared->lock);
	if (*pgprocno_out < 0)
		return false;
	nvmkv_copy_held(db, *stamp_out, held_out);
	return held_out->is_full || held_out->bytes > space_limit(held_out);
}

/* In recovery, a backup that was not seen to begin: its point may be missing. */
static void
terminate_walsender(NvmkvDb *db, int pgprocno, int pid)
{
	ereport(LOG,
			(errmsg("terminating the base backup of process %d", pid),
			 errdetail("It could not be used: foreign tables were not drained for it before it began."),
			 errhint("Try again, in a new connection.")));
	(void) kill(pid, SIGTERM);
}

void
nvmkv_copies_tend(NvmkvDb *db)
{
	NvmkvCopyHeld held;
	int pgprocno;
	uint64 stamp;

	end_gone(db);
	if (RecoveryInProgress())
		each_unlisted_backup(db, terminate_walsender);
	nvmkv_copy_release(db);
	while (oldest_is_too_large(db, &pgprocno, &stamp, &held))
	{
		char why[128];

		snprintf(why, sizeof(why), held.is_full ? "Too many files (" UINT64_FORMAT ", " UINT64_FORMAT " kB) were kept for it." :
				 "The " UINT64_FORMAT " files (" UINT64_FORMAT " kB) that were kept for it exceed nvmkv.copy_space_limit.",
				 (uint64) held.files, (uint64) held.bytes / 1024);
		break_copy(db, pgprocno, stamp, why);
		nvmkv_copy_release(db);
	}
}

unsigned
nvmkv_copies_list(NvmkvCopy *copies)
{
	unsigned n = 0;

	port_lock_shared(&shared->lock);
	for (int i = 0; i < MaxBackends; i++)
		if (shared->copies[i].pid != 0)
			copies[n++] = shared->copies[i];
	port_lock_release(&shared->lock);
	return n;
}
