/*
 * dropped.c
 *	  See dropped.h.
 */
#include "engine/read/dropped.h"

#include "engine/tree/failure.h"
#include "engine/tree/tree.h"

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
