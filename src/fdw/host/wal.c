/*
 * wal.c
 *	  PostgreSQL's WAL as the engine's log: see wal.h.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xloginsert.h"
#include "access/xlogrecovery.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "fdw/host/wal.h"

typedef struct WalShared
{
	pg_atomic_uint64 earlier; /* 0: nothing is replayed that comes before the log */
} WalShared;

static WalShared *shared;
static NvmkvSlice batch_note;

void
nvmkv_wal_shmem_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(WalShared)));
}

void
nvmkv_wal_shmem_init(void)
{
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("nvmkv log", sizeof(WalShared), &found);
	if (!found)
		pg_atomic_init_u64(&shared->earlier, 0);
	LWLockRelease(AddinShmemInitLock);
}

void
nvmkv_wal_set_earlier(XLogRecPtr position)
{
	pg_atomic_write_u64(&shared->earlier, position);
}

/* ---------------------------------------------------------------- log operations */

static XLogRecPtr
insert_record(uint8 info, const void *data, size_t size)
{
	Assert(size > 0); /* the server asks it of all records */
	XLogBeginInsert();
	XLogRegisterData((char *) unconstify(void *, data), (uint32) size);
	return XLogInsert(NVMKV_RMGR_ID, info);
}

static XLogRecPtr
insert_fence(void)
{
	static const uint8 filling = 0;

	return insert_record(XLOG_NVMKV_FENCE, &filling, sizeof(filling));
}

/* Replicas are told where a change has come from, as of those of other tables. */
static XLogRecPtr
insert_changes(NvmkvSlice batch, NvmkvSlice note)
{
	uint32 batch_size = (uint32) batch.size;

	XLogBeginInsert();
	XLogRegisterData((char *) &batch_size, sizeof(batch_size));
	if (batch.size > 0)
		XLogRegisterData((char *) unconstify(uint8_t *, batch.data), batch_size);
	XLogRegisterData((char *) unconstify(uint8_t *, note.data), (uint32) note.size);
	XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
	return XLogInsert(NVMKV_RMGR_ID, XLOG_NVMKV_CHANGES);
}

static NvmkvStatus
wal_append(void *ctx, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
	if (batch_note.size > 0)
		*last_sequence_out = insert_changes(batch, batch_note);
	else
		*last_sequence_out = insert_record(XLOG_NVMKV_WRITE, batch.data, batch.size);
	return NVMKV_OK;
}

/*
 * For "all there is" a fence is inserted and flushed: the position of the last
 * record is not known, and the insert position may lie behind a page header
 * that has not been written.  In recovery WAL is on disk before it is
 * replayed; flushing moves the minimum recovery point, so that a standby does
 * not serve queries with files from ahead of its WAL.
 */
static NvmkvStatus
wal_flush(void *ctx, uint64_t sequence)
{
	if (RecoveryInProgress())
		XLogFlush(sequence == NVMKV_SEQUENCE_MAX ? GetXLogReplayRecPtr(NULL) : sequence);
	else if (sequence == NVMKV_SEQUENCE_MAX)
		XLogFlush(insert_fence());
	else
		XLogFlush(sequence);
	return NVMKV_OK;
}

/*
 * In recovery: the end of the last record that was replayed whole, which is not behind the one being replayed.  The
 * same of what comes before the log, while that is replayed.
 */
static uint64_t
wal_position(void *ctx)
{
	XLogRecPtr earlier = pg_atomic_read_u64(&shared->earlier);

	if (earlier != 0)
		return earlier;
	return RecoveryInProgress() ? GetXLogReplayRecPtr(NULL) : GetXLogInsertRecPtr();
}

const NvmkvLogOps *
nvmkv_wal_ops(void)
{
	static const NvmkvLogOps ops = {NULL, wal_append, wal_flush, wal_position};

	return &ops;
}

void
nvmkv_wal_set_note(NvmkvSlice note)
{
	batch_note = note;
}

void
nvmkv_wal_note(NvmkvSlice note)
{
	(void) insert_changes(nvmkv_slice(NULL, 0), note);
}

bool
nvmkv_wal_changes(NvmkvSlice data, NvmkvSlice *batch_out, NvmkvSlice *note_out)
{
	uint32 batch_size;

	if (data.size < sizeof(batch_size))
		return false;
	memcpy(&batch_size, data.data, sizeof(batch_size));
	if (batch_size > data.size - sizeof(batch_size))
		return false;
	*batch_out = nvmkv_slice(data.data + sizeof(batch_size), batch_size);
	*note_out = nvmkv_slice(batch_out->data + batch_size, data.size - sizeof(batch_size) - batch_size);
	return true;
}

uint8
nvmkv_wal_replayed(uint8 info, NvmkvSlice data, NvmkvSlice *data_out)
{
	NvmkvSlice note;

	*data_out = data;
	if (info != XLOG_NVMKV_CHANGES)
		return info;
	/* The malformed goes on as a batch that is malformed. */
	if (nvmkv_wal_changes(data, data_out, &note) && data_out->size == 0)
		return XLOG_NVMKV_FENCE;
	return XLOG_NVMKV_WRITE;
}

uint64
nvmkv_wal_new_storage_id(void)
{
	/* An id gives the transaction a WAL record, and the row that stores the id gives it a transaction id. */
	return insert_fence();
}

void
nvmkv_wal_family_created(const NvmkvFamilyInfo *info)
{
	(void) insert_record(XLOG_NVMKV_FAMILY, info, sizeof(*info));
}

void
nvmkv_wal_family_reshaped(const NvmkvFamilyInfo *info)
{
	XLogFlush(insert_record(XLOG_NVMKV_FAMILY, info, sizeof(*info)));
}

void
nvmkv_wal_family_dropped(uint32 id)
{
	XLogFlush(insert_record(XLOG_NVMKV_DROP_FAMILY, &id, sizeof(id)));
}

void
nvmkv_wal_advance(XLogRecPtr to)
{
	static const char nothing[8192];
	XLogRecPtr at;

	while ((at = GetXLogInsertRecPtr()) < to)
		insert_record(XLOG_NVMKV_FENCE, nothing, Min(to - at, sizeof(nothing)));
}

void
nvmkv_wal_checkpoint(uint64 durable_seq)
{
	XLogBeginInsert();
	XLogRegisterData((char *) &durable_seq, sizeof(durable_seq));
	XLogSetRecordFlags(XLOG_MARK_UNIMPORTANT); /* an idle server needs no other checkpoint because of it */
	XLogFlush(XLogInsert(NVMKV_RMGR_ID, XLOG_NVMKV_CHECKPOINT));
}
