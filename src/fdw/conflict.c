/*
 * conflict.c
 *	  The walk over a key's versions that decides whether a write may go on.
 *
 * Newest to oldest: aborted versions never happened; lock entries count while
 * their transaction runs; the first data version that was not aborted is the
 * row.  Nothing older can be undecided: whoever wrote that version has waited
 * for its predecessor's transaction, and for locks that stood in its way.
 */
#include "postgres.h"

#include "fdw/conflict.h"
#include "fdw/engine.h"
#include "fdw/visibility.h"

typedef struct Walk
{
	const NvmkvRowQuery *query;
	NvmkvRowView *view;
	bool settled; /* the newest data version is found; now for "replaced" */
} Walk;

static bool
is_tagged(const NvmkvVersion *version)
{
	return (version->type & NVMKV_TYPE_TAGGED_BIT) != 0;
}

static bool
is_known_committed(const NvmkvVersion *version)
{
	return (version->type & NVMKV_TYPE_COMMITTED_BIT) != 0;
}

static bool
is_visible(const NvmkvVersion *version, Snapshot snapshot)
{
	return !is_tagged(version) ||
		nvmkv_tag_is_visible(snapshot, version->txn.fxid, version->txn.cid, is_known_committed(version), version->memo);
}

static NvmkvTagState
tag_state(const NvmkvVersion *version)
{
	if (!is_tagged(version))
		return NVMKV_TAG_COMMITTED;
	return nvmkv_tag_state(version->txn.fxid, is_known_committed(version), version->memo);
}

static bool
wait_for(Walk *walk, const NvmkvVersion *version)
{
	walk->view->state = NVMKV_ROW_WAIT;
	walk->view->wait_xid = (TransactionId) version->txn.fxid;
	return false;
}

static bool
see_lock(Walk *walk, const NvmkvVersion *version)
{
	NvmkvLockMode mode;

	if (version->value.size != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("row lock of a foreign table has %zu bytes instead of 1", version->value.size)));
	mode = (NvmkvLockMode) version->value.data[0];

	switch (nvmkv_lock_state(version->txn.fxid))
	{
		case NVMKV_TAG_OWN:
			if (mode > walk->view->own_lock)
				walk->view->own_lock = mode;
			break;
		case NVMKV_TAG_IN_PROGRESS:
			if (walk->query->want != NVMKV_LOCK_NONE &&
				(walk->query->want == NVMKV_LOCK_EXCLUSIVE || mode == NVMKV_LOCK_EXCLUSIVE))
				return wait_for(walk, version);
			break;
		case NVMKV_TAG_COMMITTED:
		case NVMKV_TAG_ABORTED:
			break;
	}
	return true;
}

/* A tombstone stands where the row was: is it somewhere else now? */
static void
note_move(const Walk *walk, const NvmkvVersion *version)
{
	if (walk->query->moved == NULL || version->value.size == 0)
		return;
	walk->view->moved_sequence = version->sequence;
	resetStringInfo(walk->query->moved);
	appendBinaryStringInfo(walk->query->moved, (const char *) version->value.data, (int) version->value.size);
}

static bool
see_newest(Walk *walk, const NvmkvVersion *version)
{
	const NvmkvRowQuery *query = walk->query;
	NvmkvRowView *view = walk->view;
	NvmkvTagState state = tag_state(version);

	if (state == NVMKV_TAG_ABORTED)
		return true;
	if (state == NVMKV_TAG_IN_PROGRESS)
		return wait_for(walk, version);

	view->state = (version->type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_VALUE ? NVMKV_ROW_LIVE : NVMKV_ROW_DELETED;
	view->sequence = version->sequence;
	view->own = state == NVMKV_TAG_OWN;
	view->cid = version->txn.cid;
	view->visible = query->snapshot != NULL && is_visible(version, query->snapshot);

	if (view->state == NVMKV_ROW_LIVE &&
		(query->copy == NVMKV_COPY_ALWAYS || (query->copy == NVMKV_COPY_CHANGED && !view->visible)))
	{
		resetStringInfo(query->value);
		appendBinaryStringInfo(query->value, (const char *) version->value.data, (int) version->value.size);
	}

	if (view->state == NVMKV_ROW_DELETED && !view->own)
		note_move(walk, version);

	walk->settled = true;
	return query->snapshot != NULL && view->state == NVMKV_ROW_LIVE && !view->visible && !view->own;
}

/* Between the newest version and the one the snapshot sees: has the row been deleted and made anew? */
static bool
see_older(Walk *walk, const NvmkvVersion *version)
{
	if (version->sequence == walk->view->sequence)
		return true; /* shown twice */
	if (version->sequence <= walk->query->origin || is_visible(version, walk->query->snapshot))
		return false;
	if ((version->type & NVMKV_TYPE_KIND_MASK) != NVMKV_KIND_DELETION || tag_state(version) == NVMKV_TAG_ABORTED)
		return true;
	walk->view->replaced = true;
	note_move(walk, version);
	return false;
}

static bool
visit(void *ctx, const NvmkvVersion *version)
{
	Walk *walk = ctx;

	switch (version->type & NVMKV_TYPE_KIND_MASK)
	{
		case NVMKV_KIND_LOCK:
			return walk->settled || see_lock(walk, version);
		case NVMKV_KIND_VALUE:
		case NVMKV_KIND_DELETION:
			return walk->settled ? see_older(walk, version) : see_newest(walk, version);
		default:
			return true; /* range deletions have keys of their own */
	}
}

void
nvmkv_row_view(NvmkvDb *db, NvmkvSlice key, const NvmkvRowQuery *query, NvmkvRowView *view_out)
{
	Walk walk = {.query = query, .view = view_out};

	memset(view_out, 0, sizeof(*view_out));
	view_out->state = NVMKV_ROW_ABSENT;
	nvmkv_visibility_of_key(key);
	nvmkv_check_status(nvmkv_versions(db, key, visit, &walk), "looking up a key before writing it", NULL);
}
