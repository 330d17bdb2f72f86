/*
 * db_read.c
 *	  Point reads: the versions of one key, newest first.
 *
 * Sources are asked in order of age: memtables newest to oldest, rows newest
 * to oldest, then one table a level.  Writers of a key are serialised and a
 * source only ever receives what is newer than all older sources hold, so this
 * order is the order of the versions; only log replay repeats entries.
 */
#include <inttypes.h>

#include "engine/base/filter.h"
#include "engine/db/db_int.h"

typedef bool (*Visit)(void *ctx, const NvmkvVersion *version);

typedef struct Walk
{
	NvmkvDb *db;
	NvmkvSlice key;
	uint64_t hash;
	Visit visit;
	void *ctx;
	bool stopped;
} Walk;

/* Shows one entry to the visitor. */
static NvmkvStatus
show(Walk *w, uint64_t tag, NvmkvSlice payload, uint8_t *memo)
{
	NvmkvVersion version;

	version.sequence = ikey_sequence(tag);
	version.type = ikey_type(tag);
	version.memo = memo;
	NVMKV_RETURN_IF(ikey_split_payload(tag, payload, &version.txn, &version.value));
	if (!w->visit(w->ctx, &version))
		w->stopped = true;
	return NVMKV_OK;
}

static NvmkvStatus
walk_memtable(Walk *w, MemtableShm *mt)
{
	MemtableIter it;

	if (!memtable_may_contain(mt, w->hash))
		return NVMKV_OK;
	memtable_iter_init(&it, mt);
	it.base.ops->seek(&it.base, w->key, NVMKV_TAG_MAX);
	while (!w->stopped && it.base.valid && slice_equal(it.base.key, w->key))
	{
		NVMKV_RETURN_IF(show(w, it.base.tag, it.base.payload, memtable_iter_hint(&it.base)));
		if (!w->stopped)
			it.base.ops->next(&it.base);
	}
	return it.base.status;
}

static NvmkvStatus
walk_row(Walk *w, const VersionImage *v, const VersionRow *row)
{
	const NvmPool *pool = w->db->pool;
	NvmRowRef ref;
	NvmkvBuf scratch = {0};
	uint64_t index;
	NvmkvStatus st;

	if (slice_compare(w->key, version_bytes(v, row->smallest)) < 0 ||
		slice_compare(w->key, version_bytes(v, row->largest)) > 0)
		return NVMKV_OK;
	ref = version_row_ref(v, row);
	if (!nvm_row_may_contain(pool, &ref, w->hash))
	{
		db_count_read(&db_reads(w->db)->filter_useful);
		return NVMKV_OK;
	}
	db_count_read(&db_reads(w->db)->filter_passed);
	st = nvm_row_lower_bound(pool, &ref, w->key, NVMKV_TAG_MAX, ref.first_live, ref.entries, &index);
	for (; st == NVMKV_OK && !w->stopped && index < ref.entries; index++)
	{
		NvmkvSlice key, payload;
		uint64_t tag;

		st = nvm_row_entry(pool, &ref, index, &scratch, &key, &tag, &payload);
		if (st != NVMKV_OK || !slice_equal(key, w->key))
			break;
		st = show(w, tag, payload, NULL);
	}
	nvmkv_buf_free(&scratch);
	return st;
}

/* The iterator is the handle's, not the stack's: a visitor that raises leaves it to nvmkv_abort_cleanup. */
static NvmkvStatus
walk_file(Walk *w, const VersionFile *file)
{
	SstIter *it = &w->db->point;
	SstTable *table;
	NvmkvStatus st;

	NVMKV_RETURN_IF(table_cache_get(w->db->tables, file->number, file->bytes, &table));
	sst_iter_init(it, table, SST_ITER_CACHED);
	sst_iter_seek_key(it, w->key, NVMKV_TAG_MAX, w->hash);
	db_count_read(it->base.valid ? &db_reads(w->db)->filter_passed : &db_reads(w->db)->filter_useful);
	st = it->base.status;
	while (st == NVMKV_OK && !w->stopped && it->base.valid && slice_equal(it->base.key, w->key))
	{
		st = show(w, it->base.tag, it->base.payload, NULL);
		if (st == NVMKV_OK && !w->stopped)
		{
			it->base.ops->next(&it->base);
			st = it->base.status;
		}
	}
	it->base.ops->destroy(&it->base);
	return st;
}

static NvmkvStatus
walk_levels(Walk *w, const VersionImage *v)
{
	const VersionFile *files = version_files(v);
	unsigned level;
	uint32_t i;

	for (i = v->level_start[0]; i < v->level_start[1] && !w->stopped; i++)
		if (slice_compare(w->key, version_bytes(v, files[i].smallest)) >= 0 &&
			slice_compare(w->key, version_bytes(v, files[i].largest)) <= 0)
			NVMKV_RETURN_IF(walk_file(w, &files[i]));
	for (level = 1; level < VERSION_LEVELS && !w->stopped; level++)
	{
		if (v->level_start[level] == v->level_start[level + 1])
			continue;
		i = version_find_file(v, level, w->key);
		if (i < v->level_start[level + 1] && slice_compare(w->key, version_bytes(v, files[i].smallest)) >= 0)
			NVMKV_RETURN_IF(walk_file(w, &files[i]));
	}
	return NVMKV_OK;
}

static NvmkvStatus
walk_sources(Walk *w)
{
	const VersionImage *v;
	MemList list;
	unsigned i;

	/* Memtables before the version: a flush publishes its row before it unlinks the memtable. */
	mempool_list(&w->db->mem, &list);
	v = versions_current(&w->db->versions);
	for (i = 0; i < list.count && !w->stopped; i++)
		NVMKV_RETURN_IF(walk_memtable(w, list.memtable[i]));
	for (i = 0; i < v->nrows && !w->stopped; i++)
		NVMKV_RETURN_IF(walk_row(w, v, &v->rows[i]));
	return w->stopped ? NVMKV_OK : walk_levels(w, v);
}

NvmkvStatus
nvmkv_versions(NvmkvDb *db, NvmkvSlice key, bool (*visit)(void *ctx, const NvmkvVersion *version), void *ctx)
{
	Walk w = {db, key, filter_hash(key), visit, ctx, false};
	uint32_t lost = db_pages_lost(db);
	NvmkvStatus st;

	db_enter(db);
	st = db_settled(db, lost, walk_sources(&w));
	db_leave(db);
	return st;
}

/* ---- the newest version a snapshot sees ---- */

typedef struct Get
{
	const NvmkvSnapshot *snapshot;
	NvmkvBuf *value;
	NvmkvVersion *version;
	NvmkvStatus result;
} Get;

bool
db_snapshot_sees(const NvmkvSnapshot *snapshot, const NvmkvVersion *version)
{
	unsigned kind = version->type & NVMKV_TYPE_KIND_MASK;

	if (kind == NVMKV_KIND_LOCK || kind == NVMKV_KIND_RANGE_DELETION)
		return false;
	if (version->sequence > snapshot->sequence)
		return false;
	if ((version->type & NVMKV_TYPE_TAGGED_BIT) == 0)
		return true;
	return snapshot->visible != NULL &&
		   snapshot->visible(snapshot->ctx, version->txn.fxid, version->txn.cid,
							 (version->type & NVMKV_TYPE_COMMITTED_BIT) != 0, version->memo);
}

static bool
get_visit(void *ctx, const NvmkvVersion *version)
{
	Get *get = ctx;

	if (!db_snapshot_sees(get->snapshot, version))
		return true;
	if (get->version != NULL)
	{
		*get->version = *version;
		get->version->value = nvmkv_slice(NULL, 0);
		get->version->memo = NULL;
	}
	if ((version->type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_VALUE)
		get->result = nvmkv_buf_set(get->value, version->value);
	return false;
}

NvmkvStatus
nvmkv_get(NvmkvDb *db, NvmkvSlice key, const NvmkvSnapshot *snapshot, NvmkvBuf *value_out, NvmkvVersion *version_out)
{
	static const NvmkvSnapshot everything = {NULL, NULL, NVMKV_SEQUENCE_MAX};
	Get get = {snapshot != NULL ? snapshot : &everything, value_out, version_out, NVMKV_NOT_FOUND};

	value_out->size = 0;
	db_count_read(&db_reads(db)->gets);
	NVMKV_RETURN_IF(nvmkv_versions(db, key, get_visit, &get));
	if (get.result == NVMKV_OK)
		db_count_read(&db_reads(db)->get_hits);
	return get.result;
}
