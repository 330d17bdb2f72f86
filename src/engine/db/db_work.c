/*
 * db_work.c
 *	  Background work in steps, claims, and what an aborted call leaves behind.
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/assert.h"
#include "engine/job/compaction.h"
#include "engine/tree/tree.h"
#include "engine/job/value.h"
#include "engine/tree/work_limit.h"
#include "engine/tree/write_control.h"
#include "engine/job/gc.h"

/* How long one looks the other way while another process does the step one waits for. */
#define PROGRESS_WAIT_MS 20

/* ---- claims ---- */

uint32_t
db_claim_word(void)
{
	return (uint32_t) (port_process_slot() + 2); /* 1: a process without a slot, at start-up */
}

bool
db_claim(NvmkvDb *db, DbClaim claim)
{
	uint32_t expected = 0;

	return __atomic_compare_exchange_n(&db->shm->claims[claim], &expected, db_claim_word(), false, __ATOMIC_SEQ_CST,
									   __ATOMIC_RELAXED);
}

void
db_unclaim(NvmkvDb *db, DbClaim claim)
{
	NVMKV_ASSERT(port_load_relaxed(&db->shm->claims[claim]) == db_claim_word());
	port_store_release(&db->shm->claims[claim], 0);
	port_cond_broadcast(&db->shm->progress);
}

static void
clean_tree(NvmkvDb *db, int slot)
{
	unsigned i;

	mempool_abort_cleanup(&db->mem, slot);
	epoch_abort_cleanup(db->epochs, slot);
	compaction_abandon(db);
	value_abandon(db);
	db->forgetting = NULL;
	write_control_abort(db);
	if (running_abort(db))
		jobs_abort(db);
	for (i = 0; i < DB_CLAIMS; i++)
		if (port_load_relaxed(&db->shm->claims[i]) == db_claim_word())
		{
			if (i == DB_CLAIM_FLUSH)
				flush_abandon(db);
			jobs_abort(db);
			db_unclaim(db, (DbClaim) i);
		}
	if (db->point.table != NULL)
		db->point.base.ops->destroy(&db->point.base);
}

void
nvmkv_abort_cleanup(NvmkvDb *db)
{
	int slot = port_process_slot();
	unsigned id;

	if (slot < 0)
		return;
	for (id = 0; id < NVMKV_FAMILIES_MAX; id++)
		if (db->families[id] != NULL)
			clean_tree(db->families[id], slot);
	families_abort_cleanup(db);
}

/* ---- failures ---- */

NvmkvStatus
db_note_failure(NvmkvDb *db, NvmkvStatus status)
{
	DbShm *shm = db->shm;
	const NvmkvError *error = nvmkv_error();

	if (status == NVMKV_BUSY || status == NVMKV_CANCELLED)
		return status;
	port_count(&shm->counters.errors, 1);
	(void) snprintf(shm->last_error, sizeof(shm->last_error), "%.*s", (int) sizeof(shm->last_error) - 1, error->text);
	port_store_relaxed(&shm->last_error_status, (uint32_t) status);
	port_store_relaxed(&shm->last_error_clock_us, port_clock_us());
	port_log(PORT_LOG_WARNING, "background work failed: %s", error->text);
	/* It will not get better: writers had better know at once. */
	if (db_pages_lost(db) != 0)
		db_set_sticky(db);
	return status;
}

void
db_set_sticky(NvmkvDb *db)
{
	DbShm *shm = db->shm;
	uint32_t expected = DB_STICKY_NO;

	if (!__atomic_compare_exchange_n(&shm->sticky, &expected, DB_STICKY_BEING_SET, false, __ATOMIC_SEQ_CST,
									 __ATOMIC_RELAXED))
		return;
	(void) snprintf(shm->sticky_cause, sizeof(shm->sticky_cause), "%.*s", (int) sizeof(shm->sticky_cause) - 1,
					nvmkv_error()->text);
	port_store_release(&shm->sticky, DB_STICKY_SET);
	port_log(PORT_LOG_WARNING, "writes are refused until restart: %s", shm->sticky_cause);
}

NvmkvStatus
db_refuse_if_sticky(NvmkvDb *db)
{
	uint32_t sticky = port_load_acquire(&db->shm->sticky);

	if (sticky == DB_STICKY_NO)
		return NVMKV_OK;
	return NVMKV_FAIL(NVMKV_READ_ONLY, "writes are refused until restart: %s",
					  sticky == DB_STICKY_SET ? db->shm->sticky_cause : "");
}

NvmkvStatus
db_flush_log(NvmkvDb *db, uint64_t sequence)
{
	NvmkvStatus st = db->log.flush(db->log.ctx, sequence);

	/* READ_ONLY: the log failed in another process, which may not have lived to say so. */
	if (st == NVMKV_IO || st == NVMKV_READ_ONLY)
		db_set_sticky(db);
	return st;
}

NvmkvStatus
db_install(NvmkvDb *db, const VersionEdit *edit)
{
	NvmkvStatus st;

	/* What this process makes of a pool that is not all there is not to be believed, and nothing may be freed by it. */
	if (db_pages_lost(db) != 0)
	{
		st = nvm_device_lost(db->pool->dev);
		db_set_sticky(db);
		return st;
	}
	st = versions_install(&db->versions, edit);
	if (st != NVMKV_OK && versions_are_sticky(&db->versions))
		db_set_sticky(db);
	return st;
}

/* ---- helpers of jobs ---- */

NvmkvStatus
db_copy_image_in_epoch(NvmkvDb *db, VersionImage **image_out)
{
	const VersionImage *v = versions_current(&db->versions);

	*image_out = port_alloc(v->bytes);
	if (*image_out == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a copy of the version");
	memcpy(*image_out, v, v->bytes);
	return NVMKV_OK;
}

NvmkvStatus
db_copy_image(NvmkvDb *db, VersionImage **image_out)
{
	NvmkvStatus st;

	db_enter(db);
	st = db_copy_image_in_epoch(db, image_out);
	db_leave(db);
	return st;
}

typedef struct DroppedSearch
{
	NvmkvDb *db;
	bool dropped;
} DroppedSearch;

static bool
look_for_drop(void *ctx, const NvmkvVersion *version)
{
	DroppedSearch *search = ctx;
	const NvmkvTxnOps *txn = &search->db->txn;

	if ((version->type & NVMKV_TYPE_KIND_MASK) != NVMKV_KIND_RANGE_DELETION)
		return true;
	if ((version->type & NVMKV_TYPE_TAGGED_BIT) == 0)
		search->dropped = true;
	else if (search->db->has_txn && (version->type & NVMKV_TYPE_COMMITTED_BIT) != 0)
		search->dropped = txn->horizon != NULL && version->txn.fxid < txn->horizon(txn->ctx);
	else if (search->db->has_txn && txn->outcome != NULL)
		search->dropped = txn->outcome(txn->ctx, version->txn.fxid) == NVMKV_OUTCOME_FROZEN;
	return !search->dropped;
}

NvmkvStatus
db_storage_dropped(void *ctx, NvmkvSlice storage, bool *dropped_out)
{
	DroppedSearch search = {ctx, false};
	NvmkvStatus st = nvmkv_versions(ctx, storage, look_for_drop, &search);

	*dropped_out = search.dropped;
	/* Where that cannot be read nothing is dropped: damage in one table must not stop the flush of all. */
	if (st == NVMKV_VERSION || st == NVMKV_IO)
		(void) db_note_failure(ctx, st);
	return st == NVMKV_CORRUPTION || st == NVMKV_VERSION || st == NVMKV_IO ? NVMKV_OK : st;
}

void
db_count_gc(NvmkvDb *db, const GcFilter *gc)
{
	port_count(&db->shm->counters.entries_frozen, gc->frozen);
	port_count(&db->shm->counters.entries_dropped_aborted, gc->dropped_aborted);
	port_count(&db->shm->counters.entries_dropped_obsolete, gc->dropped_obsolete);
}

/* ---- steps ---- */

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

static NvmkvStatus
switch_tree(NvmkvDb *db)
{
	return mempool_switch(&db->mem, port_process_slot());
}

NvmkvStatus
nvmkv_switch_memtable(NvmkvDb *db)
{
	return family_each(db, switch_tree);
}

NvmkvStatus
db_wait_progress(NvmkvDb *db)
{
	NvmkvStatus st;

	port_cond_prepare(&db->shm->progress);
	st = port_cond_wait(&db->shm->progress, PROGRESS_WAIT_MS);
	port_cond_finish(&db->shm->progress);
	return st;
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

/* A tree that this process cannot come at has told nothing: so nothing is durable. */
uint64_t
nvmkv_durable_seq(NvmkvDb *db)
{
	uint64_t durable = UINT64_MAX;
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		uint64_t own = mempool_durable_seq(&tree->mem);

		if (own < durable)
			durable = own;
	}
	return st == NVMKV_OK ? durable : 0;
}

/* Nor is anything resolved: 1 is the smallest fxid there can be. */
uint64_t
nvmkv_min_unresolved_fxid(NvmkvDb *db)
{
	uint64_t fxid = 0;
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		uint64_t own;

		db_enter(tree);
		own = version_min_unresolved(versions_current(&tree->versions));
		db_leave(tree);
		if (own != 0 && (fxid == 0 || own < fxid))
			fxid = own;
	}
	return st == NVMKV_OK ? fxid : 1;
}

/* ---- files of this process ---- */

typedef struct Kept
{
	uint64_t *numbers;
	uint32_t count;
} Kept;

static bool
is_kept(void *ctx, uint64_t number)
{
	const Kept *kept = ctx;

	return version_numbers_have(kept->numbers, kept->count, number);
}

/* Closes what the version has not.  Without memory not now. */
static void
tidy_by(NvmkvDb *db, const VersionImage *v)
{
	Kept kept = {version_file_numbers(v), v->nfiles};

	if (kept.numbers == NULL)
		return;
	table_cache_retain(db->tables, is_kept, &kept);
	port_free(kept.numbers);
	db->tidied_version = v->number;
}

static NvmkvStatus
tidy_tree(NvmkvDb *db)
{
	const VersionImage *v;
	TableCacheStats stats;

	table_cache_stats(db->tables, &stats);
	if (stats.open == 0)
		return NVMKV_OK;
	db_enter(db);
	v = versions_current(&db->versions);
	if (v->number != db->tidied_version)
		tidy_by(db, v);
	db_leave(db);
	return NVMKV_OK;
}

void
nvmkv_tidy(NvmkvDb *db)
{
	(void) family_each(db, tidy_tree); /* it does not fail; families out of reach have no open files here */
}
