/*
 * redo.c
 *	  The resource manager that replays our WAL.
 *
 * Without an engine, or with one that has failed for good, redo keeps the
 * records (kept.h) and goes on; it ends only where trying again may help: no
 * space, no memory.  Of a column family that cannot be used the same is done for
 * its part of each record (keptpart.h).
 */
#include "postgres.h"

#include "access/rmgr.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_control.h"
#include "lib/stringinfo.h"

#include "engine/base/batch.h"
#include "fdw/host/agreement.h"
#include "fdw/host/apply.h"
#include "fdw/host/copies.h"
#include "fdw/host/engine.h"
#include "fdw/host/kept.h"
#include "fdw/host/keptcheck.h"
#include "fdw/host/redo.h"
#include "fdw/host/settle.h"
#include "fdw/host/wal.h"

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
		case XLOG_NVMKV_CHANGES:
			return "CHANGES";
	}
	return NULL;
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

	if (nvmkv_kept_is_passing(status))
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
	NvmkvSlice data;

	if (rmgr_identify(info) == NULL)
		ereport(PANIC,
				(errmsg("nvmkv_fdw: unknown WAL record type %u", info),
				 errhint("If a newer version of nvmkv_fdw has written it, install that, and start the server again.")));
	info = nvmkv_wal_replayed(info, nvmkv_slice(XLogRecGetData(record), XLogRecGetDataLen(record)), &data);
	/* Transactions the record knows have been given out, whoever takes it. */
	if (info == XLOG_NVMKV_OUTCOMES)
		nvmkv_settle_redo_ids(data);
	if (db != NULL)
	{
		status = nvmkv_agreement_before_redo(db);
		if (status == NVMKV_OK && info == XLOG_NVMKV_CHECKPOINT)
			status = nvmkv_flush_all(db);
		else if (status == NVMKV_OK)
			status = nvmkv_apply(db, info, record->ReadRecPtr, record->EndRecPtr, data);
		if (status == NVMKV_OK)
			return;
		redo_failed(db, status, info == XLOG_NVMKV_CHECKPOINT ? "flush" : "replay", record->ReadRecPtr);
	}
	if (info != XLOG_NVMKV_FENCE && info != XLOG_NVMKV_CHECKPOINT)
		nvmkv_kept_record(info, record->ReadRecPtr, record->EndRecPtr, data);
}

static void
rmgr_desc(StringInfo buf, XLogReaderState *record)
{
	NvmkvSlice data;
	uint8 info = nvmkv_wal_replayed(XLogRecGetInfo(record) & ~XLR_INFO_MASK,
									nvmkv_slice(XLogRecGetData(record), XLogRecGetDataLen(record)), &data);

	if (info == XLOG_NVMKV_WRITE)
	{
		const uint8_t *cursor;
		uint32_t count;

		if (nvmkv_batch_open(data, &count, &cursor) == NVMKV_OK)
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

		if (nvmkv_kept_is_passing(status))
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
	nvmkv_kept_begin(db, GetRedoRecPtr());
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

static RmgrData nvmkv_rmgr = {
	.rm_name = "nvmkv_fdw",
	.rm_redo = rmgr_redo,
	.rm_desc = rmgr_desc,
	.rm_identify = rmgr_identify,
	.rm_startup = rmgr_startup,
	.rm_cleanup = rmgr_cleanup,
};

void
nvmkv_redo_init(NvmkvDecode decode)
{
	nvmkv_rmgr.rm_decode = decode;
	RegisterCustomRmgr(NVMKV_RMGR_ID, &nvmkv_rmgr);
	server_xlog_redo = RmgrTable[RM_XLOG_ID].rm_redo;
	RmgrTable[RM_XLOG_ID].rm_redo = xlog_redo_after_flush;
}
