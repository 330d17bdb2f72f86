/*
 * covered.c
 *	  Rows that a snapshot still sees although their keys are those of its own
 *	  transaction's rows by now.
 *
 * A transaction that keeps its snapshot sees a row that another one has
 * deleted or moved since; the key is free, so it may insert a row of its own
 * there, and sees both from then on, as on a heap.  (conflict.c: two rows, two
 * pieces of the key's versions with a tombstone between them, which the
 * snapshot does not see.)  The older one is "covered".  It remains visible,
 * too, if the newer one is deleted again by its own transaction.  There is one
 * covered row of a key at most: others' rows there that the snapshot sees ended
 * before it was taken, but for the last.
 *
 * A covered row is lost to its transaction for good: UPDATE, DELETE and row
 * locks that mean it fail with 40001.  So nothing has to name it but what
 * tells it from the newer one.  For row locks the scan says which it was.
 * What UPDATE and DELETE get from the plan is the whole row (modify/target.c): where the scans of
 * this transaction have shown covered rows, its content is compared.  If both
 * rows have the same content, so that a condition holds for both or for none,
 * the statement means both, and fails in any case.
 */
#include "postgres.h"

#include "access/xact.h"

#include "fdw/txn/covered.h"
#include "fdw/txn/damage.h"

/* A scan of this transaction has shown one. */
static bool shown;

typedef struct Walk
{
	const NvmkvVisibility *v;
	NvmkvSlice key;
	bool own;	 /* the newest version that is seen is passed, and is the transaction's own */
	bool lost;	 /* the row at hand has ended in a tombstone that is not seen: below it is what is looked for */
	NvmkvRowLoss loss;
	bool found;
	uint64 sequence;
	StringInfo value;
} Walk;

static NvmkvSight
sight_of(const Walk *walk, const NvmkvVersion *version)
{
	const NvmkvSnapshot *snapshot = &walk->v->engine;

	if ((version->type & NVMKV_TYPE_TAGGED_BIT) == 0)
		return NVMKV_SEEN;
	return snapshot->visible(snapshot->ctx, walk->key, version->txn.fxid, version->txn.cid,
							 (version->type & NVMKV_TYPE_COMMITTED_BIT) != 0, version->memo);
}

/* Has it never happened?  Asked for versions that are not seen. */
static bool
is_aborted(const NvmkvVersion *version)
{
	return nvmkv_tag_state(version->txn.fxid, (version->type & NVMKV_TYPE_COMMITTED_BIT) != 0, version->memo) ==
		NVMKV_TAG_ABORTED;
}

static bool
visit(void *ctx, const NvmkvVersion *version)
{
	Walk *walk = ctx;
	unsigned kind = version->type & NVMKV_TYPE_KIND_MASK;
	NvmkvSight sight;

	if (kind == NVMKV_KIND_LOCK || kind == NVMKV_KIND_RANGE_DELETION)
		return true;
	sight = sight_of(walk, version);
	if (!walk->own)
	{
		walk->own = sight == NVMKV_SEEN_OWN;
		return sight != NVMKV_SEEN;
	}
	if (kind == NVMKV_KIND_DELETION)
	{
		if (sight == NVMKV_UNSEEN && is_aborted(version))
			return true;
		walk->lost = sight == NVMKV_UNSEEN;
		walk->loss = version->value.size == 0 ? NVMKV_LOST_BY_DELETE : NVMKV_LOST_BY_UPDATE;
	}
	else if (sight != NVMKV_UNSEEN && walk->lost)
	{
		walk->found = true;
		walk->sequence = version->sequence;
		resetStringInfo(walk->value);
		appendBinaryStringInfo(walk->value, (const char *) version->value.data, (int) version->value.size);
	}
	return sight != NVMKV_SEEN && !walk->found;
}

bool
nvmkv_covered_row(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice key, const NvmkvVisibility *v, StringInfo value,
				  uint64 *sequence_out, NvmkvRowLoss *loss_out)
{
	Walk walk = {.v = v, .key = key, .value = value};

	nvmkv_visibility_of_key(key);
	nvmkv_check_table_status(nvmkv_versions(db, key, visit, &walk), "reading foreign table", table);
	if (sequence_out != NULL)
		*sequence_out = walk.sequence;
	if (loss_out != NULL)
		*loss_out = walk.found ? walk.loss : NVMKV_NOT_LOST;
	shown = shown || walk.found;
	return walk.found;
}

bool
nvmkv_covered_were_shown(void)
{
	return shown;
}

void
nvmkv_covered_forget(void)
{
	shown = false;
}
