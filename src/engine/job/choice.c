/*
 * choice.c
 *	  The choice between dead value tables, dropped storages, columns, levels and
 *	  values apart.
 */
#include "engine/job/choice.h"

#include "engine/job/column.h"
#include "engine/job/drop.h"
#include "engine/job/level.h"
#include "engine/job/value_collect.h"
#include "engine/tree/claim.h"
#include "engine/tree/failure.h"
#include "engine/tree/running.h"
#include "engine/tree/write_control.h"

/*
 * A level with this score is compacted before the next column, for the wider level 1 is, the more each column rewrites.
 * While writers wait for columns, after so many steps one of them has its turn all the same: a column brings level 1
 * one or two tables' worth, a step takes one away.
 */
#define LEVEL_URGENT_SCORE 1.5
#define LEVEL_STEPS_MAX 3

static bool
under_pressure(NvmkvDb *db)
{
	return db->pool != NULL && (port_load_relaxed(&db->shm->pool_full) != 0 || write_control_pool_is_low(db));
}

static NvmkvStatus
urgent_level_step(NvmkvDb *db, bool *did_out)
{
	uint32_t *steps = &db->shm->level_steps;

	if (port_load_relaxed(steps) >= LEVEL_STEPS_MAX && under_pressure(db))
		return NVMKV_OK;
	NVMKV_RETURN_IF(level_step(db, LEVEL_URGENT_SCORE, did_out));
	if (*did_out)
		(void) __atomic_fetch_add(steps, 1, __ATOMIC_RELAXED);
	return NVMKV_OK;
}

/* Gives the medium back what is not wanted of the container and not used any more. */
static NvmkvStatus
cut_step(NvmkvDb *db, bool *did_out)
{
	NvmkvStatus st;

	if (db->pool == NULL || db->pool->usable == db->pool->extent_count || nvm_pool_is_cut(db->pool) ||
		!db_claim(db, DB_CLAIM_FLUSH))
		return NVMKV_OK;
	st = nvm_pool_cut(db->pool, did_out);
	db_unclaim(db, DB_CLAIM_FLUSH);
	return st == NVMKV_OK ? st : db_note_failure(db, st);
}

static NvmkvStatus
choose_step(NvmkvDb *db, bool force, bool *did_out)
{
	NVMKV_RETURN_IF(value_sweep(db, did_out));
	if (!*did_out && (force || drop_is_due(db)))
		NVMKV_RETURN_IF(drop_step(db, did_out));
	if (!*did_out && !force)
		NVMKV_RETURN_IF(urgent_level_step(db, did_out));
	if (!*did_out)
	{
		NVMKV_RETURN_IF(column_step(db, force, did_out));
		port_store_relaxed(&db->shm->level_steps, 0);
	}
	if (!*did_out)
		NVMKV_RETURN_IF(level_step(db, 1.0, did_out));
	if (!*did_out)
		NVMKV_RETURN_IF(value_collect(db, did_out));
	if (!*did_out)
		NVMKV_RETURN_IF(cut_step(db, did_out));
	return NVMKV_OK;
}

NvmkvStatus
compact_step(NvmkvDb *db, bool force, bool *did_out, bool *more_out)
{
	NvmkvStatus st;

	*did_out = false;
	*more_out = false;
	NVMKV_RETURN_IF(db_refuse_if_sticky(db));
	st = choose_step(db, force, did_out);
	*more_out = *did_out;
	/* What they leave behind may be work. */
	if (st == NVMKV_OK && !*did_out && running_others(db))
		st = NVMKV_BUSY;
	return st;
}
