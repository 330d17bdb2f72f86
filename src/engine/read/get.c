/*
 * get.c
 *	  Point reads: the versions of one key, newest first.
 *
 * Sources are asked in order of age: memtables newest to oldest, rows newest
 * to oldest, then one table a level.  Writers of a key are serialised and a
 * source only ever receives what is newer than all older sources hold, so this
 * order is the order of the versions; only log replay repeats entries.
 *
 * Most of the time goes into waiting for memory: a line of a filter for each
 * source.  The lines of several sources are asked for together, then looked at
 * one after another.
 */
#include "engine/read/get.h"

#include "engine/base/filter.h"
#include "engine/sst/value_read.h"
#include "engine/tree/damage.h"
#include "engine/tree/tree.h"

/* Rows, and tables, whose filters are asked for together. */
#define SOURCES_AT_ONCE 16

typedef bool (*Visit)(void *ctx, const NvmkvVersion *version);

typedef struct Walk
{
	NvmkvDb *db;
	NvmkvSlice key;
	uint64_t hash;
	uint64_t born; /* db_born */
	Visit visit;
	void *ctx;
	bool with_references; /* the visitor is shown the reference of a value apart instead of the value */
	bool stopped;
	const VersionImage *v;
	const VersionDamage *damage; /* the key is in it; NULL: in none */
	uint64_t mark;	/* what is in the sources it stands for is known, but for memtables; 0: nothing is */
	bool left_out;	/* and was not asked for */
	MemtableIter *places; /* in the memtables, where the key before was found; NULL: of a single key */
} Walk;

/* What the handle keeps of it for the next lookup. */
#define APART_KEPT_BYTES ((size_t) 256 * 1024)

/* Copies a value apart; the reference may stand in "value_out". */
static NvmkvStatus
copy_apart(NvmkvDb *db, NvmkvSlice key, uint64_t tag, NvmkvSlice reference, NvmkvBuf *value_out)
{
	ValueBlock value;
	NvmkvStatus st;

	NVMKV_RETURN_IF(value_open(db->tables, key, tag, reference, SST_BLOCK_DATA, &value));
	st = nvmkv_buf_set(value_out, value.value);
	value_close(&value);
	return st;
}

/* The version's value, which is apart, in the handle's buffer: the visitor may raise. */
static NvmkvStatus
fetch_apart(Walk *w, uint64_t tag, NvmkvVersion *version)
{
	NVMKV_RETURN_IF(copy_apart(w->db, w->key, tag, version->value, &w->db->apart));
	version->type &= ~NVMKV_TYPE_APART_BIT;
	version->value = nvmkv_buf_slice(&w->db->apart);
	return NVMKV_OK;
}

/* Shows one entry to the visitor. */
static NvmkvStatus
show(Walk *w, uint64_t tag, NvmkvSlice payload, uint8_t *memo)
{
	NvmkvVersion version;

	/* A newer one may be lost. */
	if (__builtin_expect(w->damage != NULL, 0) && ikey_sequence(tag) < w->damage->max_sequence)
		return damage_failure(w->db, w->v, w->damage);
	version.sequence = ikey_sequence(tag);
	version.type = ikey_type(tag);
	version.memo = memo;
	NVMKV_RETURN_IF(ikey_split_payload(tag, payload, &version.txn, &version.value));
	if (ikey_is_apart(tag) && !w->with_references)
		NVMKV_RETURN_IF(fetch_apart(w, tag, &version));
	if (!w->visit(w->ctx, &version))
		w->stopped = true;
	return NVMKV_OK;
}

static NvmkvStatus
walk_memtable(Walk *w, MemtableShm *mt, MemtableIter *place)
{
	MemtableIter own;
	MemtableIter *it = place != NULL ? place : &own;

	if (!memtable_may_contain(mt, w->hash))
		return NVMKV_OK;
	if (place != NULL)
		memtable_iter_seek_near(it, w->key, NVMKV_TAG_MAX);
	else
	{
		memtable_iter_init(it, mt);
		it->base.ops->seek(&it->base, w->key, NVMKV_TAG_MAX);
	}
	while (!w->stopped && it->base.valid && slice_equal(it->base.key, w->key))
	{
		NVMKV_RETURN_IF(show(w, it->base.tag, it->base.payload, memtable_iter_hint(&it->base)));
		if (!w->stopped)
			it->base.ops->next(&it->base);
	}
	return it->base.status;
}

static NvmkvStatus
walk_row(Walk *w, const NvmRowRef *row)
{
	const NvmPool *pool = w->db->pool;
	NvmkvBuf scratch = {0};
	uint64_t index;
	bool may = false;
	NvmkvStatus st;

	if (!nvm_row_may_contain(pool, row, w->hash))
	{
		db_count(&db_slot_counters(w->db)->filter_useful, 1);
		return NVMKV_OK;
	}
	db_count(&db_slot_counters(w->db)->filter_passed, 1);
	st = nvm_row_lower_bound(pool, row, w->key, NVMKV_TAG_MAX, row->first_live, row->entries, &index);
	/* The filter errs now and then; the index hardly ever. */
	if (st == NVMKV_OK && index < row->entries)
		st = nvm_row_may_be(pool, row, index, w->key, &may);
	if (st != NVMKV_OK || !may)
		return st;
	db_count(&db_slot_counters(w->db)->data_reads, 1);
	for (; st == NVMKV_OK && !w->stopped && index < row->entries; index++)
	{
		NvmkvSlice key, payload;
		uint64_t tag;

		st = nvm_row_entry(pool, row, index, &scratch, &key, &tag, &payload);
		if (st != NVMKV_OK || !slice_equal(key, w->key))
			break;
		st = show(w, tag, payload, NULL);
	}
	nvmkv_buf_free(&scratch);
	return st;
}

static inline bool
is_between(const VersionImage *v, NvmkvSlice key, VersionBytes smallest, VersionBytes largest)
{
	return slice_compare(key, version_bytes(v, smallest)) >= 0 && slice_compare(key, version_bytes(v, largest)) <= 0;
}

static NvmkvStatus
walk_rows(Walk *w, const VersionImage *v)
{
	NvmRowRef rows[SOURCES_AT_ONCE];
	uint32_t next = 0;

	while (next < v->nrows && !w->stopped)
	{
		unsigned count = 0;
		unsigned i;

		for (; next < v->nrows && count < SOURCES_AT_ONCE; next++)
		{
			const VersionRow *row = &v->rows[next];

			if (row->max_sequence <= w->born || !is_between(v, w->key, row->smallest, row->largest))
				continue;
			rows[count] = version_row_ref(v, row);
			nvm_row_prefetch(w->db->pool, &rows[count], w->hash);
			count++;
		}
		for (i = 0; i < count && !w->stopped; i++)
		{
			NvmkvStatus st = walk_row(w, &rows[i]);

			if (st == NVMKV_CORRUPTION)
				damage_want_drain(w->db);
			NVMKV_RETURN_IF(st);
		}
	}
	return NVMKV_OK;
}

/* The iterator is the handle's, not the stack's: a visitor that raises leaves it to nvmkv_abort_cleanup. */
static NvmkvStatus
walk_file(Walk *w, const VersionFile *file)
{
	DbSlotCounters *own = db_slot_counters(w->db);
	SstIter *it = &w->db->point;
	SstTable *table;
	NvmkvStatus st;

	NVMKV_RETURN_IF(table_cache_get(w->db->tables, file->number, file->bytes, &table));
	sst_iter_init(it, table, SST_ITER_CACHED);
	sst_iter_seek_key(it, w->key, NVMKV_TAG_MAX, w->hash);
	db_count(it->data_blocks > 0 ? &own->filter_passed : &own->filter_useful, 1);
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
	db_count(&own->data_reads, it->data_blocks);
	it->base.ops->destroy(&it->base);
	return st;
}

/* Tables to ask, in this order. */
typedef struct Tables
{
	const VersionFile *file[SOURCES_AT_ONCE];
	unsigned count;
} Tables;

/* Asks them, and forgets them. */
static NvmkvStatus
walk_tables(Walk *w, Tables *tables)
{
	unsigned i;

	/* The first one's filter is looked at right away. */
	for (i = 1; i < tables->count; i++)
	{
		SstTable *table = table_cache_peek(w->db->tables, tables->file[i]->number);

		if (table != NULL)
			sst_table_prefetch(table, w->key, w->hash);
	}
	for (i = 0; i < tables->count && !w->stopped; i++)
		NVMKV_RETURN_IF(walk_file(w, tables->file[i]));
	tables->count = 0;
	return NVMKV_OK;
}

static NvmkvStatus
add_table(Walk *w, Tables *tables, const VersionFile *file)
{
	if (file->max_sequence <= w->born)
		return NVMKV_OK;
	tables->file[tables->count++] = file;
	return tables->count < SOURCES_AT_ONCE ? NVMKV_OK : walk_tables(w, tables);
}

static NvmkvStatus
walk_levels(Walk *w, const VersionImage *v)
{
	const VersionFile *files = version_files(v);
	Tables tables;
	unsigned level;
	uint32_t i;

	tables.count = 0;
	for (i = v->level_start[0]; i < v->level_start[1] && !w->stopped; i++)
		if (is_between(v, w->key, files[i].smallest, files[i].largest))
			NVMKV_RETURN_IF(add_table(w, &tables, &files[i]));
	for (level = 1; level < VERSION_LEVELS && !w->stopped; level++)
	{
		if (v->level_start[level] == v->level_start[level + 1])
			continue;
		i = version_find_file(v, level, w->key);
		if (i < v->level_start[level + 1] && slice_compare(w->key, version_bytes(v, files[i].smallest)) >= 0)
			NVMKV_RETURN_IF(add_table(w, &tables, &files[i]));
	}
	return w->stopped ? NVMKV_OK : walk_tables(w, &tables);
}

/*
 * REQUIRES an epoch, and that the list was taken in it before the version: a flush publishes its row before it unlinks
 * the memtable.
 */
static NvmkvStatus
walk_sources(Walk *w, const MemList *list, const VersionImage *v)
{
	unsigned i;

	w->v = v;

	/*
	 * After the list: the number changes before a memtable that was flushed leaves it.  Then nothing has left it since
	 * the mark was made, and what has been written since is in it.
	 */
	w->left_out = w->mark != 0 && mempool_super_version(&w->db->mem) == w->mark && v->ndamages == 0;
	if (__builtin_expect(v->ndamages > 0, 0))
		w->damage = damage_at(w->db, v, w->key, w->hash, w->born);
	for (i = 0; i < list->count && !w->stopped; i++)
		NVMKV_RETURN_IF(walk_memtable(w, list->memtable[i], w->places != NULL ? &w->places[i] : NULL));
	if (w->left_out)
		return NVMKV_OK;
	if (!w->stopped)
		NVMKV_RETURN_IF(walk_rows(w, v));
	if (!w->stopped)
		NVMKV_RETURN_IF(walk_levels(w, v));
	return w->stopped || w->damage == NULL ? NVMKV_OK : damage_failure(w->db, v, w->damage);
}

/* REQUIRES an epoch. */
static NvmkvStatus
walk_key(Walk *w)
{
	const VersionImage *v;
	MemList list;

	mempool_list(&w->db->mem, &list);
	v = versions_current(&w->db->versions);
	return walk_sources(w, &list, v);
}

static void
free_apart(NvmkvDb *db)
{
	if (db->apart.capacity > APART_KEPT_BYTES)
		nvmkv_buf_free(&db->apart);
}

NvmkvStatus
nvmkv_versions_since(NvmkvDb *db, NvmkvSlice key, uint64_t mark, bool (*visit)(void *ctx, const NvmkvVersion *version),
					 void *ctx, bool *all_out)
{
	Walk w = {
		.db = db,
		.key = key,
		.hash = filter_hash(key),
		.born = db_born(db, key),
		.visit = visit,
		.ctx = ctx,
		.mark = mark,
	};
	uint32_t lost = db_pages_lost(db);
	NvmkvStatus st;

	db_enter(db);
	st = db_settled(db, lost, walk_key(&w));
	db_leave(db);
	*all_out = !w.left_out;
	free_apart(db);
	return st;
}

/*
 * All of it in one stay in the epoch, and with one list: nothing leaves the memtables in it before the stay ends, and
 * what begins to be written into another one meanwhile is no concern of anybody who was there before.
 */
NvmkvStatus
nvmkv_versions_of_keys(NvmkvDb *db, NvmkvLook *looks, unsigned n,
					   bool (*visit)(void *ctx, const NvmkvVersion *version))
{
	MemtableIter places[NVMKV_MEMTABLES_MAX];
	uint32_t lost = db_pages_lost(db);
	NvmkvStatus st = NVMKV_OK;
	const VersionImage *v;
	MemList list;
	unsigned i;

	db_enter(db);
	mempool_list(&db->mem, &list);
	v = versions_current(&db->versions);
	for (i = 0; i < list.count; i++)
		memtable_iter_init(&places[i], list.memtable[i]);
	for (i = 0; i < n && st == NVMKV_OK; i++)
	{
		Walk w = {
			.db = db,
			.key = looks[i].key,
			.hash = filter_hash(looks[i].key),
			.born = db_born(db, looks[i].key),
			.visit = visit,
			.ctx = looks[i].ctx,
			.mark = looks[i].mark,
			.places = places,
		};

		st = walk_sources(&w, &list, v);
		looks[i].all = !w.left_out;
	}
	st = db_settled(db, lost, st);
	db_leave(db);
	free_apart(db);
	return st;
}

NvmkvStatus
nvmkv_versions(NvmkvDb *db, NvmkvSlice key, bool (*visit)(void *ctx, const NvmkvVersion *version), void *ctx)
{
	bool all;

	return nvmkv_versions_since(db, key, 0, visit, ctx, &all);
}

/* ---- the newest version a snapshot sees ---- */

typedef struct Get
{
	const NvmkvSnapshot *snapshot;
	NvmkvBuf *value;
	NvmkvVersion *version;
	NvmkvStatus result;
	uint64_t apart; /* tag, if the value is a reference; else 0 */
	NvmkvSlice key;
} Get;

NvmkvSight
db_snapshot_sees(const NvmkvSnapshot *snapshot, NvmkvSlice key, const NvmkvVersion *version)
{
	unsigned kind = version->type & NVMKV_TYPE_KIND_MASK;

	if (kind == NVMKV_KIND_LOCK || kind == NVMKV_KIND_RANGE_DELETION)
		return NVMKV_UNSEEN;
	if (version->sequence > snapshot->sequence)
		return NVMKV_UNSEEN;
	if ((version->type & NVMKV_TYPE_TAGGED_BIT) == 0)
		return NVMKV_SEEN;
	if (snapshot->visible == NULL)
		return NVMKV_UNSEEN;
	return snapshot->visible(snapshot->ctx, key, version->txn.fxid, version->txn.cid,
							 (version->type & NVMKV_TYPE_COMMITTED_BIT) != 0, version->memo);
}

static bool
get_visit(void *ctx, const NvmkvVersion *version)
{
	Get *get = ctx;

	if (db_snapshot_sees(get->snapshot, get->key, version) == NVMKV_UNSEEN)
		return true;
	if (get->version != NULL)
	{
		*get->version = *version;
		get->version->type &= ~NVMKV_TYPE_APART_BIT;
		get->version->value = nvmkv_slice(NULL, 0);
		get->version->memo = NULL;
	}
	if (ikey_is_apart(version->type))
		get->apart = ikey_tag(version->sequence, version->type);
	if ((version->type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_VALUE)
		get->result = nvmkv_buf_set(get->value, version->value);
	return false;
}

NvmkvStatus
nvmkv_get(NvmkvDb *db, NvmkvSlice key, const NvmkvSnapshot *snapshot, NvmkvBuf *value_out, NvmkvVersion *version_out)
{
	static const NvmkvSnapshot everything = {NULL, NULL, NVMKV_SEQUENCE_MAX, NULL};
	Get get = {snapshot != NULL ? snapshot : &everything, value_out, version_out, NVMKV_NOT_FOUND, 0, key};
	Walk w = {
		.db = db,
		.key = key,
		.hash = filter_hash(key),
		.born = db_born(db, key),
		.visit = get_visit,
		.ctx = &get,
		.with_references = true,
	};
	uint32_t lost = db_pages_lost(db);
	NvmkvStatus st;

	value_out->size = 0;
	db_count(&db_slot_counters(db)->gets, 1);
	db_enter(db);
	st = walk_key(&w);
	if (st == NVMKV_OK && get.result == NVMKV_OK && get.apart != 0)
		st = copy_apart(db, key, get.apart, nvmkv_buf_slice(value_out), value_out);
	st = db_settled(db, lost, st);
	db_leave(db);
	NVMKV_RETURN_IF(st);
	if (get.result == NVMKV_OK)
		db_count(&db_slot_counters(db)->get_hits, 1);
	return get.result;
}
