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

void
resolve_abandon(NvmkvDb *db)
{
	port_free(db->resolving);
	db->resolving = NULL;
}

/* The transactions that are recorded as running; none: nothing is allocated. */
static NvmkvStatus
list_running(NvmkvDb *db, uint32_t *count_out)
{
	const VersionImage *v;
	const VersionOutcome *outcomes;
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	*count_out = 0;
	db_enter(db);
	v = versions_current(&db->versions);
	outcomes = version_outcomes(v);
	if (v->noutcomes > 0)
	{
		db->resolving = port_alloc(v->noutcomes * sizeof(MetaOutcome));
		if (db->resolving == NULL)
			st = NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for the outcomes of %u transactions", v->noutcomes);
	}
	for (i = 0; st == NVMKV_OK && i < v->noutcomes; i++)
		if (outcomes[i].state == VERSION_OUTCOME_RUNNING)
			db->resolving[(*count_out)++].fxid = outcomes[i].fxid;
	db_leave(db);
	return st;
}

/* Keeps those that have ended by now; returns their number. */
static uint32_t
keep_ended(NvmkvDb *db, uint32_t count)
{
	MetaOutcome *list = db->resolving;
	uint32_t n = 0;
	uint32_t i;

	if (count > 0 && db->txn.begin_job != NULL)
		db->txn.begin_job(db->txn.ctx);
	for (i = 0; i < count; i++)
	{
		NvmkvOutcome outcome = db->txn.outcome(db->txn.ctx, list[i].fxid);

		if (outcome == NVMKV_OUTCOME_RUNNING)
			continue;
		list[n].fxid = list[i].fxid;
		list[n++].state = outcome == NVMKV_OUTCOME_ABORTED ? VERSION_OUTCOME_ABORTED : VERSION_OUTCOME_COMMITTED;
	}
	return n;
}

NvmkvStatus
resolve_step(NvmkvDb *db, bool *did_out, bool *more_out)
{
	VersionEdit edit = {0};
	uint32_t running;
	NvmkvStatus st;

	*did_out = false;
	*more_out = false;
	if (!db->has_txn || db->txn.outcome == NULL)
		return NVMKV_OK;
	NVMKV_RETURN_IF(list_running(db, &running));
	edit.noutcomes = keep_ended(db, running);
	edit.outcomes = db->resolving;
	st = NVMKV_OK;
	if (edit.noutcomes > 0)
	{
		/* An outcome may be recorded only when the host cannot lose it any more. */
		st = db_flush_log(db, NVMKV_SEQUENCE_MAX);
		if (st == NVMKV_OK)
			st = db_install(db, &edit);
		*did_out = st == NVMKV_OK;
	}
	resolve_abandon(db);
	return st;
}
