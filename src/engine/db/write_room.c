/*
 * write_room.c
 *	  Waiting for room for writes: what a writer does that was told BUSY, and replay.
 */
#include "engine/db/write_room.h"

#include "engine/db/db_work.h"
#include "engine/tree/failure.h"
#include "engine/tree/write_control.h"

/* How long a writer waits for others to make room before it lends a hand, and looks for reasons to give up. */
#define ROOM_WAIT_MS 50

/* The same where nobody is woken when there is work: perhaps there are no others. */
#define ROOM_WAIT_ALONE_MS 1

/* Recovery has work of its own to do: it looks more often. */
#define REPLAY_WAIT_MS 5

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
