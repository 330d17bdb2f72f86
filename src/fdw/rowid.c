/*
 * rowid.c
 *	  The counter of hidden row ids.
 *
 * An id must never be used twice, also after a crash, and nothing is stored.
 * The counter starts at a sixteenth of the log's insert position and each
 * row that is written costs more than 16 bytes of log: so the log, divided by
 * 16, overtakes the counter as rows are written, and a restart that begins at
 * the log's end begins above every id that is in use.  Ids that are given out
 * but not in the log yet when another process's are would break this; there
 * are at most NVMKV_LATCH_SET_MAX a process, because ids are taken right before the
 * write, and START_MARGIN covers them.  An id that stays unused for good
 * (the write was refused) eats from the margin; writes are refused before
 * ids are taken wherever that is known.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "fdw/rowid.h"

#define LOG_BYTES_PER_ID 16
#define START_MARGIN (UINT64CONST(16) * 1024 * 1024) /* ids */
#define ROWID_LIMIT (UINT64CONST(0xffffffff) * 65535) /* what a ctid can carry */

typedef struct RowIdShared
{
	pg_atomic_uint64 next; /* 0: not started */
} RowIdShared;

static RowIdShared *shared;

void
nvmkv_rowid_shmem_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(RowIdShared)));
}

void
nvmkv_rowid_shmem_init(void)
{
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("nvmkv row ids", sizeof(RowIdShared), &found);
	if (!found)
		pg_atomic_init_u64(&shared->next, 0);
	LWLockRelease(AddinShmemInitLock);
}

uint64
nvmkv_rowid_allocate(uint32 count)
{
	uint64 first;

	if (unlikely(pg_atomic_read_u64(&shared->next) == 0))
	{
		uint64 nothing = 0;
		uint64 start = GetXLogInsertRecPtr() / LOG_BYTES_PER_ID + START_MARGIN;

		/* Whoever comes second takes the first one's start. */
		(void) pg_atomic_compare_exchange_u64(&shared->next, &nothing, start);
	}
	first = pg_atomic_fetch_add_u64(&shared->next, count);
	if (unlikely(first + count > ROWID_LIMIT))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("no more row ids for foreign tables without a primary key")));
	return first;
}
