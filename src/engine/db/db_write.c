/*
 * db_write.c
 *	  The write path: room, log, memtable; batches of the default family.
 */

#include "engine/base/assert.h"
#include "engine/db/family_write.h"
#include "engine/db/outcome.h"
#include "engine/tree/emptied.h"
#include "engine/tree/failure.h"
#include "engine/tree/install.h"
#include "engine/tree/tree.h"
#include "engine/tree/write_control.h"

/* Links the entries of a batch whose first has sequence "base". */
static NvmkvStatus
apply(MemRoom *room, NvmkvSlice bytes, uint64_t base)
{
	const uint8_t *cursor;
	const uint8_t *end = bytes.data + bytes.size;
	MemtableGroup group;
	uint32_t count;
	uint32_t i;

	group.n = 0;
	NVMKV_RETURN_IF(nvmkv_batch_open(bytes, &count, &cursor));
	for (i = 0; i < count; i++)
	{
		NvmkvBatchRecord record;

		NVMKV_RETURN_IF(nvmkv_batch_next(&cursor, end, &record));
		memtable_group_add(&group, room->memtable, &room->room,
						   (MemtableEntry){record.key, ikey_tag(base + i, record.type), record.payload});
	}
	memtable_group_finish(&group);
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_write(NvmkvDb *db, const NvmkvBatch *batch, uint64_t *last_sequence_out)
{
	int slot = port_process_slot();
	NvmkvSlice bytes = nvmkv_buf_slice(&batch->bytes);
	MemRoom room;
	uint64_t last;
	NvmkvStatus st;

	if (batch->count == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "empty batch");
	db = db->root;
	db->busy_family = 0;
	if (batch->families != 1)
		return family_write(db, batch, last_sequence_out);
	NVMKV_RETURN_IF(db_refuse_writes(db));
	if (!write_control_admits(db, batch->memtable_bytes))
		return NVMKV_BUSY;
	st = mempool_write_begin(&db->mem, slot, batch->memtable_bytes, &room);
	if (st != NVMKV_OK)
	{
		write_control_give_back(db, batch->memtable_bytes);
		return st;
	}
	/*
	 * The host's log may raise here; the registration as a writer is then taken back by nvmkv_abort_cleanup, the room
	 * is lost.
	 */
	st = db->log.append(db->log.ctx, bytes, batch->count, &last);
	if (st == NVMKV_OK)
	{
		st = apply(&room, bytes, last - batch->count + 1);
		NVMKV_ASSERT(st == NVMKV_OK);
		emptied_note_written(db, bytes);
		outcomes_note_written(db, room.room.last_fxid);
		db_note_applied(db, last);
		*last_sequence_out = last;
		db_count_write(db, batch);
	}
	/* The first to find the log broken says so at once, not only the next. */
	else if (st == NVMKV_READ_ONLY || (db->own_log != NULL && log_group_has_failed(db->own_log)))
		db_set_sticky(db);
	mempool_write_end(&db->mem, slot, &room);
	return st;
}

size_t
nvmkv_batch_bytes_max(const NvmkvDb *db)
{
	return mempool_batch_bytes_max(&db->mem);
}

NvmkvStatus
nvmkv_sync(NvmkvDb *db, uint64_t sequence)
{
	return db_flush_log(db, sequence);
}
