/*
 * pool_agreement.c
 *	  See pool_agreement.h.
 */
#include "engine/meta/pool_agreement.h"

#include <inttypes.h>
#include <stdio.h>

/* A position of the log as the server writes it. */
#define POSITION "%" PRIX32 "/%" PRIX32
#define POSITION_ARGS(p) (uint32_t) ((p) >> 32), (uint32_t) (p)

void
pool_known_of_version(const VersionImage *v, PoolKnown *known)
{
	uint32_t i;

	*known = (PoolKnown){.owner = {v->system_identifier, v->pool_id, v->generation, v->successor},
						 .stamp_number = v->stamp_number,
						 .position = v->durable_seq,
						 .has_rows = v->nrows > 0};
	for (i = 0; i < v->nrows; i++)
		if (v->rows[i].row_id > known->last_row)
			known->last_row = v->rows[i].row_id;
}

void
pool_known_of_draft(const VersionDraft *d, PoolKnown *known)
{
	uint32_t i;

	*known = (PoolKnown){.owner = {d->system_identifier, d->pool_id, d->generation, d->successor},
						 .stamp_number = d->stamp_number,
						 .position = d->durable_seq,
						 .has_rows = d->nrows > 0};
	for (i = 0; i < d->nrows; i++)
		if (d->rows[i].row_id > known->last_row)
			known->last_row = d->rows[i].row_id;
}

static NvmkvStatus
another(const PoolKnown *known, const char *path, const NvmPoolStamp *stamp)
{
	char found[200] = "it does not say who opened it last";
	char successor[40] = "";

	if (stamp->number != 0)
		(void) snprintf(found, sizeof(found), "it was opened %s as generation %016" PRIx64 ", at log position " POSITION,
						stamp->number >= known->stamp_number ? "since with another copy of the database," : "last",
						stamp->generation, POSITION_ARGS(stamp->position));
	if (known->owner.successor != 0)
		(void) snprintf(successor, sizeof(successor), " or %016" PRIx64, known->owner.successor);
	return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" is of another time or another server: %s; the manifest names %016" PRIx64
					  "%s, and has what was written up to " POSITION, path, found, known->owner.generation, successor,
					  POSITION_ARGS(known->position));
}

NvmkvStatus
pool_agrees(const PoolKnown *known, const char *path, const NvmPoolHeader *header, const NvmPoolStamp *stamp)
{
	if (!known->has_rows && stamp->number == 0)
		return NVMKV_OK;
	if (!nvm_pool_is_owned(&known->owner, header, stamp))
		return another(known, path, stamp);
	if (stamp->number != 0 && stamp->last_row < known->last_row)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" is of another time or another server: it is of generation %016" PRIx64
						  " and has rows up to number %" PRIu64 "; the manifest names number %" PRIu64
						  ", and has what was written up to " POSITION, path, stamp->generation, stamp->last_row,
						  known->last_row, POSITION_ARGS(known->position));
	return NVMKV_OK;
}
