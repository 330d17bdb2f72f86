/*
 * db_write.c
 *	  The write path: room, log, memtable.
 */
#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/db/outcome.h"
#include "engine/tree/write_control.h"

/* How long a writer waits for others to make room before it lends a hand, and looks for reasons to give up. */
#define ROOM_WAIT_MS 50

/* The same where nobody is woken when there is work: perhaps there are no others. */
#define ROOM_WAIT_ALONE_MS 1

/* Recovery has work of its own to do: it looks more often. */
#define REPLAY_WAIT_MS 5

NvmkvStatus
db_refuse_writes(NvmkvDb *db)
{
	NVMKV_RETURN_IF(db_refuse_if_sticky(db));
	if (port_load_acquire(&db->shm->accepting) == 0)
		return NVMKV_FAIL(NVMKV_READ_ONLY, "the database does not accept writes now");
	return NVMKV_OK;
}

/* Links the entries of a batch whose first has sequence "base". */
static NvmkvStatus
apply(MemRoom *room, NvmkvSlice bytes, uint64_t base)
{
	const uint8_t *cursor;
	const uint8_t *end = bytes.data + bytes.size;
	uint32_t count;
	uint32_t i;

	NVMKV_RETURN_IF(nvmkv_batch_open(bytes, &count, &cursor));
	for (i = 0; i < count; i++)
	{
		NvmkvBatchRecord record;

		NVMKV_RETURN_IF(nvmkv_batch_next(&cursor, end, &record));
		memtable_insert(room->memtable, &room->room, record.key, ikey_tag(base + i, record.type), record.payload);
	}
	return NVMKV_OK;
}

/* This process has applied entries up to there, which others may not have done yet. */
void
db_note_applied(NvmkvDb *db, uint64_t last_sequence)
{
	DbSlotCounters *own = db_slot_counters(db);

	if (port_load_relaxed(&own->last_sequence) < last_sequence)
		port_store_relaxed(&own->last_sequence, last_sequence);
}

void
db_count_write(NvmkvDb *db, const NvmkvBatch *batch)
{
	DbSlotCounters *own = db_slot_counters(db);

	db_count(&own->writes, 1);
	db_count(&own->entries_written, batch->count);
	db_count(&own->user_bytes, batch->user_bytes);
	db_count(&own->log_bytes, batch->bytes.size);
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
nvmkv_wait_turn(NvmkvDb *db, size_t memtable_bytes)
{
	return write_control_wait(db, memtable_bytes);
}

static NvmkvStatus
wait_room(NvmkvDb *db, size_t memtable_bytes)
{
	int slot = port_process_slot();
	NvmkvStallCause cause = NVMKV_STALL_MEMTABLES;
	bool waited = false;
	uint64_t started;
	bool did;
	NvmkvStatus st;

	NVMKV_RETURN_IF(write_control_wait(db, memtable_bytes));
	started = port_now_us();
	for (;;)
	{
		st = db_refuse_writes(db);
		if (st != NVMKV_OK)
			break;
		st = mempool_wait_room(&db->mem, slot, memtable_bytes, db->wake != NULL ? ROOM_WAIT_MS : ROOM_WAIT_ALONE_MS);
		if (st != NVMKV_BUSY)
			break;
		waited = true;
		if (port_load_relaxed(&db->shm->pool_full) != 0)
			cause = NVMKV_STALL_EXTENTS;
		/*
		 * Workers may be absent (recovery, single-user mode) or dead: so lend a hand.  What stops this process stops
		 * them too.
		 */
		st = db_make_room(db, &did);
		if (st == NVMKV_BUSY && port_load_relaxed(&db->shm->no_space) != 0)
			st = NVMKV_FAIL(NVMKV_NO_SPACE, "no space to make room for writes: %s", db->shm->last_error);
		if (st != NVMKV_OK && st != NVMKV_BUSY)
			break;
	}
	if (waited || port_now_us() - started > 1000)
	{
		port_count(&db->shm->counters.stalls[cause], 1);
		port_count(&db->shm->counters.stall_us[cause], port_now_us() - started);
	}
	return st;
}

NvmkvStatus
nvmkv_wait_room(NvmkvDb *db, size_t memtable_bytes)
{
	NvmkvDb *root = db->root;
	NvmkvDb *family;

	if (root->busy_family == 0)
		return wait_room(root, memtable_bytes);
	NVMKV_RETURN_IF(nvmkv_family(root, root->busy_family, &family));
	return wait_room(family, root->busy_bytes);
}

NvmkvStatus
db_replay_room(NvmkvDb *db, size_t bytes, MemRoom *room_out)
{
	int slot = port_process_slot();
	NvmkvStatus st;

	while ((st = mempool_write_begin(&db->mem, slot, bytes, room_out)) == NVMKV_BUSY)
	{
		bool did;

		st = db_make_room(db, &did);
		if (st == NVMKV_BUSY || (st == NVMKV_OK && !did))
			st = mempool_wait_room(&db->mem, slot, bytes, REPLAY_WAIT_MS);
		if (st != NVMKV_OK && st != NVMKV_BUSY)
			return st;
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "replay interrupted");
	}
	return st;
}

NvmkvStatus
nvmkv_sync(NvmkvDb *db, uint64_t sequence)
{
	return db_flush_log(db, sequence);
}

void
nvmkv_open_gate(NvmkvDb *db)
{
	unsigned cursor = 0;
	NvmkvDb *tree;

	/* The one who opens the gate has a handle of every family: it opened the database, or inherited from who did. */
	while (family_next(db, &cursor, &tree) == NVMKV_OK && tree != NULL)
	{
		mempool_open_gate(&tree->mem);
		port_store_release(&tree->shm->accepting, 1);
	}
}

static NvmkvStatus
close_gate(NvmkvDb *db)
{
	port_store_release(&db->shm->accepting, 0);
	mempool_close_gate(&db->mem);
	while (!mempool_writers_are_quiet(&db->mem))
	{
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "interrupted while writers finish");
		port_sleep_us(100);
	}
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_close_gate(NvmkvDb *db)
{
	return family_each(db, close_gate);
}
