/*
 * port.h
 *	  What the engine needs of its host: memory, locks, waits, processes, time,
 *	  files.
 *
 * Link-time: port_posix.c serves the library and the tests, port_pg.c the
 * server.  Nothing here raises: port_pg.c holds interrupts off where the
 * server's calls would run them.
 */
#ifndef NVMKV_PORT_PORT_H
#define NVMKV_PORT_PORT_H

#include <stdarg.h>
#include <sys/types.h>

#include "engine/base/slice.h"

/* ---- process memory: malloc underneath; NULL when there is none ---- */
extern void *port_alloc(size_t size);
extern void *port_alloc_zero(size_t size);
extern void *port_realloc(void *p, size_t size);
extern void port_free(void *p);

/* ---- locks in shared memory ---- */

/*
 * Ranks, in the order of acquisition; debug builds assert it.  CONTRIBUTING.md has them in a table, with what else is
 * locked.
 */
typedef enum PortLockRank
{
	PORT_RANK_HOST,      /* a lock of the host's own */
	PORT_RANK_JOB,       /* who may flush / compact */
	PORT_RANK_MANIFEST,  /* who may change the version */
	PORT_RANK_MEMTABLES, /* who may switch memtables */
	PORT_RANK_EXTENTS,   /* bitmap of the pool */
	PORT_RANK_LOG_ROTATE, /* standalone log: who ends its file */
	PORT_RANK_LOG_SYNC,   /* standalone log: who syncs */
	PORT_RANK_LOG,        /* standalone log: who appends */
	PORT_RANK_LOG_WRITE,  /* standalone log: who writes the file */
	PORT_RANK_EMPTIED,    /* ranges that scans leap over */
	PORT_RANK_CACHE      /* a shard of the block cache: only ever tried */
} PortLockRank;

typedef struct PortLock
{
	_Alignas(64) unsigned char opaque[64];
} PortLock;

extern void port_lock_init(PortLock *lock, PortLockRank rank);
extern void port_lock_exclusive(PortLock *lock);
extern void port_lock_shared(PortLock *lock);
extern bool port_lock_try_exclusive(PortLock *lock);
extern void port_lock_release(PortLock *lock);

/*
 * An exclusive lock whose next owner learns that a process died while it held it.  From then on nobody gets it, and
 * nobody waits for it.  (In the server such a death restarts everything, so there is none to learn of.)
 */
typedef enum PortLockResult
{
	PORT_LOCK_TAKEN,
	PORT_LOCK_BUSY, /* without "wait" */
	PORT_LOCK_DEAD
} PortLockResult;

extern void port_lock_init_robust(PortLock *lock, PortLockRank rank);
extern PortLockResult port_lock_robust(PortLock *lock, bool wait); /* release as any lock */

/* ---- waiting in shared memory ---- */
typedef struct PortCond
{
	_Alignas(64) unsigned char opaque[128];
} PortCond;

extern void port_cond_init(PortCond *cond);

/*
 * Pattern:
 *	  port_cond_prepare(c);
 *	  while (!predicate)
 *		  if ((st = port_cond_wait(c, ms)) != NVMKV_OK) break;
 *	  port_cond_finish(c);
 * wait returns OK after a wake-up or the timeout (check the predicate), CANCELLED when port_interrupted() became true.
 * Hold no lock and be in no epoch while waiting.
 */
extern void port_cond_prepare(PortCond *cond);
extern NvmkvStatus port_cond_wait(PortCond *cond, int timeout_ms);
extern void port_cond_finish(PortCond *cond);
extern void port_cond_broadcast(PortCond *cond);

/* ---- processes ---- */

/* This process's slot number, 0 .. slots-1, unique among living processes (server: pgprocno; -1 in the postmaster). */
extern int port_process_slot(void);

/* Did the host ask this process to stop what it is doing? Long loops ask. */
extern bool port_interrupted(void);

extern uint64_t port_now_us(void);      /* monotonic */
extern uint64_t port_clock_us(void);    /* wall clock, microseconds since 1970 */
extern void port_sleep_us(uint64_t us); /* short naps of background work only */

typedef enum PortLogLevel
{
	PORT_LOG_DEBUG,
	PORT_LOG_INFO,
	PORT_LOG_WARNING
} PortLogLevel;

/* A line for the server's log (stderr in the library, if enabled). */
extern void port_log(PortLogLevel level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* File descriptors count against the host's limit. */
extern bool port_fd_acquire(void);
extern void port_fd_release(void);

/*
 * Whoever keeps files open only because they may be needed again: closes one of them; false when there is none.
 * NULL: nobody does.
 */
extern bool (*port_fd_give_up)(void);

/* ---- files ---- */
typedef struct PortFile PortFile; /* process-local open file */

#define PORT_FILE_READ 0x1
#define PORT_FILE_WRITE 0x2
#define PORT_FILE_CREATE 0x4    /* may create */
#define PORT_FILE_EXCLUSIVE 0x8 /* must create */
#define PORT_FILE_TRUNCATE 0x10

/*
 * A table of functions, so that tests can wrap it (faults, power loss).
 * All names are paths.  IO errors carry the errno and the name; ENOSPC/EDQUOT/EFBIG become NVMKV_NO_SPACE.
 */
typedef struct PortFileOps
{
	NvmkvStatus (*open)(const char *path, int flags, PortFile **file_out);         /* NOT_FOUND without CREATE */
	NvmkvStatus (*read)(PortFile *file, uint64_t offset, void *data, size_t size); /* exact, or CORRUPTION */
	NvmkvStatus (*read_some)(PortFile *file, uint64_t offset, void *data, size_t size, size_t *got_out);
	NvmkvStatus (*write)(PortFile *file, uint64_t offset, const void *data, size_t size);
	NvmkvStatus (*preallocate)(PortFile *file, uint64_t size); /* grow to size with real blocks */
	NvmkvStatus (*sync)(PortFile *file);                       /* data and what is needed to find it */
	NvmkvStatus (*size)(PortFile *file, uint64_t *size_out);
	NvmkvStatus (*truncate)(PortFile *file, uint64_t size);
	void (*close)(PortFile *file);
	NvmkvStatus (*unlink)(const char *path);                 /* absent is OK */
	NvmkvStatus (*rename)(const char *from, const char *to); /* durable: file, rename, directory are synced */
	NvmkvStatus (*mkdir)(const char *path);                  /* existing is OK; parent synced */
	NvmkvStatus (*sync_dir)(const char *path);
	NvmkvStatus (*list)(const char *dir, bool (*each)(void *ctx, const char *name), void *ctx); /* false stops */

	/*
	 * Has the medium begin to write what was written to the range; "wait": returns when it has.  Spares a later sync the
	 * work and makes nothing durable.  A failure it meets is reported by it, and not by sync.  NULL: there is no such
	 * thing.
	 */
	NvmkvStatus (*write_behind)(PortFile *file, uint64_t offset, uint64_t size, bool wait);

	/* A shared map for reading, for port_map.h.  NULL, as is what it returns then: the file cannot be mapped. */
	void *(*map)(PortFile *file, uint64_t bytes);
} PortFileOps;

extern const PortFileOps port_posix_files;
extern const PortFileOps *port_files; /* in use: &port_posix_files unless a test replaced it */

/* Is there such a file, which can be opened? */
static inline bool
port_can_open(const char *path)
{
	PortFile *file;

	if (port_files->open(path, PORT_FILE_READ, &file) != NVMKV_OK)
		return false;
	port_files->close(file);
	return true;
}

static inline NvmkvStatus
port_write_behind(PortFile *file, uint64_t offset, uint64_t size, bool wait)
{
	return port_files->write_behind != NULL ? port_files->write_behind(file, offset, size, wait) : NVMKV_OK;
}

/* Permissions of what is created; the host may widen them before it opens a database. */
extern mode_t port_file_mode;
extern mode_t port_dir_mode;

/* The descriptor under a file, for mmap. */
extern int port_file_fd(PortFile *file);
extern const char *port_file_path(PortFile *file);

/* ---- fault points ---- */

/* When set (tests), called at every named step; may return a failure or end the process. */
extern NvmkvStatus (*port_fault_hook)(const char *point);

static inline NvmkvStatus
port_fault(const char *point)
{
	return __builtin_expect(port_fault_hook != NULL, 0) ? port_fault_hook(point) : NVMKV_OK;
}

/* ---- atomics on shared memory (C11 semantics, plain integer types) ---- */
#define port_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define port_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define port_load_seq(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define port_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define port_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define port_store_seq(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define port_fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define port_fetch_sub(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define port_count(p, v) ((void) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)) /* statistics */

typedef uint64_t __attribute__((may_alias)) PortWord;

/*
 * Copies out of (into) shared memory, word by word and each word at once, while others may do the same.  Multiples of
 * 8 bytes, aligned.
 */
static inline void
port_load_words(void *to, const void *from, size_t size)
{
	size_t i;

	for (i = 0; i < size / sizeof(PortWord); i++)
		((PortWord *) to)[i] = port_load_relaxed((const PortWord *) from + i);
}

static inline void
port_store_words(void *to, const void *from, size_t size)
{
	size_t i;

	for (i = 0; i < size / sizeof(PortWord); i++)
		port_store_relaxed((PortWord *) to + i, ((const PortWord *) from)[i]);
}

#endif
