/*
 * lost.c
 *	  See lost.h, and nvmkv_lost_versions.
 *
 * What a transaction whose outcome is lost has written stays tagged, so only
 * sources with unresolved entries are looked at.  Each is walked by itself, not
 * merged with the others: what is damaged in one is gone round and hides nothing
 * of the rest.
 */
#include "engine/db/lost.h"

#include "engine/db/family.h"
#include "engine/iter/level.h"
#include "engine/tree/damage.h"
#include "engine/tree/install.h"
#include "engine/tree/tree.h"

/* ---- the list ---- */

static bool
has_prefix_of(const LostList *list, const LostEntry *entry, NvmkvSlice key)
{
	size_t n = list->prefix_bytes;
	NvmkvSlice first = nvmkv_buf_slice(&entry->first_key);

	if (first.size < n || key.size < n)
		return slice_equal(nvmkv_slice(first.data, first.size < n ? first.size : n),
						   nvmkv_slice(key.data, key.size < n ? key.size : n));
	return memcmp(first.data, key.data, n) == 0;
}

static NvmkvStatus
find_entry(LostList *list, NvmkvSlice key, LostEntry **entry_out)
{
	uint32_t i;

	*entry_out = NULL;
	if (list->at < list->count && has_prefix_of(list, &list->entries[list->at], key))
		*entry_out = &list->entries[list->at];
	for (i = 0; *entry_out == NULL && i < list->count; i++)
		if (has_prefix_of(list, &list->entries[i], key))
			*entry_out = &list->entries[i];
	if (*entry_out == NULL && list->count == list->capacity)
	{
		uint32_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
		LostEntry *grown = port_realloc(list->entries, capacity * sizeof(LostEntry));

		if (grown == NULL)
			return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for %u storages with lost versions", capacity);
		list->entries = grown;
		list->capacity = capacity;
	}
	if (*entry_out == NULL)
	{
		*entry_out = &list->entries[list->count];
		memset(*entry_out, 0, sizeof(LostEntry));
		list->count++;
	}
	list->at = (uint32_t) (*entry_out - list->entries);
	return NVMKV_OK;
}

static NvmkvStatus
add(LostList *list, NvmkvSlice key, uint64_t fxid)
{
	LostEntry *entry;

	NVMKV_RETURN_IF(find_entry(list, key, &entry));
	if (entry->versions == 0 || slice_compare(key, nvmkv_buf_slice(&entry->first_key)) < 0)
		NVMKV_RETURN_IF(nvmkv_buf_set(&entry->first_key, key));
	if (entry->versions == 0 || slice_compare(key, nvmkv_buf_slice(&entry->last_key)) > 0)
		NVMKV_RETURN_IF(nvmkv_buf_set(&entry->last_key, key));
	if (entry->versions == 0 || fxid < entry->first_fxid)
		entry->first_fxid = fxid;
	if (fxid > entry->last_fxid)
		entry->last_fxid = fxid;
	entry->versions++;
	return NVMKV_OK;
}

static NvmkvStatus
see(LostList *list, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	unsigned type = ikey_type(tag);
	unsigned kind = ikey_kind(tag);
	NvmkvTxnTag txn;
	NvmkvSlice value;

	if (!ikey_is_tagged(tag) || (type & NVMKV_TYPE_COMMITTED_BIT) != 0 ||
		(kind != NVMKV_KIND_VALUE && kind != NVMKV_KIND_DELETION))
		return NVMKV_OK;
	NVMKV_RETURN_IF(ikey_split_payload(tag, payload, &txn, &value));
	if (txn.fxid != list->asked_fxid)
	{
		NVMKV_RETURN_IF(list->ask(list->ctx, txn.fxid, &list->asked_lost));
		list->asked_fxid = txn.fxid;
	}
	return list->asked_lost ? add(list, key, txn.fxid) : NVMKV_OK;
}

NvmkvStatus
lost_walk(LostList *list, NvmkvIter *it)
{
	for (it->ops->seek_first(it); it->valid; it->ops->next(it))
		NVMKV_RETURN_IF(see(list, it->key, it->tag, it->payload));
	return it->status == NVMKV_CORRUPTION || it->status == NVMKV_VERSION || it->status == NVMKV_IO ||
		it->status == NVMKV_NOT_FOUND ? NVMKV_OK : it->status;
}

NvmkvLostVersions
lost_of(const LostEntry *entry)
{
	NvmkvLostVersions lost;

	lost.first_key = nvmkv_buf_slice(&entry->first_key);
	lost.last_key = nvmkv_buf_slice(&entry->last_key);
	lost.versions = entry->versions;
	lost.first_fxid = entry->first_fxid;
	lost.last_fxid = entry->last_fxid;
	return lost;
}

void
lost_free(LostList *list)
{
	uint32_t i;

	for (i = 0; i < list->count; i++)
	{
		nvmkv_buf_free(&list->entries[i].first_key);
		nvmkv_buf_free(&list->entries[i].last_key);
	}
	port_free(list->entries);
	list->entries = NULL;
	list->count = list->capacity = list->at = 0;
}

/* ---- an open database ---- */

static NvmkvStatus
ask_record(void *ctx, uint64_t fxid, bool *lost_out)
{
	NvmkvSettled settled;
	NvmkvStatus st = nvmkv_settled_outcome(ctx, fxid, &settled);

	*lost_out = settled == NVMKV_SETTLED_LOST;
	return st;
}

static NvmkvStatus
walk(LostList *list, NvmkvIter *it)
{
	NvmkvStatus st = lost_walk(list, it);

	it->ops->destroy(it);
	if (st == NVMKV_OK && port_interrupted())
		st = NVMKV_FAIL(NVMKV_CANCELLED, "check interrupted");
	return st;
}

static NvmkvStatus
walk_memtables(NvmkvDb *db, LostList *list)
{
	MemList memtables;
	MemtableIter it;
	unsigned i;
	NvmkvStatus st = NVMKV_OK;

	db_enter(db);
	mempool_list(&db->mem, &memtables);
	for (i = 0; i < memtables.count && st == NVMKV_OK; i++)
	{
		memtable_iter_init(&it, memtables.memtable[i]);
		st = walk(list, &it.base);
	}
	db_leave(db);
	return st;
}

/* version_ntables: it is not there. */
static uint32_t
find_table(const VersionImage *v, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < version_ntables(v) && version_files(v)[i].number != number; i++)
		;
	return i;
}

/* Each source is looked up in the version of the moment, in an epoch of its own. */
static NvmkvStatus
walk_row(NvmkvDb *db, LostList *list, uint64_t row_id, bool *gone_out)
{
	const VersionImage *v;
	const VersionRow *row;
	NvmRowIter it;
	NvmRowRef ref;
	NvmkvStatus st = NVMKV_OK;

	db_enter(db);
	v = versions_current(&db->versions);
	row = version_find_row(v, row_id);
	if (row == NULL)
		*gone_out = true;
	else
	{
		ref = version_row_ref(v, row);
		nvm_row_iter_init(&it, db->pool, &ref, ref.entries);
		it.sink = damage_untold_sink();
		st = walk(list, &it.base);
	}
	db_leave(db);
	return st;
}

static NvmkvStatus
walk_table(NvmkvDb *db, LostList *list, uint64_t number, bool *gone_out)
{
	LevelIter *it = port_alloc(sizeof(LevelIter));
	const VersionImage *v;
	uint32_t at;
	NvmkvStatus st = NVMKV_OK;

	if (it == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	db_enter(db);
	v = versions_current(&db->versions);
	at = find_table(v, number);
	if (at == version_ntables(v))
		*gone_out = true;
	else
	{
		level_iter_init(it, db->tables, v, at, at + 1, SST_ITER_BULK);
		it->sink = damage_untold_sink();
		st = walk(list, &it->base);
	}
	db_leave(db);
	port_free(it);
	return st;
}

/* What "before", NULL or the version walked last, did not have. */
static NvmkvStatus
walk_version(NvmkvDb *db, LostList *list, const VersionImage *v, const VersionImage *before, bool *gone_out)
{
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	*gone_out = false;
	for (i = 0; i < v->nrows && st == NVMKV_OK; i++)
		if (v->rows[i].min_unresolved_fxid != 0 &&
			(before == NULL || version_find_row(before, v->rows[i].row_id) == NULL))
			st = walk_row(db, list, v->rows[i].row_id, gone_out);
	for (i = 0; i < version_ntables(v) && st == NVMKV_OK; i++)
	{
		const VersionFile *file = &version_files(v)[i];

		if (file->min_unresolved_fxid != 0 &&
			(before == NULL || find_table(before, file->number) == version_ntables(before)))
			st = walk_table(db, list, file->number, gone_out);
	}
	return st;
}

/*
 * Memtables first: what a flush takes out of them is in the version then.  Where compaction has taken a source away
 * before it was walked, its output is in a later version.
 */
static NvmkvStatus
walk_tree(NvmkvDb *db, LostList *list)
{
	VersionImage *before = NULL;
	bool gone = true;
	NvmkvStatus st = walk_memtables(db, list);

	while (st == NVMKV_OK && gone)
	{
		VersionImage *v;

		st = db_copy_image(db, &v);
		if (st != NVMKV_OK)
			break;
		st = walk_version(db, list, v, before, &gone);
		port_free(before);
		before = v;
	}
	port_free(before);
	return st;
}

NvmkvStatus
nvmkv_lost_versions(NvmkvDb *db, void (*each)(void *ctx, const NvmkvLostVersions *lost), void *ctx)
{
	LostList list = {.prefix_bytes = db->options.prefix_bytes, .ask = ask_record, .ctx = db};
	unsigned cursor = 0;
	uint32_t i;
	NvmkvDb *tree;
	NvmkvStatus st;

	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		st = walk_tree(tree, &list);
		if (st != NVMKV_OK)
		{
			family_leave(db, cursor);
			break;
		}
	}
	for (i = 0; i < list.count && st == NVMKV_OK; i++)
	{
		const NvmkvLostVersions lost = lost_of(&list.entries[i]);

		each(ctx, &lost);
	}
	lost_free(&list);
	return st;
}
