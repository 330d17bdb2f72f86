/*
 * emptied.c
 *	  Ranges of keys in which there is nothing to be seen: see emptied.h.
 *
 * All of a group is changed under its lock (PORT_RANK_EMPTIED, nothing is taken
 * under it); how many ranges it has is read without.
 */
#include "engine/tree/emptied.h"

#include "engine/base/filter.h"

void
emptied_init(EmptiedShm *shm)
{
	unsigned i;

	for (i = 0; i < EMPTIED_GROUPS; i++)
		port_lock_init(&shm->groups[i].lock, PORT_RANK_EMPTIED);
}

static inline EmptiedGroup *
group_of(NvmkvDb *db, uint64_t prefix_hash)
{
	return &db->shm->emptied.groups[prefix_hash % EMPTIED_GROUPS];
}

static inline NvmkvSlice
key_of(const EmptiedKey *key)
{
	return nvmkv_slice(key->bytes, key->size);
}

/* Cut, if need be: that is a smaller key, and no other one is between it and any key that begins so. */
static void
set_cut(EmptiedKey *at, NvmkvSlice key)
{
	at->size = key.size < EMPTIED_KEY_BYTES ? (uint32_t) key.size : EMPTIED_KEY_BYTES;
	memcpy(at->bytes, key.data, at->size);
}

/* The least key above this one; false: it is too long. */
static bool
set_successor(EmptiedKey *at, NvmkvSlice key)
{
	if (key.size >= EMPTIED_KEY_BYTES)
		return false;
	memcpy(at->bytes, key.data, key.size);
	at->bytes[key.size] = 0;
	at->size = (uint32_t) key.size + 1;
	return true;
}

static inline bool
is_at_or_below(const EmptiedKey *a, NvmkvSlice b)
{
	return slice_compare(key_of(a), b) <= 0;
}

static inline bool
is_below(const EmptiedKey *a, NvmkvSlice b)
{
	return slice_compare(key_of(a), b) < 0;
}

static inline bool
is_nothing(const EmptiedRange *range)
{
	return slice_compare(key_of(&range->low), key_of(&range->upper)) >= 0;
}

static void
free_range(NvmkvDb *db, EmptiedGroup *group, EmptiedRange *range)
{
	range->used = false;
	range->generation[0] = range->generation[1] = 0;
	port_store_relaxed(&group->count, group->count - 1);
	port_count(&db->shm->emptied.count, UINT64_MAX);
}

/* ---- scans ---- */

NvmkvStatus
emptied_find(NvmkvDb *db, uint64_t prefix_hash, NvmkvSlice key, bool reverse, NvmkvBuf *to_out, bool *found_out)
{
	EmptiedGroup *group = group_of(db, prefix_hash);
	NvmkvStatus st = NVMKV_OK;
	bool more = true;

	*found_out = false;
	if (port_load_relaxed(&group->count) == 0)
		return NVMKV_OK;
	port_lock_shared(&group->lock);
	/* Where one ends the next may begin; none is found twice, because each leads further. */
	while (more && st == NVMKV_OK)
	{
		unsigned i;

		more = false;
		for (i = 0; i < EMPTIED_IN_GROUP; i++)
		{
			EmptiedRange *range = &group->ranges[i];

			if (!range->used ||
				!(reverse ? is_below(&range->low, key) && !is_below(&range->upper, key)
						  : is_at_or_below(&range->low, key) && !is_at_or_below(&range->upper, key)))
				continue;
			port_store_relaxed(&range->used_at, port_load_relaxed(&group->clock));
			st = nvmkv_buf_set(to_out, key_of(reverse ? &range->low : &range->upper));
			key = nvmkv_buf_slice(to_out);
			*found_out = more = st == NVMKV_OK;
			break;
		}
	}
	port_lock_release(&group->lock);
	return st;
}

/* The range that the place can extend: it is in it, or at its end. */
static EmptiedRange *
range_at(EmptiedGroup *group, NvmkvSlice key)
{
	unsigned i;

	for (i = 0; i < EMPTIED_IN_GROUP; i++)
	{
		EmptiedRange *range = &group->ranges[i];

		if (range->used && is_at_or_below(&range->low, key) && !is_below(&range->upper, key))
			return range;
	}
	return NULL;
}

static EmptiedRange *
new_range(NvmkvDb *db, EmptiedGroup *group, NvmkvSlice key)
{
	EmptiedRange *oldest = NULL;
	unsigned i;

	for (i = 0; i < EMPTIED_IN_GROUP; i++)
	{
		EmptiedRange *range = &group->ranges[i];

		if (oldest == NULL || (oldest->used && (!range->used || range->used_at < oldest->used_at)))
			oldest = range;
	}
	if (oldest->used)
		free_range(db, group, oldest);
	oldest->used = true;
	port_store_relaxed(&group->count, group->count + 1);
	port_count(&db->shm->emptied.count, 1);
	set_cut(&oldest->low, key);
	oldest->upper = oldest->watched_low = oldest->watched_upper = oldest->low;
	return oldest;
}

bool
emptied_watch(NvmkvDb *db, uint64_t prefix_hash, NvmkvSlice key, NvmkvSlice limit, bool reverse,
			  EmptiedWatch *watch_out)
{
	EmptiedGroup *group = group_of(db, prefix_hash);
	EmptiedRange *range;

	if (key.size > EMPTIED_KEY_BYTES || (reverse && limit.size > EMPTIED_KEY_BYTES))
		return false;
	port_lock_exclusive(&group->lock);
	range = range_at(group, key);
	if (range == NULL)
		range = new_range(db, group, key);
	range->used_at = ++group->clock;
	/*
	 * A watch that goes on is joined: it has seen all that was written since.  One that has come to its end, where a
	 * writer or its limit stopped it, has nothing left to give.
	 */
	if (reverse && !is_below(&range->watched_low, key_of(&range->low)))
	{
		set_cut(&range->watched_low, limit);
		range->generation[reverse] = group->clock;
	}
	else if (!reverse && is_at_or_below(&range->watched_upper, key_of(&range->upper)))
	{
		set_cut(&range->watched_upper, limit);
		range->generation[reverse] = group->clock;
	}
	watch_out->group = (unsigned) (group - db->shm->emptied.groups);
	watch_out->range = (unsigned) (range - group->ranges);
	watch_out->generation = range->generation[reverse];
	watch_out->reverse = reverse;
	port_lock_release(&group->lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return true;
}

/* Others that lie within it. */
static void
absorb(NvmkvDb *db, EmptiedGroup *group, const EmptiedRange *range)
{
	unsigned i;

	for (i = 0; i < EMPTIED_IN_GROUP; i++)
	{
		EmptiedRange *other = &group->ranges[i];

		if (other != range && other->used && is_at_or_below(&range->low, key_of(&other->low)) &&
			is_at_or_below(&other->upper, key_of(&range->upper)))
			free_range(db, group, other);
	}
}

static EmptiedRange *
watched_range(EmptiedGroup *group, const EmptiedWatch *watch)
{
	EmptiedRange *range = &group->ranges[watch->range];

	return range->used && range->generation[watch->reverse] == watch->generation ? range : NULL;
}

void
emptied_extend(NvmkvDb *db, const EmptiedWatch *watch, NvmkvSlice end)
{
	EmptiedGroup *group = &db->shm->emptied.groups[watch->group];
	EmptiedRange *range;

	if (watch->reverse && end.size > EMPTIED_KEY_BYTES)
		return;
	port_lock_exclusive(&group->lock);
	range = watched_range(group, watch);
	if (range != NULL && watch->reverse)
	{
		if (is_below(&range->watched_low, end))
		{
			if (!is_at_or_below(&range->low, end))
				set_cut(&range->low, end);
		}
		else if (is_below(&range->watched_low, key_of(&range->low)))
			range->low = range->watched_low;
	}
	else if (range != NULL)
	{
		if (is_below(&range->watched_upper, end))
		{
			if (is_below(&range->upper, key_of(&range->watched_upper)))
				range->upper = range->watched_upper;
		}
		else if (is_below(&range->upper, end))
			set_cut(&range->upper, end);
	}
	if (range != NULL)
		absorb(db, group, range);
	port_lock_release(&group->lock);
}

void
emptied_unwatch(NvmkvDb *db, const EmptiedWatch *watch)
{
	EmptiedGroup *group = &db->shm->emptied.groups[watch->group];
	EmptiedRange *range;

	port_lock_exclusive(&group->lock);
	range = watched_range(group, watch);
	if (range != NULL && is_nothing(range))
		free_range(db, group, range);
	port_lock_release(&group->lock);
}

/* ---- writers ---- */

static void
note_key(NvmkvDb *db, EmptiedGroup *group, NvmkvSlice key)
{
	unsigned i;

	for (i = 0; i < EMPTIED_IN_GROUP; i++)
	{
		EmptiedRange *range = &group->ranges[i];

		if (!range->used || !is_at_or_below(&range->watched_low, key) || is_at_or_below(&range->watched_upper, key))
			continue;
		if (!is_at_or_below(&range->low, key))
		{
			if (!set_successor(&range->watched_low, key) ||
				is_below(&range->low, key_of(&range->watched_low)))
				range->watched_low = range->low;
		}
		else
		{
			set_cut(&range->watched_upper, key);
			if (!is_at_or_below(&range->upper, key))
			{
				/* Of the empty part what is before the key stays. */
				range->upper = range->watched_upper;
				if (is_nothing(range))
					free_range(db, group, range);
			}
			else if (is_below(&range->watched_upper, key_of(&range->upper)))
				range->watched_upper = range->upper;
		}
	}
}

/* The group of a key, if it has ranges; the key's entry is linked, and a fence has been passed since. */
static EmptiedGroup *
group_to_tell(NvmkvDb *db, NvmkvSlice key)
{
	size_t bytes = db->options.prefix_bytes;
	EmptiedGroup *group;

	if (bytes == 0 || key.size < bytes)
		return NULL;
	group = group_of(db, filter_prefix_hash(nvmkv_slice(key.data, bytes)));
	return port_load_relaxed(&group->count) > 0 ? group : NULL;
}

void
emptied_note_key(NvmkvDb *db, NvmkvSlice key)
{
	EmptiedGroup *group;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (port_load_relaxed(&db->shm->emptied.count) == 0)
		return;
	group = group_to_tell(db, key);
	if (group == NULL)
		return;
	port_lock_exclusive(&group->lock);
	note_key(db, group, key);
	port_lock_release(&group->lock);
}

void
emptied_note_written(NvmkvDb *db, NvmkvSlice batch)
{
	const uint8_t *end = batch.data + batch.size;
	const uint8_t *cursor;
	EmptiedGroup *held = NULL; /* of keys that follow each other most have one prefix */
	uint32_t count, i;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (port_load_relaxed(&db->shm->emptied.count) == 0 || nvmkv_batch_open(batch, &count, &cursor) != NVMKV_OK)
		return; /* a batch that was linked can be read */
	for (i = 0; i < count; i++)
	{
		NvmkvBatchRecord record;
		EmptiedGroup *group;

		if (nvmkv_batch_next(&cursor, end, &record) != NVMKV_OK)
			break;
		if (record.family != db->family)
			continue;
		group = group_to_tell(db, record.key);
		if (group != held)
		{
			if (held != NULL)
				port_lock_release(&held->lock);
			if (group != NULL)
				port_lock_exclusive(&group->lock);
			held = group;
		}
		if (group != NULL)
			note_key(db, group, record.key);
	}
	if (held != NULL)
		port_lock_release(&held->lock);
}

void
emptied_forget(NvmkvDb *db)
{
	unsigned i, j;

	for (i = 0; i < EMPTIED_GROUPS; i++)
	{
		EmptiedGroup *group = &db->shm->emptied.groups[i];

		port_lock_exclusive(&group->lock);
		for (j = 0; j < EMPTIED_IN_GROUP; j++)
			if (group->ranges[j].used)
				free_range(db, group, &group->ranges[j]);
		port_lock_release(&group->lock);
	}
}
