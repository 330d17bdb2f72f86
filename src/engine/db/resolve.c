/*
 * resolve.c
 *	  Outcomes of transactions, kept in the version.
 *
 * A transaction that runs while entries of it go to rows or tables leaves its
 * tag there for as long as nothing rewrites them.  The host does not keep
 * outcomes for ever, so the edit that adds such a row or table lists its
 * running transactions, and once they have ended their outcomes are recorded by
 * another edit.  They are forgotten when no row or table can hold them any more
 * (draft_finish).
 */
#include "engine/db/db_int.h"
#include "engine/job/gc.h"

/* Recorded in this tree. */
static VersionOutcomeState
tree_outcome(NvmkvDb *db, uint64_t fxid)
{
	VersionOutcomeState state;

	db_enter(db);
	state = version_outcome(versions_current(&db->versions), fxid);
	db_leave(db);
	return state;
}

/* Each tree records the transactions of its own entries. */
NvmkvOutcome
nvmkv_recorded_outcome(NvmkvDb *db, uint64_t fxid)
{
	NvmkvOutcome outcome = NVMKV_OUTCOME_RUNNING;
	unsigned cursor = 0;
	NvmkvDb *tree;

	while (outcome == NVMKV_OUTCOME_RUNNING && family_next(db, &cursor, &tree) == NVMKV_OK && tree != NULL)
		switch (tree_outcome(tree, fxid))
		{
			case VERSION_OUTCOME_COMMITTED:
				outcome = NVMKV_OUTCOME_COMMITTED;
				break;
			case VERSION_OUTCOME_ABORTED:
				outcome = NVMKV_OUTCOME_ABORTED;
				break;
			case VERSION_OUTCOME_RUNNING:
				break;
		}
	family_leave(db, cursor);
	return outcome;
}

NvmkvOutcome
db_recorded_outcome(void *ctx, uint64_t fxid)
{
	return nvmkv_recorded_outcome(ctx, fxid);
}

NvmkvStatus
db_install_with_running(NvmkvDb *db, VersionEdit *edit, const GcFilter *gc)
{
	MetaOutcome *outcomes = port_alloc((gc->nrunning + 1) * sizeof(MetaOutcome));
	uint32_t i;
	NvmkvStatus st;

	if (outcomes == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	for (i = 0; i < gc->nrunning; i++)
	{
		outcomes[i].fxid = gc->running[i];
		outcomes[i].state = VERSION_OUTCOME_RUNNING;
	}
	edit->outcomes = outcomes;
	edit->noutcomes = gc->nrunning;
	st = db_install(db, edit);
	port_free(outcomes);
	edit->outcomes = NULL;
	edit->noutcomes = 0;
	return st;
}

/* The recorded transactions that have ended by now.  *ended_out: to be freed. */
static NvmkvStatus
collect_ended(NvmkvDb *db, MetaOutcome **ended_out, uint32_t *nended_out)
{
	VersionImage *v;
	const VersionOutcome *outcomes;
	MetaOutcome *ended;
	uint32_t n = 0;
	uint32_t i;

	NVMKV_RETURN_IF(db_copy_image(db, &v));
	ended = port_alloc((v->noutcomes + 1) * sizeof(MetaOutcome));
	if (ended == NULL)
	{
		port_free(v);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	}
	outcomes = version_outcomes(v);
	if (db->txn.begin_job != NULL)
		db->txn.begin_job(db->txn.ctx);
	for (i = 0; i < v->noutcomes; i++)
	{
		NvmkvOutcome outcome;

		if (outcomes[i].state != VERSION_OUTCOME_RUNNING)
			continue;
		outcome = db->txn.outcome(db->txn.ctx, outcomes[i].fxid);
		if (outcome == NVMKV_OUTCOME_RUNNING)
			continue;
		ended[n].fxid = outcomes[i].fxid;
		ended[n].state = outcome == NVMKV_OUTCOME_ABORTED ? VERSION_OUTCOME_ABORTED : VERSION_OUTCOME_COMMITTED;
		n++;
	}
	port_free(v);
	*ended_out = ended;
	*nended_out = n;
	return NVMKV_OK;
}

NvmkvStatus
resolve_step(NvmkvDb *db, bool *did_out, bool *more_out)
{
	VersionEdit edit = {0};
	MetaOutcome *ended;
	bool any;
	NvmkvStatus st;

	*did_out = false;
	*more_out = false;
	if (!db->has_txn || db->txn.outcome == NULL)
		return NVMKV_OK;
	db_enter(db);
	any = versions_current(&db->versions)->noutcomes > 0;
	db_leave(db);
	if (!any)
		return NVMKV_OK;
	NVMKV_RETURN_IF(collect_ended(db, &ended, &edit.noutcomes));
	st = NVMKV_OK;
	if (edit.noutcomes > 0)
	{
		edit.outcomes = ended;
		/* An outcome may be recorded only when the host cannot lose it any more. */
		st = db_flush_log(db, NVMKV_SEQUENCE_MAX);
		if (st == NVMKV_OK)
			st = db_install(db, &edit);
		*did_out = st == NVMKV_OK;
	}
	port_free(ended);
	return st;
}
