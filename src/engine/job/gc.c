/*
 * gc.c
 *	  Keep, freeze or drop: see gc.h.
 */
#include "engine/job/gc.h"

#include "engine/base/ikey.h"
#include "engine/port/port.h"

#define STORAGE_BYTES 8

void
gc_init(GcFilter *gc, const NvmkvTxnOps *txn, bool bottom,
		NvmkvStatus (*dropped)(void *ctx, NvmkvSlice storage, bool *dropped_out), void *ctx)
{
	memset(gc, 0, sizeof(*gc));
	gc->txn = txn;
	gc->bottom = bottom;
	gc->dropped = dropped;
	gc->ctx = ctx;
	if (txn != NULL && txn->begin_job != NULL)
		txn->begin_job(txn->ctx);
	if (txn != NULL && txn->horizon != NULL)
		gc->horizon = txn->horizon(txn->ctx);
}

void
gc_free(GcFilter *gc)
{
	nvmkv_buf_free(&gc->key);
}

static NvmkvOutcome
outcome_of(GcFilter *gc, uint64_t fxid)
{
	unsigned slot = (unsigned) (fxid % GC_OUTCOMES);

	if (gc->txn == NULL || gc->txn->outcome == NULL)
		return NVMKV_OUTCOME_RUNNING;
	/* One answer a job and transaction: versions of one transaction must be judged alike. */
	if (gc->outcomes[slot].fxid != fxid)
	{
		NvmkvOutcome outcome = gc->txn->outcome(gc->txn->ctx, fxid);

		if (outcome == NVMKV_OUTCOME_COMMITTED && fxid < gc->horizon)
			outcome = NVMKV_OUTCOME_FROZEN;
		gc->outcomes[slot].outcome = outcome;
		gc->outcomes[slot].fxid = fxid;
	}
	return gc->outcomes[slot].outcome;
}

/* A new key begins. */
static NvmkvStatus
start_key(GcFilter *gc, NvmkvSlice key)
{
	bool same_storage = gc->have_key && gc->key.size >= STORAGE_BYTES && key.size >= STORAGE_BYTES &&
		memcmp(gc->key.data, key.data, STORAGE_BYTES) == 0;

	if (!same_storage)
	{
		gc->storage_dropped = false;
		if (gc->dropped != NULL && key.size >= STORAGE_BYTES)
			NVMKV_RETURN_IF(gc->dropped(gc->ctx, nvmkv_slice(key.data, STORAGE_BYTES), &gc->storage_dropped));
	}
	NVMKV_RETURN_IF(nvmkv_buf_set(&gc->key, key));
	gc->have_key = true;
	gc->frozen_seen = false;
	gc->last_sequence = UINT64_MAX;
	return NVMKV_OK;
}

NvmkvStatus
gc_next(GcFilter *gc, NvmkvSlice key, uint64_t *tag, NvmkvSlice *payload, bool *keep_out)
{
	unsigned kind = ikey_kind(*tag);
	uint64_t sequence = ikey_sequence(*tag);
	NvmkvOutcome outcome = NVMKV_OUTCOME_FROZEN;

	*keep_out = false;
	if (!gc->have_key || !slice_equal(nvmkv_buf_slice(&gc->key), key))
		NVMKV_RETURN_IF(start_key(gc, key));
	else if (sequence == gc->last_sequence)
		return NVMKV_OK; /* the same write, in two sources after a replay; the newer source came first */
	gc->last_sequence = sequence;

	if (gc->frozen_seen || (gc->storage_dropped && kind != NVMKV_KIND_RANGE_DELETION))
	{
		gc->dropped_obsolete++;
		return NVMKV_OK;
	}
	if (ikey_is_tagged(*tag))
	{
		NvmkvTxnTag txn = {0, 0};
		NvmkvSlice value;

		NVMKV_RETURN_IF(ikey_split_payload(*tag, *payload, &txn, &value));
		if ((ikey_type(*tag) & NVMKV_TYPE_COMMITTED_BIT) != 0)
			outcome = txn.fxid < gc->horizon ? NVMKV_OUTCOME_FROZEN : NVMKV_OUTCOME_COMMITTED;
		else
			outcome = outcome_of(gc, txn.fxid);
		if (outcome == NVMKV_OUTCOME_ABORTED)
		{
			gc->dropped_aborted++;
			return NVMKV_OK;
		}
		if (kind == NVMKV_KIND_LOCK)
		{
			*keep_out = outcome != NVMKV_OUTCOME_FROZEN;
			if (!*keep_out)
				gc->dropped_obsolete++;
			return NVMKV_OK;
		}
		if (outcome == NVMKV_OUTCOME_COMMITTED)
			*tag |= NVMKV_TYPE_COMMITTED_BIT;
		else if (outcome == NVMKV_OUTCOME_FROZEN)
		{
			*tag &= ~(uint64_t) (NVMKV_TYPE_COMMITTED_BIT | NVMKV_TYPE_TAGGED_BIT);
			*payload = value;
			gc->frozen++;
		}
	}
	if (outcome == NVMKV_OUTCOME_FROZEN)
	{
		gc->frozen_seen = true;
		if (kind == NVMKV_KIND_DELETION && gc->bottom && (gc->needed == NULL || !gc->needed(gc->ctx, key, sequence)))
		{
			gc->dropped_obsolete++;
			return NVMKV_OK;
		}
		if (kind == NVMKV_KIND_RANGE_DELETION && gc->elsewhere != NULL)
		{
			bool elsewhere;

			NVMKV_RETURN_IF(gc->elsewhere(gc->ctx, key, &elsewhere));
			if (!elsewhere)
			{
				gc->dropped_obsolete++;
				return NVMKV_OK;
			}
		}
	}
	*keep_out = true;
	return NVMKV_OK;
}

void
gc_count(NvmkvDb *db, const GcFilter *gc)
{
	port_count(&db->shm->counters.entries_frozen, gc->frozen);
	port_count(&db->shm->counters.entries_dropped_aborted, gc->dropped_aborted);
	port_count(&db->shm->counters.entries_dropped_obsolete, gc->dropped_obsolete);
}
