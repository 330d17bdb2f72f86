/*
 * port_pg.c
 *	  The host is a PostgreSQL process: backend, worker, startup process,
 *	  single-user server, or the postmaster.
 *
 * The engine never expects a longjmp, so nothing called here may raise:
 *
 * - LWLockAcquire raises only past 200 held locks; the engine holds fewer than
 *   eight and src/fdw bounds its latches.
 * - ConditionVariableTimedSleep runs CHECK_FOR_INTERRUPTS.  It is called with
 *   interrupts held off and in slices; between slices a pending cancel or die
 *   makes the wait return CANCELLED, and the caller unwinds to a place where
 *   CHECK_FOR_INTERRUPTS may raise.
 * - ereport below ERROR ends in CHECK_FOR_INTERRUPTS, calls the context
 *   callbacks of whoever is above us, converts the text to the client's
 *   encoding, and waits for a client that does not read while locks and claims
 *   are held: all four are kept out.  Texts go to the server's log only.
 *
 * The postmaster opens the engine before there is any child and has no PGPROC.
 * There LWLocks are free and can be taken, nobody waits and nobody is woken.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "utils/elog.h"
#include "utils/wait_event.h"

#include "engine/port/port_pg.h"

int port_pg_tranche = 0;
volatile sig_atomic_t *port_pg_stop_flag = NULL;

/* ---- locks ---- */

typedef struct PgLock
{
	LWLock lwlock;
	uint32 rank;
} PgLock;

StaticAssertDecl(sizeof(PgLock) <= sizeof(PortLock), "PortLock is too small");

static LWLock *
lwlock_of(PortLock *lock)
{
	return (LWLock *) (void *) lock->opaque;
}

void
port_lock_init(PortLock *lock, PortLockRank rank)
{
	Assert(port_pg_tranche != 0);
	LWLockInitialize(lwlock_of(lock), port_pg_tranche);
	((PgLock *) (void *) lock->opaque)->rank = (uint32) rank;
}

#ifdef USE_ASSERT_CHECKING
static void
assert_comes_before(LWLock *held, LWLockMode mode, void *wanted)
{
	(void) mode;
	Assert(held->tranche != port_pg_tranche ||
		   ((PgLock *) held)->rank < ((PgLock *) (void *) ((PortLock *) wanted)->opaque)->rank);
}

static void
note_held(LWLock *held, LWLockMode mode, void *any)
{
	(void) mode;
	if (held->tranche == port_pg_tranche)
		*(bool *) any = true;
}

bool
port_pg_holds_lock(void)
{
	bool any = false;

	ForEachLWLockHeldByMe(note_held, &any);
	return any;
}
#endif

/* Locks are taken in ascending rank.  (Those that are only tried cannot deadlock.) */
static void
assert_rank(PortLock *lock)
{
#ifdef USE_ASSERT_CHECKING
	ForEachLWLockHeldByMe(assert_comes_before, lock);
#else
	(void) lock;
#endif
}

void
port_lock_exclusive(PortLock *lock)
{
	assert_rank(lock);
	(void) LWLockAcquire(lwlock_of(lock), LW_EXCLUSIVE);
}

void
port_lock_shared(PortLock *lock)
{
	assert_rank(lock);
	(void) LWLockAcquire(lwlock_of(lock), LW_SHARED);
}

bool
port_lock_try_exclusive(PortLock *lock)
{
	return LWLockConditionalAcquire(lwlock_of(lock), LW_EXCLUSIVE);
}

void
port_lock_release(PortLock *lock)
{
	LWLockRelease(lwlock_of(lock));
}

void
port_lock_init_robust(PortLock *lock, PortLockRank rank)
{
	port_lock_init(lock, rank);
}

PortLockResult
port_lock_robust(PortLock *lock, bool wait)
{
	if (!wait)
		return port_lock_try_exclusive(lock) ? PORT_LOCK_TAKEN : PORT_LOCK_BUSY;
	port_lock_exclusive(lock);
	return PORT_LOCK_TAKEN;
}

/* ---- waiting ---- */

StaticAssertDecl(sizeof(ConditionVariable) <= sizeof(PortCond), "PortCond is too small");

/* A cancel is noticed after at most this long. */
#define WAIT_SLICE_MS 100

static ConditionVariable *
cv_of(PortCond *cond)
{
	return (ConditionVariable *) (void *) cond->opaque;
}

void
port_cond_init(PortCond *cond)
{
	ConditionVariableInit(cv_of(cond));
}

void
port_cond_prepare(PortCond *cond)
{
	if (MyProc != NULL)
		ConditionVariablePrepareToSleep(cv_of(cond));
}

/*
 * DROP DATABASE and DROP TABLESPACE wait until every process has closed its
 * relation files.  A process that waits here for long must take part, or a full
 * memtable would stop them; the only barrier PostgreSQL 15 has does not raise.
 */
static void
absorb_barrier(void)
{
	if (ProcSignalBarrierPending && InterruptHoldoffCount == 0 && CritSectionCount == 0)
		ProcessProcSignalBarrier();
}

NvmkvStatus
port_cond_wait(PortCond *cond, int timeout_ms)
{
	uint64_t deadline = timeout_ms < 0 ? UINT64_MAX : port_now_us() + (uint64_t) timeout_ms * 1000;

	if (MyProc == NULL)
	{
		/* Nobody else runs yet, so nobody can wake us: let the caller look again. */
		port_sleep_us(1000);
		return NVMKV_OK;
	}
	for (;;)
	{
		uint64_t now;
		long slice_ms = WAIT_SLICE_MS;
		bool timed_out;

		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "the wait was interrupted");
		now = port_now_us();
		if (now >= deadline)
			return NVMKV_OK;
		if ((deadline - now) / 1000 < WAIT_SLICE_MS)
			slice_ms = (long) ((deadline - now + 999) / 1000);

		HOLD_INTERRUPTS();
		timed_out = ConditionVariableTimedSleep(cv_of(cond), slice_ms, PG_WAIT_EXTENSION);
		RESUME_INTERRUPTS();

		/* Doing this may undo the prepared sleep; the next one then starts with a spurious wake-up, as it must. */
		absorb_barrier();
		if (!timed_out)
			return port_interrupted() ? NVMKV_FAIL(NVMKV_CANCELLED, "the wait was interrupted") : NVMKV_OK;
	}
}

void
port_cond_finish(PortCond *cond)
{
	(void) cond;
	if (MyProc != NULL)
		ConditionVariableCancelSleep();
}

void
port_cond_broadcast(PortCond *cond)
{
	if (MyProc != NULL)
		ConditionVariableBroadcast(cv_of(cond));
}

/* ---- processes ---- */

int
port_process_slot(void)
{
	return MyProc != NULL ? (int) (MyProc - ProcGlobal->allProcs) : -1;
}

bool
port_interrupted(void)
{
	/* A critical section must be finished; to return early from it would be a PANIC. */
	if (CritSectionCount > 0)
		return false;
	if (InterruptPending && (QueryCancelPending || ProcDiePending))
		return true;
	return port_pg_stop_flag != NULL && *port_pg_stop_flag != 0;
}

void
port_sleep_us(uint64_t us)
{
	pg_usleep((long) (us < INT_MAX ? us : INT_MAX));
}

/* ---- logging ---- */

void
port_log(PortLogLevel level, const char *fmt, ...)
{
	static const int elevels[] = {
		[PORT_LOG_DEBUG] = DEBUG1,
		[PORT_LOG_INFO] = LOG_SERVER_ONLY,
		[PORT_LOG_WARNING] = LOG_SERVER_ONLY,
	};
	char line[NVMKV_ERROR_TEXT_MAX * 2];
	ErrorContextCallback *saved_callbacks = error_context_stack;
	va_list args;
	char *p;

	if (CritSectionCount > 0 || !message_level_is_interesting(elevels[level]))
		return;
	va_start(args, fmt);
	if (vsnprintf(line, sizeof(line), fmt, args) < 0)
		line[0] = '\0';
	va_end(args);

	/* Paths may hold any bytes: ASCII converts to every client encoding. */
	for (p = line; *p != '\0'; p++)
	{
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	}

	HOLD_INTERRUPTS();
	error_context_stack = NULL;
	ereport(elevels[level], (errmsg_internal("nvmkv: %s", line)));
	error_context_stack = saved_callbacks;
	RESUME_INTERRUPTS();
}

/* ---- descriptors ---- */

/*
 * Descriptors this process has reported to fd.c.  What the postmaster opens
 * before it knows its limits is not reported (set_max_safe_fds counts it as
 * open already), and a child that closes such an inherited file must not report
 * the closing of something else.
 */
static int reported_fds = 0;

bool
port_fd_acquire(void)
{
	if (MyProc == NULL)
		return true;
	if (!AcquireExternalFD())
		return false;
	reported_fds++;
	return true;
}

void
port_fd_release(void)
{
	if (reported_fds == 0)
		return;
	reported_fds--;
	ReleaseExternalFD();
}
