/*
 * db_work.c
 *	  Background work in steps: which is done, in which order, and what it leaves to do.
 */
#include "engine/db/db_work.h"

#include "engine/db/family.h"
#include "engine/db/own_log.h"
#include "engine/job/choice.h"
#include "engine/job/column.h"
#include "engine/job/flush.h"
#include "engine/tree/claim.h"
#include "engine/tree/failure.h"
#include "engine/tree/retire.h"
#include "engine/tree/work_limit.h"
#include "engine/tree/write_control.h"

/* ---- steps ---- */

/* REQUIRES the FLUSH claim. */
static NvmkvStatus
flush_claimed(NvmkvDb *db, bool *did_out, bool *starved_out)
{
	NVMKV_RETURN_IF(flush_oldest(db, did_out, starved_out));
	if (!*did_out)
		return NVMKV_OK;
	own_log_tidy(db);
	if (port_load_relaxed(&db->shm->batch_wanted) != 0 && column_start_batch(db) != NVMKV_OK)
		(void) db_note_failure(db, nvmkv_error()->status);
	return NVMKV_OK;
}

static NvmkvStatus
flush_step(NvmkvDb *db, bool *did_out, bool *more_out)
{
	bool starved;
	NvmkvStatus st;

	*did_out = false;
	*more_out = false;
	NVMKV_RETURN_IF(db_refuse_if_sticky(db));
	if (!db_claim(db, DB_CLAIM_FLUSH))
		return NVMKV_BUSY;
	st = flush_claimed(db, did_out, &starved);
	db_unclaim(db, DB_CLAIM_FLUSH);
	if (starved && db->wake != NULL)
		db->wake(); /* compaction */
	*more_out = *did_out;
	return st;
}

static NvmkvStatus
reclaim_step(NvmkvDb *db, bool *did_out, bool *more_out)
{
	uint32_t waiting = retired_reclaim(db);

	waiting += mempool_reclaim(&db->mem, port_process_slot());
	*did_out = true;
	*more_out = waiting > 0;
	return NVMKV_OK;
}

static NvmkvStatus
do_work(NvmkvDb *db, NvmkvWork work, bool *did_out, bool *more_out)
{
	NvmkvStatus st = NVMKV_OK;

	*did_out = false;
	*more_out = false;
	/* The result could not be installed. */
	if (work == NVMKV_WORK_COMPACT && versions_are_sealed(&db->versions))
		return NVMKV_OK;
	switch (work)
	{
		case NVMKV_WORK_FLUSH:
			st = flush_step(db, did_out, more_out);
			write_control_note_step(db, NVMKV_STALL_MEMTABLES, st);
			/* A full pool is the compaction's to relieve; anything else without space is for people to relieve. */
			if (st == NVMKV_NO_SPACE && port_load_relaxed(&db->shm->pool_full) == 0)
				port_store_relaxed(&db->shm->no_space, 1);
			break;
		case NVMKV_WORK_COMPACT:
			st = compact_step(db, false, did_out, more_out);
			write_control_note_step(db, NVMKV_STALL_EXTENTS, st);
			/* As long as the pool has room, writers do not depend on it. */
			if (st == NVMKV_NO_SPACE && port_load_relaxed(&db->shm->pool_full) != 0)
				port_store_relaxed(&db->shm->no_space, 1);
			break;
		case NVMKV_WORK_RECLAIM:
			st = reclaim_step(db, did_out, more_out);
			break;
	}
	return st;
}

/*
 * A step in each tree, so that none waits for another.  Of failures the first is reported, BUSY only if there is no
 * other.
 */
NvmkvStatus
nvmkv_work(NvmkvDb *db, NvmkvWork work, bool *did_out, bool *more_out)
{
	NvmkvStatus result = NVMKV_OK;
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	*did_out = false;
	*more_out = false;
	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		bool did, more;

		/* Not so a writer that lends a hand: it would rather have others. */
		write_control_note_worker(tree);
		st = do_work(tree, work, &did, &more);
		*did_out |= did;
		*more_out |= more;
		if (result == NVMKV_OK || (result == NVMKV_BUSY && st != NVMKV_OK))
			result = st;
	}
	return result == NVMKV_OK ? st : result;
}

NvmkvStatus
db_make_room(NvmkvDb *db, bool *did_out)
{
	bool did, waiting;
	NvmkvStatus st = do_work(db, NVMKV_WORK_FLUSH, did_out, &waiting);

	if ((st == NVMKV_NO_SPACE || st == NVMKV_BUSY) && port_load_relaxed(&db->shm->pool_full) != 0)
	{
		st = do_work(db, NVMKV_WORK_COMPACT, did_out, &waiting);
		if (st != NVMKV_OK)
			return st;
		NVMKV_RETURN_IF(do_work(db, NVMKV_WORK_RECLAIM, &did, &waiting));
		/*
		 * Nothing was left to drain: somebody else did it, and either readers keep the extents or a flush succeeds
		 * now.
		 */
		if (!*did_out && !waiting)
			st = do_work(db, NVMKV_WORK_FLUSH, did_out, &waiting);
		return st;
	}
	if (st == NVMKV_OK)
		st = do_work(db, NVMKV_WORK_RECLAIM, &did, &waiting);
	return st;
}

/* The same; while others are at it, waits a moment for them. */
static NvmkvStatus
make_room_or_wait(NvmkvDb *db)
{
	bool did;
	NvmkvStatus st = db_make_room(db, &did);

	if (st == NVMKV_BUSY || (st == NVMKV_OK && !did))
		st = db_wait_progress(db);
	return st;
}

/* Log position at which the active memtable took over. */
static uint64_t
active_start(NvmkvDb *db)
{
	MemList list;
	MemBufferStats stats;

	db_enter(db);
	mempool_list(&db->mem, &list);
	mempool_buffer_stats(&db->mem, list.buffer[0], &stats);
	db_leave(db);
	return stats.start_seq;
}

NvmkvStatus
tree_flush(NvmkvDb *db)
{
	NvmkvStatus st;
	uint64_t target;
	bool did, more;

	/* Every record written before the call is in a memtable that is immutable after the switch. */
	while ((st = mempool_switch(&db->mem, port_process_slot())) == NVMKV_BUSY)
	{
		NVMKV_RETURN_IF(make_room_or_wait(db));
		(void) do_work(db, NVMKV_WORK_RECLAIM, &did, &more);
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "flush interrupted");
	}
	NVMKV_RETURN_IF(st);
	target = active_start(db);
	while (mempool_durable_seq(&db->mem) < target)
	{
		NVMKV_RETURN_IF(make_room_or_wait(db));
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "flush interrupted");
	}
	return do_work(db, NVMKV_WORK_RECLAIM, &did, &more);
}

NvmkvStatus
nvmkv_flush_all(NvmkvDb *db)
{
	NVMKV_RETURN_IF(family_each(db, tree_flush));
	return nvmkv_save_outcomes(db);
}

static NvmkvStatus
compact_tree(NvmkvDb *db)
{
	for (;;)
	{
		bool did, more;
		NvmkvStatus st;

		work_limit_urge(db);
		st = compact_step(db, true, &did, &more);
		if (st == NVMKV_BUSY)
			st = db_wait_progress(db);
		else if (st == NVMKV_OK && !did)
			return do_work(db, NVMKV_WORK_RECLAIM, &did, &more);
		NVMKV_RETURN_IF(st);
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "compaction interrupted");
	}
}

NvmkvStatus
nvmkv_compact_all(NvmkvDb *db)
{
	return family_each(db, compact_tree);
}

static bool
has_row_before(NvmkvDb *db, uint64_t row_id)
{
	const VersionImage *v;
	bool has;

	db_enter(db);
	v = versions_current(&db->versions);
	has = v->nrows > 0 && v->rows[v->nrows - 1].row_id < row_id;
	db_leave(db);
	return has;
}

NvmkvStatus
db_drain_rows_before(NvmkvDb *db, uint64_t row_id)
{
	bool did, more;

	while (has_row_before(db, row_id))
	{
		NvmkvStatus st;

		work_limit_urge(db);
		st = compact_step(db, true, &did, &more);
		if (st == NVMKV_BUSY || (st == NVMKV_OK && !did))
			st = db_wait_progress(db);
		NVMKV_RETURN_IF(st);
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "compaction interrupted");
	}
	return do_work(db, NVMKV_WORK_RECLAIM, &did, &more);
}
