/*
 * wal.c
 *	  Resource manager and log operations: see wal.h.
 */
#include "postgres.h"

#include "access/rmgr.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xloginsert.h"
#include "access/xlogreader.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_control.h"
#include "lib/stringinfo.h"

#include "engine/base/batch.h"
#include "fdw/agreement.h"
#include "fdw/copy.h"
#include "fdw/engine.h"
#include "fdw/family.h"
#include "fdw/settle.h"
#include "fdw/wal.h"

/* ---------------------------------------------------------------- log operations */

static XLogRecPtr
insert_record(uint8 info, const void *data, size_t size)
{
	XLogBeginInsert();
	if (size > 0)
		XLogRegisterData((char *) unconstify(void *, data), (uint32) size);
	return XLogInsert(NVMKV_RMGR_ID, info);
}

static NvmkvStatus
wal_append(void *ctx, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
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
		XLogFlush(insert_record(XLOG_NVMKV_FENCE, NULL, 0));
	else
		XLogFlush(sequence);
	return NVMKV_OK;
}

/* In recovery: the end of the last record that was replayed whole, which is not behind the one being replayed. */
static uint64_t
wal_position(void *ctx)
{
	return RecoveryInProgress() ? GetXLogReplayRecPtr(NULL) : GetXLogInsertRecPtr();
}

const NvmkvLogOps *
nvmkv_wal_ops(void)
{
	static const NvmkvLogOps ops = {NULL, wal_append, wal_flush, wal_position};

	return &ops;
}

uint64
nvmkv_wal_new_storage_id(void)
{
	/* An id gives the transaction a WAL record, and the row that stores the id gives it a transaction id. */
	return insert_record(XLOG_NVMKV_FENCE, NULL, 0);
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

/* ---------------------------------------------------------------- redo */

static void
redo_failed(NvmkvStatus status, const char *what, XLogRecPtr lsn)
{
	if (status == NVMKV_LIMIT)
		ereport(FATAL,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("could not %s foreign-table WAL at %X/%X", what, LSN_FORMAT_ARGS(lsn)),
				 errdetail("%s", nvmkv_error()->text),
				 errhint("It was written with a larger nvmkv.write_buffer_size: restore that setting and start again.")));
	if (status != NVMKV_OK)
		ereport(FATAL,
				(errcode(status == NVMKV_NO_SPACE ? ERRCODE_DISK_FULL : ERRCODE_DATA_CORRUPTED),
				 errmsg("could not %s foreign-table WAL at %X/%X", what, LSN_FORMAT_ARGS(lsn)),
				 errdetail("%s", nvmkv_error()->text),
				 status == NVMKV_LIMIT ? errhint("Increase nvmkv.write_buffer_size to what it was when this was written.") : 0));
}

static void
redo_write(NvmkvDb *db, XLogReaderState *record)
{
	NvmkvSlice batch = nvmkv_slice(XLogRecGetData(record), XLogRecGetDataLen(record));
	const uint8_t *cursor;
	uint32_t count;

	if (record->ReadRecPtr < nvmkv_durable_seq(db))
		return;
	redo_failed(nvmkv_batch_open(batch, &count, &cursor), "read", record->ReadRecPtr);
	redo_failed(nvmkv_replay(db, batch, record->EndRecPtr - count + 1), "replay", record->ReadRecPtr);
}

static void
redo_family(XLogReaderState *record)
{
	NvmkvFamilyInfo info;

	memcpy(&info, XLogRecGetData(record), sizeof(info));
	nvmkv_family_redo_create(&info, record->ReadRecPtr);
}

static void
redo_drop_family(XLogReaderState *record)
{
	uint32 id;

	memcpy(&id, XLogRecGetData(record), sizeof(id));
	nvmkv_family_redo_drop(id, record->ReadRecPtr);
}

static void
rmgr_redo(XLogReaderState *record)
{
	uint8 info = XLogRecGetInfo(record) & ~XLR_INFO_MASK;
	NvmkvDb *db = nvmkv_engine_for_redo();

	nvmkv_agreement_before_redo(db, record->ReadRecPtr);
	switch (info)
	{
		case XLOG_NVMKV_WRITE:
			redo_write(db, record);
			break;
		case XLOG_NVMKV_FENCE:
			break;
		case XLOG_NVMKV_FAMILY:
			redo_family(record);
			break;
		case XLOG_NVMKV_DROP_FAMILY:
			redo_drop_family(record);
			break;
		case XLOG_NVMKV_CHECKPOINT:
			redo_failed(nvmkv_flush_all(db), "flush", record->ReadRecPtr);
			break;
		case XLOG_NVMKV_OUTCOMES:
			redo_failed(nvmkv_settle_redo(db, record), "replay", record->ReadRecPtr);
			break;
		default:
			elog(PANIC, "nvmkv_fdw: unknown WAL record type %u", info);
	}
}

static void
rmgr_desc(StringInfo buf, XLogReaderState *record)
{
	uint8 info = XLogRecGetInfo(record) & ~XLR_INFO_MASK;

	if (info == XLOG_NVMKV_WRITE)
	{
		const uint8_t *cursor;
		uint32_t count;

		if (nvmkv_batch_open(nvmkv_slice(XLogRecGetData(record), XLogRecGetDataLen(record)), &count, &cursor) ==
			NVMKV_OK)
			appendStringInfo(buf, "entries %u", count);
	}
	else if (info == XLOG_NVMKV_FAMILY)
	{
		NvmkvFamilyInfo family;

		memcpy(&family, XLogRecGetData(record), sizeof(family));
		appendStringInfo(buf, "family %u %s", family.id, family.name);
	}
	else if (info == XLOG_NVMKV_DROP_FAMILY)
	{
		uint32 id;

		memcpy(&id, XLogRecGetData(record), sizeof(id));
		appendStringInfo(buf, "family %u", id);
	}
	else if (info == XLOG_NVMKV_OUTCOMES)
		nvmkv_settle_desc(buf, record);
	else if (info == XLOG_NVMKV_CHECKPOINT)
	{
		uint64 durable_seq;

		memcpy(&durable_seq, XLogRecGetData(record), sizeof(durable_seq));
		appendStringInfo(buf, "durable %X/%X", LSN_FORMAT_ARGS(durable_seq));
	}
}

static const char *
rmgr_identify(uint8 info)
{
	switch (info & ~XLR_INFO_MASK)
	{
		case XLOG_NVMKV_WRITE:
			return "WRITE";
		case XLOG_NVMKV_FENCE:
			return "FENCE";
		case XLOG_NVMKV_CHECKPOINT:
			return "CHECKPOINT";
		case XLOG_NVMKV_FAMILY:
			return "FAMILY";
		case XLOG_NVMKV_DROP_FAMILY:
			return "DROP_FAMILY";
		case XLOG_NVMKV_OUTCOMES:
			return "OUTCOMES";
	}
	return NULL;
}

/*
 * The end of recovery: the checkpoint that follows has no barrier, so
 * everything replayed must be in rows and tables now.
 */
static void
rmgr_cleanup(void)
{
	NvmkvDb *db = nvmkv_engine_or_null();

	if (db != NULL)
	{
		nvmkv_agreement_check_end(db, GetXLogReplayRecPtr(NULL));
		redo_failed(nvmkv_flush_all(db), "flush", GetXLogReplayRecPtr(NULL));
		redo_failed(nvmkv_log_closes(db), "flush", GetXLogReplayRecPtr(NULL));
	}
	nvmkv_settle_guard_lower(nvmkv_engine_or_null());
}

static void
rmgr_startup(void)
{
	nvmkv_settle_guard_lift();
}

/*
 * A standby may make a restartpoint of each checkpoint record it has replayed,
 * and nobody asks us then; a restart begins there.  So before such a record
 * counts, what lies below its redo point is flushed.  Most often a CHECKPOINT
 * record of ours has just seen to that; but the checkpoints at the end of
 * recovery and at shutdown have none before them.
 */
static void (*server_xlog_redo) (XLogReaderState *record);

static void
xlog_redo_after_flush(XLogReaderState *record)
{
	uint8 info = XLogRecGetInfo(record) & ~XLR_INFO_MASK;
	NvmkvDb *db = nvmkv_engine_or_null();

	if (db != NULL && (info == XLOG_CHECKPOINT_SHUTDOWN || info == XLOG_CHECKPOINT_ONLINE))
	{
		CheckPoint checkpoint;

		memcpy(&checkpoint, XLogRecGetData(record), sizeof(checkpoint));
		nvmkv_copies_before_redo(db, checkpoint.redo);
		if (nvmkv_durable_seq(db) < checkpoint.redo)
			redo_failed(nvmkv_flush_all(db), "flush", record->ReadRecPtr);
		redo_failed(nvmkv_save_outcomes(db), "save outcomes of", record->ReadRecPtr);
		redo_failed(nvmkv_log_let_go(db, checkpoint.redo), "flush", record->ReadRecPtr);
	}
	server_xlog_redo(record);
}

static const RmgrData nvmkv_rmgr = {
	.rm_name = "nvmkv_fdw",
	.rm_redo = rmgr_redo,
	.rm_desc = rmgr_desc,
	.rm_identify = rmgr_identify,
	.rm_startup = rmgr_startup,
	.rm_cleanup = rmgr_cleanup,
};

void
nvmkv_wal_init(void)
{
	RegisterCustomRmgr(NVMKV_RMGR_ID, unconstify(RmgrData *, &nvmkv_rmgr));
	server_xlog_redo = RmgrTable[RM_XLOG_ID].rm_redo;
	RmgrTable[RM_XLOG_ID].rm_redo = xlog_redo_after_flush;
}
