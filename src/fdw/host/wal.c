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
#include "fdw/host/agreement.h"
#include "fdw/host/copy.h"
#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/kept.h"
#include "fdw/host/settle.h"
#include "fdw/host/wal.h"

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

/*
 * In recovery: the end of the last record that was replayed whole, which is not behind the one being replayed.  The
 * same of what was kept, while that is replayed.
 */
static uint64_t
wal_position(void *ctx)
{
	XLogRecPtr kept = nvmkv_kept_position();

	if (kept != 0)
		return kept;
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

static NvmkvStatus
apply_write(NvmkvDb *db, XLogRecPtr start, XLogRecPtr end, NvmkvSlice batch)
{
	const uint8_t *cursor;
	uint32_t count;

	if (start < nvmkv_durable_seq(db))
		return NVMKV_OK;
	NVMKV_RETURN_IF(nvmkv_batch_open(batch, &count, &cursor));
	return nvmkv_replay(db, batch, end - count + 1);
}

NvmkvStatus
nvmkv_wal_apply(NvmkvDb *db, uint8 info, XLogRecPtr start, XLogRecPtr end, NvmkvSlice data)
{
	switch (info)
	{
		case XLOG_NVMKV_WRITE:
			return apply_write(db, start, end, data);
		case XLOG_NVMKV_FAMILY:
		{
			NvmkvFamilyInfo family;

			memcpy(&family, data.data, sizeof(family));
			return nvmkv_family_redo_create(db, &family);
		}
		case XLOG_NVMKV_OUTCOMES:
			return nvmkv_settle_redo(db, data, end);
		case XLOG_NVMKV_DROP_FAMILY:
		{
			uint32 id;

			memcpy(&id, data.data, sizeof(id));
			return nvmkv_family_redo_drop(db, id);
		}
		default:
			return NVMKV_OK;
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

/* Is it worth trying again: at the next start, as it is? */
static bool
is_passing(NvmkvStatus status)
{
	return status == NVMKV_NO_SPACE || status == NVMKV_NO_MEMORY || status == NVMKV_CANCELLED || status == NVMKV_BUSY;
}

/*
 * Recovery cannot go on with this engine: it ends, or goes on without.  before: where the record starts that was not
 * applied.
 */
static void
redo_failed(NvmkvDb *db, NvmkvStatus status, const char *what, XLogRecPtr before)
{
	const NvmkvError error = *nvmkv_error();
	const char *hint = status == NVMKV_LIMIT ? ".  It was written with larger settings: set nvmkv.write_buffer_size, nvmkv.max_write_buffers and nvmkv.max_column_families at least as they were then" : "";

	if (is_passing(status))
		ereport(FATAL,
				(errcode(status == NVMKV_NO_SPACE ? ERRCODE_DISK_FULL : ERRCODE_INTERNAL_ERROR),
				 errmsg("could not %s foreign-table WAL at %X/%X", what, LSN_FORMAT_ARGS(before)),
				 errdetail("%s", error.text)));
	(void) NVMKV_FAIL(status, "could not %s foreign-table WAL at %X/%X: %s%s", what, LSN_FORMAT_ARGS(before), error.text,
					  hint);
	nvmkv_engine_give_up();
	nvmkv_kept_give_up(db, before);
}

static void
rmgr_redo(XLogReaderState *record)
{
	uint8 info = XLogRecGetInfo(record) & ~XLR_INFO_MASK;
	NvmkvDb *db = nvmkv_engine_or_null();
	NvmkvStatus status = NVMKV_OK;

	if (rmgr_identify(info) == NULL)
		elog(PANIC, "nvmkv_fdw: unknown WAL record type %u", info);
	/* Transactions the record knows have been given out, whoever takes it. */
	if (info == XLOG_NVMKV_OUTCOMES)
		nvmkv_settle_redo_ids(nvmkv_slice(XLogRecGetData(record), XLogRecGetDataLen(record)));
	if (db != NULL)
	{
		status = nvmkv_agreement_before_redo(db);
		if (status == NVMKV_OK && info == XLOG_NVMKV_CHECKPOINT)
			status = nvmkv_flush_all(db);
		else if (status == NVMKV_OK)
			status = nvmkv_wal_apply(db, info, record->ReadRecPtr, record->EndRecPtr,
									 nvmkv_slice(XLogRecGetData(record), XLogRecGetDataLen(record)));
		if (status == NVMKV_OK)
			return;
		redo_failed(db, status, info == XLOG_NVMKV_CHECKPOINT ? "flush" : "replay", record->ReadRecPtr);
	}
	if (info != XLOG_NVMKV_FENCE && info != XLOG_NVMKV_CHECKPOINT)
		nvmkv_kept_record(record);
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
		nvmkv_settle_desc(buf, nvmkv_slice(XLogRecGetData(record), XLogRecGetDataLen(record)));
	else if (info == XLOG_NVMKV_CHECKPOINT)
	{
		uint64 durable_seq;

		memcpy(&durable_seq, XLogRecGetData(record), sizeof(durable_seq));
		appendStringInfo(buf, "durable %X/%X", LSN_FORMAT_ARGS(durable_seq));
	}
}

/*
 * The end of recovery: the checkpoint that follows has no barrier, so
 * everything replayed must be in rows and tables now.
 */
static void
rmgr_cleanup(void)
{
	NvmkvDb *db = nvmkv_engine_or_null();
	XLogRecPtr end = GetXLogReplayRecPtr(NULL);

	if (db != NULL)
	{
		NvmkvStatus status;

		nvmkv_agreement_check_end(db, end);
		status = nvmkv_flush_all(db);
		if (status == NVMKV_OK)
			status = nvmkv_log_closes(db);
		if (status != NVMKV_OK)
			redo_failed(db, status, "flush", end);
	}
	nvmkv_kept_mark(end, true);
	nvmkv_settle_guard_lower(nvmkv_engine_or_null());
}

/* What was kept comes before all that is replayed now. */
static void
rmgr_startup(void)
{
	NvmkvDb *db = nvmkv_engine_or_null();

	nvmkv_settle_guard_lift();
	if (db != NULL && nvmkv_kept_is_pending())
	{
		NvmkvStatus status = nvmkv_kept_replay(db, GetRedoRecPtr());

		if (is_passing(status))
			ereport(FATAL,
					(errcode(status == NVMKV_NO_SPACE ? ERRCODE_DISK_FULL : ERRCODE_INTERNAL_ERROR),
					 errmsg("could not replay WAL of foreign tables that was kept"),
					 errdetail("%s", nvmkv_error()->text)));
		if (status != NVMKV_OK)
		{
			nvmkv_engine_give_up(); /* all of it is still kept */
			db = NULL;
		}
	}
	nvmkv_kept_begin(GetRedoRecPtr(), db != NULL);
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

	if (info == XLOG_CHECKPOINT_SHUTDOWN || info == XLOG_CHECKPOINT_ONLINE)
	{
		NvmkvStatus status = NVMKV_OK;
		CheckPoint checkpoint;

		memcpy(&checkpoint, XLogRecGetData(record), sizeof(checkpoint));
		if (db != NULL)
		{
			nvmkv_copies_before_redo(db, checkpoint.redo);
			if (nvmkv_durable_seq(db) < checkpoint.redo)
				status = nvmkv_flush_all(db);
			if (status == NVMKV_OK)
				status = nvmkv_save_outcomes(db);
			if (status == NVMKV_OK)
				status = nvmkv_log_let_go(db, checkpoint.redo);
		}
		if (status != NVMKV_OK)
			redo_failed(db, status, "flush", record->ReadRecPtr);
		nvmkv_kept_mark(record->ReadRecPtr, false);
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
