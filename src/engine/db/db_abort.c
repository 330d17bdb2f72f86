/*
 * db_abort.c
 *	  What an aborted call leaves behind in any of the trees.
 */
#include "engine/db/family.h"
#include "engine/job/compaction.h"
#include "engine/job/flush.h"
#include "engine/job/value_collect.h"
#include "engine/tree/claim.h"
#include "engine/tree/jobs.h"
#include "engine/tree/running.h"
#include "engine/tree/tree.h"
#include "engine/tree/write_control.h"

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
