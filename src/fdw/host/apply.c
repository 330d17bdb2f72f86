/*
 * apply.c
 *	  A record of the WAL goes to the tree.
 *
 * What starts below the durable sequence is skipped; the rest may be applied
 * again after a crash: an entry that is there already is the same entry.
 * Families that cannot be used have their part kept (keptpart.h).
 */
#include "postgres.h"

#include "miscadmin.h"

#include "engine/base/batch.h"
#include "fdw/host/apply.h"
#include "fdw/host/familyredo.h"
#include "fdw/host/keptcheck.h"
#include "fdw/host/keptpart.h"
#include "fdw/host/settle.h"
#include "fdw/host/wal.h"

/* In recovery nothing goes on without it: what is not kept would be lost. */
static NvmkvStatus
keep(NvmkvStatus status)
{
	if (AmStartupProcess())
		nvmkv_kept_check(status);
	return status;
}

static NvmkvStatus
apply_write(NvmkvDb *db, XLogRecPtr start, XLogRecPtr end, NvmkvSlice batch)
{
	const uint8_t *cursor;
	uint32_t count;
	uint32 away;

	if (start < nvmkv_replay_seq(db))
		return NVMKV_OK;
	NVMKV_RETURN_IF(nvmkv_batch_open(batch, &count, &cursor));
	NVMKV_RETURN_IF(nvmkv_replay_away(db, batch, end - count + 1, &away));
	if (away != 0)
		NVMKV_RETURN_IF(keep(nvmkv_kept_part_record(db, away, XLOG_NVMKV_WRITE, start, end, batch)));
	return nvmkv_replay_to(db, batch, end - count + 1, ~away);
}

NvmkvStatus
nvmkv_apply_entry(NvmkvDb *db, uint64 sequence, NvmkvSlice batch)
{
	uint32 away;

	NVMKV_RETURN_IF(nvmkv_replay_away(db, batch, sequence, &away));
	if (away != 0)
		NVMKV_RETURN_IF(keep(nvmkv_kept_part_entry(db, away, sequence, batch)));
	return nvmkv_replay_to(db, batch, sequence, ~away);
}

NvmkvStatus
nvmkv_apply(NvmkvDb *db, uint8 info, XLogRecPtr start, XLogRecPtr end, NvmkvSlice data)
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
