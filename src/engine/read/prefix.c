/*
 * prefix.c
 *	  Is there any key that begins with these bytes?
 *
 * For whoever writes a value that is to be unique: most often it is not there,
 * and then no entry has to be looked at.  Each source is asked where such keys
 * would begin; a row of the container tells by the eight bytes that its index
 * has of each key.  Nothing is merged, and nobody is asked who sees what.
 */
#include "engine/nvmkv.h"

#include "engine/sst/sst_iter.h"
#include "engine/tree/tree.h"

static inline bool
begins_with(NvmkvSlice key, NvmkvSlice prefix)
{
	return key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}

/* May a source with these ends have such keys? */
static inline bool
may_have(const VersionImage *v, VersionBytes smallest, VersionBytes largest, NvmkvSlice prefix)
{
	NvmkvSlice first = version_bytes(v, smallest);

	return slice_compare(version_bytes(v, largest), prefix) >= 0 &&
		(slice_compare(first, prefix) <= 0 || begins_with(first, prefix));
}

static bool
memtable_has(MemtableShm *mt, NvmkvSlice prefix)
{
	MemtableIter it;

	memtable_iter_init(&it, mt);
	it.base.ops->seek(&it.base, prefix, NVMKV_TAG_MAX);
	return it.base.valid && begins_with(it.base.key, prefix);
}

/* As in a scan the place in one row tells about where it is in the next older one. */
static NvmkvStatus
look_in_rows(NvmkvDb *db, const VersionImage *v, uint64_t born, NvmkvSlice prefix, bool *may_out)
{
	NvmRowRef newer;
	bool has_hints = false;
	uint64_t newer_index = 0;
	uint32_t i;

	for (i = 0; i < v->nrows && !*may_out; i++)
	{
		const VersionRow *version_row = &v->rows[i];
		NvmRowRef row = version_row_ref(v, version_row);
		uint64_t left = row.first_live;
		uint64_t right = row.entries;
		uint64_t index;

		if (version_row->max_sequence <= born || !may_have(v, version_row->smallest, version_row->largest, prefix))
		{
			has_hints = false;
			continue;
		}
		if (has_hints)
			nvm_row_hint_window(db->pool, &newer, newer_index, &row, &left, &right);
		NVMKV_RETURN_IF(nvm_row_lower_bound(db->pool, &row, prefix, NVMKV_TAG_MAX, left, right, &index));
		if (index < row.entries)
			NVMKV_RETURN_IF(nvm_row_may_begin(db->pool, &row, index, prefix, may_out));
		newer = row;
		newer_index = index;
		has_hints = true;
	}
	return NVMKV_OK;
}

static NvmkvStatus
look_in_table(NvmkvDb *db, const VersionFile *file, NvmkvSlice prefix, bool *may_out)
{
	SstIter *it = &db->point; /* nvmkv_abort_cleanup knows it */
	SstTable *table;
	NvmkvStatus st;

	NVMKV_RETURN_IF(table_cache_get(db->tables, file->number, file->bytes, &table));
	sst_iter_init(it, table, SST_ITER_CACHED);
	it->base.ops->seek(&it->base, prefix, NVMKV_TAG_MAX);
	st = it->base.status;
	/* It ends behind where such keys begin; were that no key of its own, the next table would have to be asked. */
	*may_out = !it->base.valid || begins_with(it->base.key, prefix);
	it->base.ops->destroy(&it->base);
	return st;
}

static NvmkvStatus
look_in_tables(NvmkvDb *db, const VersionImage *v, uint64_t born, NvmkvSlice prefix, bool *may_out)
{
	const VersionFile *files = version_files(v);
	unsigned level;
	uint32_t i;

	for (i = v->level_start[0]; i < v->level_start[1] && !*may_out; i++)
		if (files[i].max_sequence > born && may_have(v, files[i].smallest, files[i].largest, prefix))
			NVMKV_RETURN_IF(look_in_table(db, &files[i], prefix, may_out));
	for (level = 1; level < VERSION_LEVELS && !*may_out; level++)
	{
		if (v->level_start[level] == v->level_start[level + 1])
			continue;
		/* The first that ends behind where they begin: if it has none, none of the others has. */
		i = version_find_file(v, level, prefix);
		if (i < v->level_start[level + 1] && may_have(v, files[i].smallest, files[i].largest, prefix))
			NVMKV_RETURN_IF(look_in_table(db, &files[i], prefix, may_out));
	}
	return NVMKV_OK;
}

static NvmkvStatus
look(NvmkvDb *db, NvmkvSlice prefix, bool *may_out)
{
	uint64_t born = db_born(db, prefix);
	const VersionImage *v;
	MemList list;
	unsigned i;

	/* Memtables before the version: a flush publishes its row before it unlinks the memtable. */
	mempool_list(&db->mem, &list);
	v = versions_current(&db->versions);
	*may_out = v->ndamages > 0; /* what is lost may have been such keys */
	for (i = 0; i < list.count && !*may_out; i++)
		*may_out = memtable_has(list.memtable[i], prefix);
	if (!*may_out)
		NVMKV_RETURN_IF(look_in_rows(db, v, born, prefix, may_out));
	return *may_out ? NVMKV_OK : look_in_tables(db, v, born, prefix, may_out);
}

NvmkvStatus
nvmkv_prefix_is_free(NvmkvDb *db, NvmkvSlice prefix, bool *free_out)
{
	uint32_t lost = db_pages_lost(db);
	bool may = false;
	NvmkvStatus st;

	db_enter(db);
	st = db_settled(db, lost, look(db, prefix, &may));
	db_leave(db);
	*free_out = st == NVMKV_OK && !may;
	return st;
}
