/*
 * conflict.c
 *	  What a row is, and the walk over a key's versions that tells what has
 *	  become of it.
 *
 * THE IDENTITY OF A ROW.  A row is a chain of versions, as on a heap.
 * Versions of aborted (sub)transactions never happened.  Of the others:
 *	  - a value at a key where nothing was, or above a tombstone, begins a row,
 *		or is the arrival of one that had another key;
 *	  - a value above a value follows it: the row was updated in place;
 *	  - a tombstone ends the row at this key.  Without a value of its own the
 *		row is deleted.  Else the row goes on at the key the tombstone names,
 *		in its arrival: the oldest value there that is newer than the tombstone
 *		and was written by the same command of the same transaction.  (A command
 *		changes a row once, so no other row arrives there in that command.)
 *		Or it has left for another partition, and its chain ends.
 * So what follows a version v of a row is what stands right above v at its
 * key; if the oldest tombstone above v is there, whatever stands above it
 * belongs to other rows, or to the same row after it came back.  The same row
 * is found there by going along the chain, never by looking at its key.
 *
 * A statement names a row by a version, the anchor: the one its snapshot has
 * shown; the one it has found and locked; the arrival of a row it follows; or
 * the newest of all, when it is for the key (INSERT, ON CONFLICT).
 *
 * WHO WAITS.  Only the newest versions of a row can be undecided, and they are
 * of one transaction: whoever writes a version has waited for the writer of
 * the one before.  While they are, they are locks, too: a tombstone of the
 * strongest kind, a value of the kind NO KEY UPDATE.  Transactions that write
 * other rows at the key, above the row's tombstone, concern nobody here.
 *
 * LOCKS are entries between the versions.  They count while their transaction
 * runs, and are looked for down to the newest version of a transaction that
 * has ended.  Who writes a version upon a row that others have locked (FOR KEY
 * SHARE, else it would have waited) writes their locks again above it
 * ("standing").  A lock is its transaction's, whoever wrote the entry: it is
 * kept over PREPARE and a crash as that transaction is, and ends with it.
 *
 * A lock is on the version right below its entry and on those that followed
 * it.  FOR KEY SHARE may lock a row that has been updated in place, as it was
 * before: such a lock is on the versions from that one on, and its entry says
 * so.  Who finds his version changed against his snapshot waits, as on a heap,
 * for those who have it locked before he hears of his loss; those who have
 * locked later versions only do not concern him.
 */
#include "postgres.h"

#include "engine/base/coding.h"
#include "fdw/txn/conflict.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/visibility.h"

static const char looking[] = "looking up a key before writing it in foreign table"; /* what is done, for messages */

/* A data version as far as it matters after the walk. */
typedef struct Found
{
	bool there;
	NvmkvTagState state;
	uint64 sequence;
	uint64 fxid;
	CommandId cid;
} Found;

typedef struct Walk
{
	const NvmkvRowQuery *query;
	NvmkvRowView *view;
	bool anchored;		/* the anchor is passed */
	bool bottom;		/* a version of a transaction that has ended is passed: older locks do not count */
	Found current;		/* newest value below "end" */
	bool visible;		/* the snapshot sees it */
	Found above; /* the version above the one at hand */
	bool deleted_above;
	bool value_above;
	bool for_update_above; /* its transaction had locked the one at hand */
	bool again_above; /* of the same row, further up, there is one that has committed, and stands against the wish */
	Found end;			/* oldest tombstone above the anchor, or the anchor itself */
	uint64 lock_holder; /* the oldest whose lock stands against the wish; 0: nobody's */
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

/* ---------------------------------------------------------------- locks */

static NvmkvLockMode
lock_mode(const NvmkvVersion *version)
{
	if ((version->value.size != 1 && version->value.size != 1 + sizeof(uint64)) ||
		version->value.data[0] < NVMKV_LOCK_SHARE || version->value.data[0] > NVMKV_LOCK_NO_KEY_UPDATE)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("row lock of a foreign table has an unknown mode (%zu bytes)", version->value.size)));
	return (NvmkvLockMode) version->value.data[0];
}

/* The sequence of the oldest version that it is on, if that is not the one below it; else UINT64_MAX. */
static uint64
lock_from(const NvmkvVersion *version)
{
	return version->value.size > 1 ? get_u64(version->value.data + 1) : PG_UINT64_MAX;
}

/* Each once. */
static void
add_standing(StringInfo standing, uint64 fxid)
{
	for (int i = 0; i < standing->len; i += (int) sizeof(fxid))
	{
		if (memcmp(standing->data + i, &fxid, sizeof(fxid)) == 0)
			return;
	}
	appendBinaryStringInfo(standing, (const char *) &fxid, sizeof(fxid));
}

static void
add_holder(StringInfo holders, const NvmkvVersion *lock)
{
	NvmkvLockHolder holder = {.fxid = lock->txn.fxid, .from = lock_from(lock)};

	appendBinaryStringInfo(holders, (const char *) &holder, sizeof(holder));
}

/* The version below the last locks is known: those that have not said more are on it. */
static void
place_holders(StringInfo holders, uint64 sequence)
{
	NvmkvLockHolder *holder = (NvmkvLockHolder *) holders->data;

	for (int i = 0; i < holders->len / (int) sizeof(*holder); i++)
	{
		if (holder[i].from == PG_UINT64_MAX)
			holder[i].from = sequence;
	}
}

/* Only those remain that are on this version. */
static void
keep_holders_of(StringInfo holders, uint64 sequence)
{
	NvmkvLockHolder *holder = (NvmkvLockHolder *) holders->data;
	int kept = 0;

	for (int i = 0; i < holders->len / (int) sizeof(*holder); i++)
	{
		if (holder[i].from <= sequence)
			holder[kept++] = holder[i];
	}
	holders->len = kept * (int) sizeof(*holder);
}

static void
note_own_lock(NvmkvRowView *view, NvmkvLockMode mode)
{
	if (nvmkv_lock_strength(mode) > nvmkv_lock_strength(view->own_lock))
		view->own_lock = mode;
}

static void
see_lock(Walk *walk, const NvmkvVersion *version)
{
	NvmkvLockMode mode = lock_mode(version);

	switch (nvmkv_lock_state(version->txn.fxid))
	{
		case NVMKV_TAG_OWN:
			note_own_lock(walk->view, mode);
			break;
		case NVMKV_TAG_IN_PROGRESS:
			if (!nvmkv_locks_conflict(walk->query->want, mode))
			{
				if (walk->query->standing != NULL && mode == NVMKV_LOCK_KEY_SHARE)
					add_standing(walk->query->standing, version->txn.fxid);
			}
			else if (walk->lock_holder == 0 || version->txn.fxid < walk->lock_holder)
				walk->lock_holder = version->txn.fxid; /* as on a heap: they are waited for one by one, in this order */
			break;
		case NVMKV_TAG_COMMITTED:
		case NVMKV_TAG_ABORTED:
			break;
	}
}

/* On whichever of the versions down to the anchor. */
static void
see_holder(Walk *walk, const NvmkvVersion *version)
{
	if (walk->query->holders != NULL && !walk->anchored &&
		nvmkv_locks_conflict(walk->query->want, lock_mode(version)) &&
		nvmkv_lock_state(version->txn.fxid) == NVMKV_TAG_IN_PROGRESS)
		add_holder(walk->query->holders, version);
}

/* ---------------------------------------------------------------- versions */

static bool
is_anchor(const NvmkvRowQuery *query, const NvmkvVersion *version)
{
	const NvmkvRowAnchor *anchor = &query->anchor;

	switch (anchor->kind)
	{
		case NVMKV_ANCHOR_SNAPSHOT:
			return is_visible(version, query->snapshot);
		case NVMKV_ANCHOR_NEWEST:
			return true;
		case NVMKV_ANCHOR_VERSION:
			return version->sequence == anchor->sequence;
		case NVMKV_ANCHOR_ARRIVAL:
			return (version->type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_VALUE && version->sequence > anchor->sequence &&
				is_tagged(version) && version->txn.fxid == anchor->fxid && version->txn.cid == anchor->cid;
	}
	return false;
}

static void
note(Found *found, const NvmkvVersion *version, NvmkvTagState state)
{
	found->there = true;
	found->state = state;
	found->sequence = version->sequence;
	found->fxid = version->txn.fxid;
	found->cid = version->txn.cid;
}

static void
see_value(Walk *walk, const NvmkvVersion *version, NvmkvTagState state, bool anchor)
{
	const NvmkvRowQuery *query = walk->query;
	bool first = !walk->current.there;

	if (first)
	{
		note(&walk->current, version, state);
		walk->visible = query->snapshot != NULL && is_visible(version, query->snapshot);
	}
	if (query->any_version ? !anchor : !first)
		return;
	if (query->copy == NVMKV_COPY_ALWAYS || (query->copy == NVMKV_COPY_CHANGED && !walk->visible))
	{
		resetStringInfo(query->value);
		appendBinaryStringInfo(query->value, (const char *) version->value.data, (int) version->value.size);
	}
}

static void
see_tombstone(Walk *walk, const NvmkvVersion *version, NvmkvTagState state)
{
	note(&walk->end, version, state);
	walk->current.there = false;
	walk->view->has_moved = version->value.size > 0;
	if (walk->query->moved != NULL)
	{
		resetStringInfo(walk->query->moved);
		appendBinaryStringInfo(walk->query->moved, (const char *) version->value.data, (int) version->value.size);
	}
}

/* Has the version above changed its row, for good, in a way that stands against the wish? */
static bool
stands_against(const Walk *walk)
{
	bool keeps_key = walk->value_above && !walk->for_update_above;

	return walk->above.there && walk->above.state == NVMKV_TAG_COMMITTED &&
		nvmkv_locks_conflict(walk->query->want, keeps_key ? NVMKV_LOCK_NO_KEY_UPDATE : NVMKV_LOCK_EXCLUSIVE);
}

/* The version above the anchor says it. */
static void
note_anchor(Walk *walk, uint64 sequence)
{
	NvmkvRowView *view = walk->view;

	walk->anchored = true;
	view->anchor = sequence;
	if (walk->query->holders != NULL)
		keep_holders_of(walk->query->holders, sequence);
	view->in_place = walk->value_above;
	view->for_update = walk->value_above && walk->for_update_above;
	view->changed_again = walk->again_above;
	if (!walk->above.there || walk->above.state != NVMKV_TAG_COMMITTED ||
		(walk->query->any_version && !walk->end.there))
		return;
	view->loss = walk->deleted_above ? NVMKV_LOST_BY_DELETE : NVMKV_LOST_BY_UPDATE;
}

/* Is this lock, which is not rolled back, that of the transaction that has written the version above? */
static bool
is_writers_lock(const Walk *walk, const NvmkvVersion *lock)
{
	return nvmkv_same_transaction(walk->above.fxid, lock->txn.fxid) &&
		nvmkv_tag_state(lock->txn.fxid, false, NULL) != NVMKV_TAG_ABORTED;
}

static bool
visit(void *ctx, const NvmkvVersion *version)
{
	Walk *walk = ctx;
	unsigned kind = version->type & NVMKV_TYPE_KIND_MASK;
	NvmkvTagState state;

	if (kind == NVMKV_KIND_LOCK)
	{
		if (!walk->bottom)
			see_lock(walk, version);
		see_holder(walk, version);
		if (walk->above.there && !walk->anchored && walk->value_above && lock_mode(version) == NVMKV_LOCK_EXCLUSIVE)
			walk->for_update_above |= is_writers_lock(walk, version);
		return true;
	}
	if (kind == NVMKV_KIND_RANGE_DELETION)
		return true; /* they have keys of their own */

	state = tag_state(version);
	if (state == NVMKV_TAG_ABORTED)
		return true;
	if (!walk->anchored)
	{
		if (walk->query->holders != NULL)
			place_holders(walk->query->holders, version->sequence);
		if (is_anchor(walk->query, version))
			note_anchor(walk, version->sequence);
		if (kind == NVMKV_KIND_VALUE)
			see_value(walk, version, state, walk->anchored);
		else
			see_tombstone(walk, version, state);
		/* Above a tombstone are other rows. */
		walk->again_above = kind == NVMKV_KIND_VALUE && (walk->again_above || stands_against(walk));
		note(&walk->above, version, state);
		walk->value_above = kind == NVMKV_KIND_VALUE;
		walk->deleted_above = kind == NVMKV_KIND_DELETION && version->value.size == 0;
		walk->for_update_above = false;
	}
	if (state == NVMKV_TAG_COMMITTED)
	{
		if (walk->view->base == 0)
			walk->view->base = version->sequence;
		walk->bottom = true;
	}
	return !(walk->anchored && walk->bottom);
}

/* ---------------------------------------------------------------- the answer */

static void
wait_for(NvmkvRowView *view, uint64 fxid)
{
	view->state = NVMKV_ROW_WAIT;
	view->wait_xid = (TransactionId) fxid;
}

static void
conclude_ended(const Walk *walk, NvmkvRowView *view)
{
	const Found *end = &walk->end;

	if (end->state == NVMKV_TAG_IN_PROGRESS)
	{
		wait_for(view, end->fxid);
		return;
	}
	view->state = NVMKV_ROW_DELETED;
	view->own = end->state == NVMKV_TAG_OWN;
	view->sequence = end->sequence;
	view->cid = end->cid;
	view->arrival = (NvmkvRowAnchor){NVMKV_ANCHOR_ARRIVAL, end->sequence, end->fxid, end->cid};
}

static void
conclude_live(const Walk *walk, NvmkvRowView *view)
{
	const Found *current = &walk->current;

	view->own = current->state == NVMKV_TAG_OWN;
	if (view->own)
		note_own_lock(view, NVMKV_LOCK_NO_KEY_UPDATE);
	if (current->state == NVMKV_TAG_IN_PROGRESS && !walk->query->any_version)
		wait_for(view, current->fxid);
	else if (walk->lock_holder != 0)
	{
		wait_for(view, walk->lock_holder);
		view->wait_for_lock = true;
	}
	else
		view->state = NVMKV_ROW_LIVE;
	view->sequence = current->sequence;
	view->cid = current->cid;
	view->visible = walk->visible || (walk->query->any_version && !view->own);
}

void
nvmkv_row_view(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice key, const NvmkvRowQuery *query,
			   NvmkvRowView *view_out)
{
	Walk walk = {.query = query, .view = view_out};

	memset(view_out, 0, sizeof(*view_out));
	if (query->standing != NULL)
		resetStringInfo(query->standing);
	if (query->holders != NULL)
		resetStringInfo(query->holders);

	nvmkv_visibility_of_key(key);
	nvmkv_check_table_status(nvmkv_versions(db, key, visit, &walk), looking, table);

	if (!walk.anchored)
		view_out->state = NVMKV_ROW_ABSENT;
	else if (walk.end.there)
		conclude_ended(&walk, view_out);
	else
		conclude_live(&walk, view_out);
}

/* ---------------------------------------------------------------- the short answer */

typedef struct ShortWalk
{
	NvmkvSlice key;
	uint64 sequence;
	bool met; /* an entry that decides */
	bool untouched;
} ShortWalk;

static bool
visit_first(void *ctx, const NvmkvVersion *version)
{
	ShortWalk *walk = ctx;
	unsigned kind = version->type & NVMKV_TYPE_KIND_MASK;

	nvmkv_visibility_of_key(walk->key);
	if (kind == NVMKV_KIND_LOCK ? nvmkv_lock_state(version->txn.fxid) != NVMKV_TAG_IN_PROGRESS
								: version->sequence != walk->sequence && tag_state(version) == NVMKV_TAG_ABORTED)
		return true;
	walk->met = true;
	walk->untouched = version->sequence == walk->sequence;
	return false;
}

static bool
found_untouched(const ShortWalk *walk, bool all)
{
	return walk->untouched || (!walk->met && !all);
}

bool
nvmkv_row_is_untouched(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice key, uint64 sequence, uint64 mark)
{
	ShortWalk walk = {.key = key, .sequence = sequence};
	bool all;

	nvmkv_check_table_status(nvmkv_versions_since(db, key, mark, visit_first, &walk, &all), looking, table);
	return found_untouched(&walk, all);
}

void
nvmkv_rows_look(NvmkvDb *db, const NvmkvTable *table, NvmkvRowLook *rows, unsigned n)
{
	ShortWalk walks[NVMKV_ROW_LOOKS];
	NvmkvLook looks[NVMKV_ROW_LOOKS];

	Assert(n <= NVMKV_ROW_LOOKS);
	for (unsigned i = 0; i < n; i++)
	{
		walks[i] = (ShortWalk){.key = rows[i].key, .sequence = rows[i].sequence};
		looks[i] = (NvmkvLook){.key = rows[i].key, .mark = rows[i].mark, .ctx = &walks[i]};
	}
	nvmkv_check_table_status(nvmkv_versions_of_keys(db, looks, n, visit_first), looking, table);
	for (unsigned i = 0; i < n; i++)
		rows[i].untouched = found_untouched(&walks[i], looks[i].all);
}
