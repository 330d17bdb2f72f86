/*
 * running.c
 *	  Announcing compactions (see running.h).
 */
#include "engine/tree/running.h"

#include "engine/base/assert.h"
#include "engine/tree/claim.h"

void
db_key_set(DbKey *key, NvmkvSlice bytes)
{
	NVMKV_ASSERT(bytes.size <= sizeof(key->bytes));
	if (bytes.size > 0)
		memcpy(key->bytes, bytes.data, bytes.size);
	key->size = (uint32_t) bytes.size;
}

void
running_init(RunningShm *shm)
{
	port_lock_init(&shm->lock, PORT_RANK_JOB);
}

void
running_lock(NvmkvDb *db)
{
	port_lock_exclusive(&db->shm->running.lock);
}

void
running_unlock(NvmkvDb *db)
{
	port_lock_release(&db->shm->running.lock);
}

static bool
is_used(const Running *r)
{
	return port_load_relaxed(&r->owner) != 0;
}

bool
running_conflicts(const NvmkvDb *db, unsigned first_level, unsigned last_level, NvmkvSlice low, NvmkvSlice high)
{
	unsigned i;

	for (i = 0; i < RUNNING_MAX; i++)
	{
		const Running *r = &db->shm->running.works[i];

		if (is_used(r) && r->first_level <= last_level && first_level <= r->last_level &&
			slice_compare(db_key_slice(&r->low), high) <= 0 && slice_compare(low, db_key_slice(&r->high)) <= 0)
			return true;
	}
	return false;
}

uint64_t
running_taken(const NvmkvDb *db, unsigned level)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < RUNNING_MAX; i++)
	{
		const Running *r = &db->shm->running.works[i];

		if (is_used(r) && r->first_level == level && r->last_level > level)
			bytes += r->taken_bytes;
	}
	return bytes;
}

const Running *
running_last_column(const NvmkvDb *db, bool *doomed_out)
{
	const Running *last = NULL;
	unsigned i;

	*doomed_out = false;
	for (i = 0; i < RUNNING_MAX; i++)
	{
		const Running *r = &db->shm->running.works[i];

		if (!is_used(r) || r->column == 0)
			continue;
		if (port_load_relaxed(&r->doomed) != 0)
			*doomed_out = true;
		if (last == NULL || r->column > last->column)
			last = r;
	}
	return last;
}

Running *
running_add(NvmkvDb *db, unsigned first_level, unsigned last_level, NvmkvSlice low, NvmkvSlice high)
{
	unsigned i;

	NVMKV_ASSERT(!running_conflicts(db, first_level, last_level, low, high));
	for (i = 0; i < RUNNING_MAX; i++)
	{
		Running *r = &db->shm->running.works[i];

		if (is_used(r))
			continue;
		r->first_level = first_level;
		r->last_level = last_level;
		db_key_set(&r->low, low);
		db_key_set(&r->high, high);
		r->taken_bytes = 0;
		r->column = 0;
		r->after = 0;
		port_store_relaxed(&r->doomed, 0);
		port_store_release(&r->owner, db_claim_word());
		return r;
	}
	return NULL;
}

void
running_make_column(NvmkvDb *db, Running *r, const Running *after, bool takes_all, NvmkvSlice cut)
{
	r->column = ++db->shm->running.columns;
	r->after = after != NULL ? after->column : 0;
	r->takes_all = takes_all;
	r->is_alone = false;
	db_key_set(&r->cut, cut);
}

RunningTurn
running_turn(const NvmkvDb *db, const Running *r)
{
	if (port_load_acquire(&r->doomed) != 0)
		return RUNNING_TURN_NEVER;
	if (r->after == 0 || port_load_acquire(&db->shm->running.installed) == r->after)
		return RUNNING_TURN_NOW;
	return RUNNING_TURN_LATER;
}

/* REQUIRES the lock.  Those behind a column that failed go one after the other: each dooms the next at once. */
static void
end_one(RunningShm *shm, Running *r, bool installed)
{
	uint64_t failed = 0;
	unsigned i;

	if (r->column != 0 && installed)
		port_store_release(&shm->installed, r->column);
	else if (r->column != 0)
		failed = r->column;
	port_store_release(&r->owner, 0);
	while (failed != 0)
	{
		uint64_t next = 0;

		for (i = 0; i < RUNNING_MAX; i++)
		{
			Running *other = &shm->works[i];

			if (is_used(other) && other->column != 0 && other->after == failed)
			{
				port_store_release(&other->doomed, 1);
				next = other->column;
			}
		}
		failed = next;
	}
}

void
running_end(NvmkvDb *db, Running *r, bool installed)
{
	running_lock(db);
	end_one(&db->shm->running, r, installed);
	running_unlock(db);
	port_cond_broadcast(&db->shm->progress);
}

bool
running_abort(NvmkvDb *db)
{
	RunningShm *shm = &db->shm->running;
	bool any = false;
	unsigned i;

	for (i = 0; i < RUNNING_MAX; i++)
		any |= port_load_relaxed(&shm->works[i].owner) == db_claim_word();
	if (!any)
		return false;
	running_lock(db);
	for (i = 0; i < RUNNING_MAX; i++)
		if (port_load_relaxed(&shm->works[i].owner) == db_claim_word())
			end_one(shm, &shm->works[i], false);
	running_unlock(db);
	port_cond_broadcast(&db->shm->progress);
	return true;
}

bool
running_others(const NvmkvDb *db)
{
	unsigned i;

	for (i = 0; i < RUNNING_MAX; i++)
	{
		uint32_t owner = port_load_relaxed(&db->shm->running.works[i].owner);

		if (owner != 0 && owner != db_claim_word())
			return true;
	}
	return false;
}
