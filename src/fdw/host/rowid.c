/*
 * rowid.c
 *	  The counter of hidden row ids.
 *
 * An id must never be used twice, also after a crash, and nothing is stored.
 * The counter starts at a sixteenth of the log's insert position, plus a
 * margin, and no id is given out above what this sum is at that moment.  The
 * row's own log record comes later and takes more than 16 bytes: a restart that
 * finds the row in the log begins above its id.
 *
 * Rows take much more than 16 bytes, so the log runs away from the counter.
 * Only ids that stay unwritten - the write was refused, or has not come yet -
 * let the counter catch up; then the log is filled to keep the distance.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "fdw/host/rowid.h"
#include "fdw/host/wal.h"

#define LOG_BYTES_PER_ID 16
#define START_MARGIN (UINT64CONST(16) * 1024 * 1024) /* ids */
#define ROWID_LIMIT (UINT64CONST(0xffffffff) * 65535) /* what a ctid can carry */

typedef struct RowIdShared
{
	pg_atomic_uint64 next;	/* 0: not started */
	pg_atomic_uint64 limit; /* ids up to it may be given out; what id_limit() once was */
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
	{
		pg_atomic_init_u64(&shared->next, 0);
		pg_atomic_init_u64(&shared->limit, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

/* The largest id that may be the first of those given out now, and the first one after a restart. */
static uint64
id_limit(void)
{
	return GetXLogInsertRecPtr() / LOG_BYTES_PER_ID + START_MARGIN;
}

/* Returns when the limit is not below this id. */
static void
raise_limit(uint64 id)
{
	if (id_limit() < id)
		nvmkv_wal_advance((id - START_MARGIN + 1) * LOG_BYTES_PER_ID);
	/* Racy: a smaller value only lets the next one look again. */
	pg_atomic_write_u64(&shared->limit, id_limit());
}

uint64
nvmkv_rowid_allocate(uint32 count)
{
	uint64 first;

	if (unlikely(pg_atomic_read_u64(&shared->next) == 0))
	{
		uint64 nothing = 0;
		uint64 start = id_limit();

		/* Whoever comes second takes the first one's start. */
		(void) pg_atomic_compare_exchange_u64(&shared->next, &nothing, start);
	}
	first = pg_atomic_fetch_add_u64(&shared->next, count);
	if (unlikely(first + count > ROWID_LIMIT))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("no more row ids for foreign tables without a primary key")));
	if (unlikely(first > pg_atomic_read_u64(&shared->limit)))
		raise_limit(first);
	return first;
}
