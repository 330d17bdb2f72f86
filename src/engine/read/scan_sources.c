/*
 * scan_sources.c
 *	  The sources of a scan: which of them have to do with its range, and where
 *	  they stand.
 */
#include "engine/read/scan_sources.h"

void
scan_sources_drop(ScanSources *s)
{
	unsigned i;

	for (i = 0; i < s->nrows; i++)
		s->rows[i].base.ops->destroy(&s->rows[i].base);
	for (i = 0; i < s->nlevels; i++)
		s->levels[i].base.ops->destroy(&s->levels[i].base);
	merge_iter_free(&s->merge);
	s->nmemtables = s->nrows = s->nlevels = s->count = 0;
	s->taken = false;
}

static bool
allocate(ScanSources *s, unsigned memtables, unsigned rows, unsigned levels)
{
	size_t bytes = memtables * sizeof(MemtableIter) + rows * (sizeof(NvmRowIter) + sizeof(VersionRow *)) +
		levels * sizeof(LevelIter) + (memtables + rows + levels) * sizeof(NvmkvIter *);

	if (bytes > s->bytes)
	{
		void *memory = port_alloc(bytes);

		if (memory == NULL)
			return false;
		port_free(s->memory);
		s->memory = memory;
		s->bytes = bytes;
	}
	s->memtables = s->memory;
	s->levels = (LevelIter *) (void *) (s->memtables + memtables);
	s->rows = (NvmRowIter *) (void *) (s->levels + levels);
	s->version_rows = (const VersionRow **) (void *) (s->rows + rows);
	s->all = (NvmkvIter **) (void *) (s->version_rows + rows);
	return true;
}

_Static_assert(sizeof(MemtableIter) % sizeof(void *) == 0 && sizeof(LevelIter) % sizeof(void *) == 0 &&
				   sizeof(NvmRowIter) % sizeof(void *) == 0 && _Alignof(MemtableIter) <= sizeof(void *) &&
				   _Alignof(LevelIter) <= sizeof(void *) && _Alignof(NvmRowIter) <= sizeof(void *),
			   "sources lie one behind the other");

/* The range whose sources are taken; upper.size 0: it has no end. */
static inline NvmkvSlice
taken_lower(const ScanSources *s)
{
	return s->wide ? nvmkv_slice(s->lower.data, s->db->options.prefix_bytes) : nvmkv_buf_slice(&s->lower);
}

static inline NvmkvSlice
taken_upper(const ScanSources *s)
{
	return s->wide ? nvmkv_slice(s->prefix_end, s->prefix_end_bytes) : nvmkv_buf_slice(&s->upper);
}

/* Is [smallest, largest] outside of [lower, upper)? */
static inline bool
is_outside(NvmkvSlice smallest, NvmkvSlice largest, NvmkvSlice lower, NvmkvSlice upper)
{
	return (upper.size > 0 && slice_compare(smallest, upper) >= 0) || slice_compare(largest, lower) < 0;
}

/* ---- sources that have nothing with the range's prefix ---- */

/*
 * Do all keys in [lower, upper) begin with the first bytes of lower, as many as filters know?  Those that begin so are
 * in front of the next number of so many digits, if there is one.
 */
static void
find_prefix(ScanSources *s)
{
	size_t bytes = s->db->options.prefix_bytes;
	uint8_t *next = s->prefix_end;
	size_t digits = bytes;

	s->has_prefix = false;
	s->born = 0;
	if (bytes == 0 || s->lower.size < bytes)
		return;
	memcpy(next, s->lower.data, bytes);
	while (digits > 0 && next[digits - 1] == 0xff)
		digits--;
	if (digits > 0)
	{
		next[digits - 1]++;
		if (s->upper.size == 0 || slice_compare(nvmkv_buf_slice(&s->upper), nvmkv_slice(next, digits)) > 0)
			return;
	}
	s->prefix_end_bytes = digits;
	s->has_prefix = true;
	if (bytes >= 8)
		s->born = db_born(s->db, nvmkv_buf_slice(&s->lower));
	s->prefix_hash = filter_prefix_hash(nvmkv_slice(s->lower.data, bytes));
}

static inline bool
begins_with_prefix(const ScanSources *s, NvmkvSlice key)
{
	size_t bytes = s->db->options.prefix_bytes;

	return key.size >= bytes && memcmp(key.data, s->lower.data, bytes) == 0;
}

/* May a source with these ends have the prefix somewhere between them only? */
static inline bool
is_in_doubt(const ScanSources *s, NvmkvSlice smallest, NvmkvSlice largest)
{
	return s->has_prefix && !begins_with_prefix(s, smallest) && !begins_with_prefix(s, largest);
}

static bool
row_lacks_prefix(ScanSources *s, const VersionImage *v, const VersionRow *row, const NvmRowRef *ref)
{
	if (row->max_sequence > s->born &&
		(!is_in_doubt(s, version_bytes(v, row->smallest), version_bytes(v, row->largest)) ||
		 nvm_row_may_hold(s->db->pool, ref, s->db->options.prefix_bytes, s->prefix_hash)))
		return false;
	db_count(&db_slot_counters(s->db)->sources_skipped, 1);
	return true;
}

/* What cannot be read is not left out: who reads the table says what is wrong. */
static bool
table_lacks_prefix(ScanSources *s, const VersionImage *v, const VersionFile *file)
{
	SstTable *table;
	bool may;

	if (file->max_sequence > s->born &&
		(!is_in_doubt(s, version_bytes(v, file->smallest), version_bytes(v, file->largest)) ||
		 table_cache_get(s->db->tables, file->number, file->bytes, &table) != NVMKV_OK ||
		 sst_table_may_hold(table, nvmkv_slice(s->lower.data, s->db->options.prefix_bytes), s->prefix_hash,
							nvmkv_buf_slice(&s->lower), nvmkv_buf_slice(&s->upper), &may) != NVMKV_OK ||
		 may))
		return false;
	db_count(&db_slot_counters(s->db)->sources_skipped, 1);
	return true;
}

/* The run [*first, *end) of a level's files that [lower, upper) touches. */
static void
level_run(const VersionImage *v, unsigned level, NvmkvSlice lower, NvmkvSlice upper, uint32_t *first, uint32_t *end)
{
	const VersionFile *files = version_files(v);
	uint32_t i = version_find_file(v, level, lower);

	*first = i;
	*end = v->level_start[level + 1];
	if (upper.size > 0)
	{
		*end = version_find_file(v, level, upper);
		if (*end < v->level_start[level + 1] &&
			slice_compare(version_bytes(v, files[*end].smallest), upper) < 0)
			(*end)++;
	}
	if (*end < *first)
		*end = *first;
}

NvmkvStatus
scan_sources_take(ScanSources *s)
{
	NvmkvDb *db = s->db;
	const NvmkvSlice lower = taken_lower(s);
	const NvmkvSlice upper = taken_upper(s);
	const VersionImage *v;
	const VersionFile *files;
	MemList list;
	unsigned level;
	uint32_t i;

	scan_sources_drop(s);
	/* The number first: if anything changes while we look, the next batch sees it. */
	s->super_version = mempool_super_version(&db->mem);
	s->pages_lost = db_pages_lost(db);
	mempool_list(&db->mem, &list);
	v = versions_current(&db->versions);
	s->version = v;
	files = version_files(v);
	if (!allocate(s, list.count, v->nrows, v->level_start[1] + VERSION_LEVELS))
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a scan of %u sources", list.count + v->nrows + VERSION_LEVELS);
	for (i = 0; i < list.count; i++)
	{
		memtable_iter_init(&s->memtables[i], list.memtable[i]);
		s->all[s->count++] = &s->memtables[i].base;
		s->nmemtables++;
	}
	for (i = 0; i < v->nrows; i++)
	{
		NvmRowRef ref;

		if (is_outside(version_bytes(v, v->rows[i].smallest), version_bytes(v, v->rows[i].largest), lower, upper))
			continue;
		ref = version_row_ref(v, &v->rows[i]);
		if (row_lacks_prefix(s, v, &v->rows[i], &ref))
			continue;
		nvm_row_iter_init(&s->rows[s->nrows], db->pool, &ref, ref.entries);
		s->version_rows[s->nrows] = &v->rows[i];
		s->all[s->count++] = &s->rows[s->nrows].base;
		s->nrows++;
	}
	for (i = 0; i < v->level_start[1]; i++)
	{
		if (is_outside(version_bytes(v, files[i].smallest), version_bytes(v, files[i].largest), lower, upper) ||
			table_lacks_prefix(s, v, &files[i]))
			continue;
		level_iter_init(&s->levels[s->nlevels], db->tables, v, i, i + 1, SST_ITER_CACHED);
		s->all[s->count++] = &s->levels[s->nlevels].base;
		s->nlevels++;
	}
	for (level = 1; level < VERSION_LEVELS; level++)
	{
		uint32_t first, end;

		level_run(v, level, lower, upper, &first, &end);
		/* Of two tables or more, each reaches to an end of the other inside the range: they have the prefix. */
		if (first == end || (end - first == 1 && table_lacks_prefix(s, v, &files[first])))
			continue;
		level_iter_init(&s->levels[s->nlevels], db->tables, v, first, end, SST_ITER_CACHED);
		s->all[s->count++] = &s->levels[s->nlevels].base;
		s->nlevels++;
	}
	NVMKV_RETURN_IF(merge_iter_init(&s->merge, s->all, s->count));
	s->taken = true;
	return NVMKV_OK;
}

/*
 * Has a source with these ends nothing from the key up to the range's end?  Then the iterator stands nowhere.  Among
 * wide sources there are such ones.
 */
static bool
passes_by(const ScanSources *s, NvmkvIter *it, VersionBytes smallest, VersionBytes largest, NvmkvSlice key)
{
	if (!s->wide || !is_outside(version_bytes(s->version, smallest), version_bytes(s->version, largest), key,
								nvmkv_buf_slice(&s->upper)))
		return false;
	iter_stand_nowhere(it);
	return true;
}

/*
 * All sources to the first entry >= (key, tag).  A row's hints tell where to look in the next older row; where they
 * are for another row, or that row is not among the sources, its whole live range is searched.
 */
void
scan_sources_seek(ScanSources *s, NvmkvSlice key, uint64_t tag)
{
	bool has_hints = false;
	unsigned i;

	for (i = 0; i < s->nmemtables; i++)
		s->memtables[i].base.ops->seek(&s->memtables[i].base, key, tag);
	for (i = 0; i < s->nrows; i++)
	{
		NvmRowIter *row = &s->rows[i];
		uint64_t left = row->row.first_live;
		uint64_t right = row->row.entries;
		bool passed = passes_by(s, &row->base, s->version_rows[i]->smallest, s->version_rows[i]->largest, key);

		if (!passed && has_hints)
			nvm_row_hint_window(s->db->pool, &s->rows[i - 1].row, s->rows[i - 1].index, &row->row, &left, &right);
		if (!passed)
			nvm_row_iter_seek_window(row, key, tag, left, right);
		has_hints = !passed;
	}
	for (i = 0; i < s->nlevels; i++)
	{
		LevelIter *level = &s->levels[i];
		const VersionFile *files = version_files(s->version);

		if (!passes_by(s, &level->base, files[level->first].smallest, files[level->end - 1].largest, key))
			level->base.ops->seek(&level->base, key, tag);
	}
	merge_iter_take(&s->merge, false);
}

bool
scan_sources_renew(ScanSources *s)
{
	bool all = true;
	unsigned i;

	for (i = 0; i < s->nlevels; i++)
		all &= level_iter_renew(&s->levels[i]);
	return all;
}

bool
scan_sources_are_current(const ScanSources *s)
{
	return s->taken && s->super_version == mempool_super_version(&s->db->mem) && s->pages_lost == db_pages_lost(s->db);
}

void
scan_sources_spoil(ScanSources *s)
{
	s->super_version = UINT64_MAX; /* no version is */
}

NvmkvStatus
scan_sources_range(ScanSources *s, NvmkvSlice lower, NvmkvSlice upper, bool follows)
{
	bool again = follows && s->has_prefix && begins_with_prefix(s, lower);

	NVMKV_RETURN_IF(nvmkv_buf_set(&s->lower, lower));
	NVMKV_RETURN_IF(nvmkv_buf_set(&s->upper, upper));
	find_prefix(s);
	again = again && s->has_prefix;
	/* Sources are chosen by the range, new range, new sources; or by the prefix. */
	if (!again || !s->wide)
		scan_sources_drop(s);
	s->wide = again;
	return NVMKV_OK;
}

void
scan_sources_free(ScanSources *s)
{
	scan_sources_drop(s);
	nvmkv_buf_free(&s->lower);
	nvmkv_buf_free(&s->upper);
	port_free(s->memory);
}
