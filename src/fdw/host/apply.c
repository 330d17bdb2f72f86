/*
 * apply.c
 *	  A record of the WAL goes to the tree.
 *
 * What starts below the durable sequence is skipped; the rest may be applied
 * again after a crash: an entry that is there already is the same entry.
 */
#include "postgres.h"

#include "engine/base/batch.h"
#include "fdw/host/apply.h"
#include "fdw/host/familyredo.h"
#include "fdw/host/settle.h"
#include "fdw/host/wal.h"

static NvmkvStatus
apply_write(NvmkvDb *db, XLogRecPtr start, XLogRecPtr end, NvmkvSlice batch)
{
	const uint8_t *cursor;
	uint32_t count;

	if (start < nvmkv_replay_seq(db))
		return NVMKV_OK;
	NVMKV_RETURN_IF(nvmkv_batch_open(batch, &count, &cursor));
	return nvmkv_replay(db, batch, end - count + 1);
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
