/*
 * port_posix.c
 *	  The host is a plain process: library, tools, tests.
 *
 * Locks are process-shared pthread read-write locks; the robust ones are
 * mutexes, because the kernel knows who holds those.  Waiting is a futex on a
 * generation number instead of a pthread condition variable, because a waiter
 * that is killed inside a condition variable may hang its next broadcast.
 *
 * Debug builds (without NDEBUG) assert that a thread takes locks in ascending
 * rank; try-locks are exempt, they cannot deadlock.
 */
#include "engine/port/port_posix.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- locks ---- */

typedef struct PosixLock
{
	union
	{
		pthread_rwlock_t rwlock;
		pthread_mutex_t mutex; /* robust */
	} u;
	uint32_t rank;
	uint16_t robust;
	uint16_t dead; /* robust: its owner died */
} PosixLock;

_Static_assert(sizeof(PosixLock) <= sizeof(PortLock), "PortLock is too small");

#define HELD_LOCKS_MAX 16

#define ROBUST_WAIT_SECONDS 1

/*
 * Looks at a robust lock before its waiter sleeps: what is done under one most often takes a fraction of a microsecond,
 * and going to sleep and being woken takes ten of them.
 */
#define ROBUST_LOOKS 32
#define ROBUST_PAUSES 4 /* between two looks, which take the lock's cache line from its holder */

static _Thread_local uint32_t held_ranks[HELD_LOCKS_MAX];
static _Thread_local const PosixLock *held_locks[HELD_LOCKS_MAX];
static _Thread_local unsigned held_count;

static void
note_acquired(const PosixLock *lock)
{
	assert(held_count < HELD_LOCKS_MAX);
	held_ranks[held_count] = lock->rank;
	held_locks[held_count] = lock;
	held_count++;
}

static void
note_released(const PosixLock *lock)
{
	unsigned i = held_count;

	while (i > 0 && held_locks[i - 1] != lock)
		i--;
	assert(i > 0);
	for (; i < held_count; i++)
	{
		held_ranks[i - 1] = held_ranks[i];
		held_locks[i - 1] = held_locks[i];
	}
	held_count--;
}

static void
assert_rank(const PosixLock *lock)
{
#ifndef NDEBUG
	unsigned i;

	for (i = 0; i < held_count; i++)
		assert(held_ranks[i] < lock->rank);
#else
	(void) lock;
#endif
}

void
port_lock_init(PortLock *lock, PortLockRank rank)
{
	PosixLock *l = (PosixLock *) (void *) lock;
	pthread_rwlockattr_t attr;
	int rc;

	rc = pthread_rwlockattr_init(&attr);
	assert(rc == 0);
	rc = pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	assert(rc == 0);

	/* Writers do not starve; nobody takes the same lock twice. */
	rc = pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	assert(rc == 0);
	rc = pthread_rwlock_init(&l->u.rwlock, &attr);
	assert(rc == 0);
	(void) rc;
	(void) pthread_rwlockattr_destroy(&attr);
	l->rank = (uint32_t) rank;
	l->robust = 0;
}

void
port_lock_exclusive(PortLock *lock)
{
	PosixLock *l = (PosixLock *) (void *) lock;
	int rc;

	assert_rank(l);
	rc = pthread_rwlock_wrlock(&l->u.rwlock);
	assert(rc == 0);
	(void) rc;
	note_acquired(l);
}

void
port_lock_shared(PortLock *lock)
{
	PosixLock *l = (PosixLock *) (void *) lock;
	int rc;

	assert_rank(l);

	/* EAGAIN: too many readers at this moment. */
	while ((rc = pthread_rwlock_rdlock(&l->u.rwlock)) == EAGAIN)
		port_sleep_us(1000);
	assert(rc == 0);
	(void) rc;
	note_acquired(l);
}

bool
port_lock_try_exclusive(PortLock *lock)
{
	PosixLock *l = (PosixLock *) (void *) lock;

	if (pthread_rwlock_trywrlock(&l->u.rwlock) != 0)
		return false;
	note_acquired(l);
	return true;
}

void
port_lock_release(PortLock *lock)
{
	PosixLock *l = (PosixLock *) (void *) lock;
	int rc;

	note_released(l);
	rc = l->robust != 0 ? pthread_mutex_unlock(&l->u.mutex) : pthread_rwlock_unlock(&l->u.rwlock);
	assert(rc == 0);
	(void) rc;
}

void
port_lock_init_robust(PortLock *lock, PortLockRank rank)
{
	PosixLock *l = (PosixLock *) (void *) lock;
	pthread_mutexattr_t attr;
	int rc;

	rc = pthread_mutexattr_init(&attr);
	assert(rc == 0);
	rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	assert(rc == 0);
	rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	assert(rc == 0);
	rc = pthread_mutex_init(&l->u.mutex, &attr);
	assert(rc == 0);
	(void) rc;
	(void) pthread_mutexattr_destroy(&attr);
	l->rank = (uint32_t) rank;
	l->robust = 1;
	l->dead = 0;
}

static inline void
pause_a_moment(void)
{
	unsigned i;

	for (i = 0; i < ROBUST_PAUSES; i++)
	{
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#endif
	}
}

/*
 * A robust mutex that is let go of without being called consistent cannot be had again.  But an attempt to take it then
 * may leave it looking taken (glibc's trylock does), so the lock has a mark of its own; and whoever waits looks at the
 * mark now and then.
 */
PortLockResult
port_lock_robust(PortLock *lock, bool wait)
{
	PosixLock *l = (PosixLock *) (void *) lock;
	unsigned looks;
	int rc;

	assert(l->robust != 0);
	if (port_load_acquire(&l->dead) != 0)
		return PORT_LOCK_DEAD;
	rc = pthread_mutex_trylock(&l->u.mutex);
	if (rc == EBUSY && !wait)
		return PORT_LOCK_BUSY;
	if (rc == EBUSY)
		assert_rank(l);
	for (looks = 1; rc == EBUSY && looks < ROBUST_LOOKS; looks++)
	{
		pause_a_moment();
		rc = pthread_mutex_trylock(&l->u.mutex);
	}
	while (rc == EBUSY || rc == ETIMEDOUT)
	{
		struct timespec until;

		if (port_load_acquire(&l->dead) != 0)
			return PORT_LOCK_DEAD;
		(void) clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += ROBUST_WAIT_SECONDS;
		rc = pthread_mutex_timedlock(&l->u.mutex, &until);
	}
	if (rc == 0)
	{
		note_acquired(l);
		return PORT_LOCK_TAKEN;
	}
	port_store_release(&l->dead, 1);
	if (rc == EOWNERDEAD)
		(void) pthread_mutex_unlock(&l->u.mutex);
	return PORT_LOCK_DEAD;
}

/* ---- waiting ---- */

/*
 * A waiter reads the generation in prepare, then tests its predicate; a
 * broadcast after that read changes the generation, so the waiter's futex call
 * returns at once.  The broadcaster changes the predicate before it calls.
 */
typedef struct PosixCond
{
	uint32_t generation;
	uint32_t waiters; /* a hint that spares system calls; too high after a waiter was killed */
} PosixCond;

_Static_assert(sizeof(PosixCond) <= sizeof(PortCond), "PortCond is too small");

static _Thread_local PosixCond *prepared_cond;
static _Thread_local uint32_t prepared_generation;

/* An interrupt is noticed after at most this long. */
#define WAIT_SLICE_US UINT64_C(50000)

static bool interrupted;

void
port_cond_init(PortCond *cond)
{
	PosixCond *c = (PosixCond *) (void *) cond;

	c->generation = 0;
	c->waiters = 0;
}

void
port_cond_prepare(PortCond *cond)
{
	PosixCond *c = (PosixCond *) (void *) cond;

	if (prepared_cond != NULL)
		port_fetch_sub(&prepared_cond->waiters, 1);
	prepared_cond = c;
	port_fetch_add(&c->waiters, 1);
	prepared_generation = port_load_seq(&c->generation);
}

NvmkvStatus
port_cond_wait(PortCond *cond, int timeout_ms)
{
	PosixCond *c = (PosixCond *) (void *) cond;
	uint64_t deadline = timeout_ms < 0 ? UINT64_MAX : port_now_us() + (uint64_t) timeout_ms * 1000;

	assert(held_count == 0);
	if (prepared_cond != c)
	{
		/* Not prepared, or another wait came between: the caller must test its predicate once more. */
		port_cond_prepare(cond);
		return port_interrupted() ? NVMKV_FAIL(NVMKV_CANCELLED, "interrupted") : NVMKV_OK;
	}
	for (;;)
	{
		uint64_t now;
		uint64_t slice_us = WAIT_SLICE_US;
		uint32_t generation;
		struct timespec ts;

		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "interrupted");
		generation = port_load_seq(&c->generation);
		if (generation != prepared_generation)
		{
			prepared_generation = generation;
			return NVMKV_OK;
		}
		now = port_now_us();
		if (now >= deadline)
			return NVMKV_OK;
		if (slice_us > deadline - now)
			slice_us = deadline - now;
		ts.tv_sec = 0;
		ts.tv_nsec = (long) (slice_us * 1000);
		(void) syscall(SYS_futex, &c->generation, FUTEX_WAIT, prepared_generation, &ts, NULL, 0);
	}
}

void
port_cond_finish(PortCond *cond)
{
	PosixCond *c = (PosixCond *) (void *) cond;

	if (prepared_cond != c)
		return;
	port_fetch_sub(&c->waiters, 1);
	prepared_cond = NULL;
}

void
port_cond_broadcast(PortCond *cond)
{
	PosixCond *c = (PosixCond *) (void *) cond;

	port_fetch_add(&c->generation, 1);
	if (port_load_seq(&c->waiters) > 0)
		(void) syscall(SYS_futex, &c->generation, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- processes ---- */

static _Thread_local int process_slot;

void
port_posix_set_slot(int slot)
{
	process_slot = slot;
}

int
port_process_slot(void)
{
	return process_slot;
}

void
port_posix_set_interrupted(bool value)
{
	port_store_release(&interrupted, value);
}

bool
port_interrupted(void)
{
	return port_load_relaxed(&interrupted);
}

void
port_sleep_us(uint64_t us)
{
	struct timespec ts;

	ts.tv_sec = (time_t) (us / 1000000);
	ts.tv_nsec = (long) (us % 1000000 * 1000);
	(void) nanosleep(&ts, NULL);
}

/* ---- logging ---- */

static bool log_enabled;
static PortLogLevel log_level;

void
port_posix_log_from(PortLogLevel level)
{
	log_level = level;
	log_enabled = true;
}

void
port_log(PortLogLevel level, const char *fmt, ...)
{
	static const char *const names[] = {"debug", "info", "warning"};
	char text[NVMKV_ERROR_TEXT_MAX * 2];
	va_list args;

	if (!log_enabled || level < log_level)
		return;
	va_start(args, fmt);
	(void) vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	/* One call, one line: processes share stderr. */
	(void) fprintf(stderr, "nvmkv[%d] %s: %s\n", (int) getpid(), names[level], text);
}

/* ---- descriptors: only the kernel's limit ---- */

bool
port_fd_acquire(void)
{
	return true;
}

void
port_fd_release(void)
{
}

/* ---- shared memory ---- */

void *
port_posix_shared_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
port_posix_shared_free(void *p, size_t size)
{
	if (p != NULL)
		(void) munmap(p, size);
}
