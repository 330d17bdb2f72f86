/*
 * scan.c
 *	  Range scans in batches.
 *
 * Within a batch the process is inside an epoch; between batches it is not,
 * and the iterators it keeps may point to memory that is being reused.  The
 * super version tells: as long as it has not changed since the sources were
 * taken, nothing of them has been unlinked.  Blocks of tables may all the same
 * have left the block cache, which is asked about them.  If both are as they
 * were the scan goes on where it stands; otherwise the sources are taken anew,
 * if need be, and sought by the last key.
 *
 * Forwards most keys have one version, which everybody sees, in one source, and
 * so have many that follow.  Such a run is taken from its source directly, up
 * to the key where another source comes in.  Anything else goes by the merge,
 * version by version.
 *
 * Where many keys in a row show nothing the scan leaps over those that are known
 * to be empty for all, or finds out that they are (leap.h).
 *
 * A scan that is started again, forwards in a range of the same prefix, is taken for one of many such: of a list of
 * values, or on the inner side of a join.  Then it takes the sources of all keys with the prefix ("wide"), once, and
 * the ranges that follow only seek in them.
 *
 * A damaged range is the end of what can be shown: keys may be missing there, so
 * a scan that comes to it fails, after it has shown what is before.
 */
#include "engine/base/filter.h"
#include "engine/iter/level.h"
#include "engine/iter/merge.h"
#include "engine/read/get.h"
#include "engine/read/leap.h"
#include "engine/sst/value_read.h"
#include "engine/tree/damage.h"
#include "engine/tree/tree.h"

/* So many versions of a key that has been decided are stepped over, then the others are left out by a seek. */
#define SCAN_VERSIONS_STEPPED 32

/* Entries looked at before the epoch is left for a moment even without a result. */
#define SCAN_ENTRIES_MAX 65536

/* A scan that has taken no more than this is kept when it is over: most are short, and all need this memory. */
#define SPARE_BYTES_MAX ((size_t) 256 * 1024)

#define SOURCE_MEMTABLE 0
#define SOURCE_ROW 1
#define SOURCE_TABLE 2

struct NvmkvScan
{
	NvmkvDb *db;
	NvmkvBuf lower, upper;
	bool reverse;
	bool keys_only;
	uint64_t born;	 /* db_born of all keys of the range */
	bool has_prefix; /* all keys of the range begin with the first prefix_bytes of "lower" */
	uint64_t prefix_hash;
	uint8_t prefix_end[NVMKV_PREFIX_BYTES_MAX]; /* the least key behind those, of so many bytes; 0: there is none */
	size_t prefix_end_bytes;
	const NvmkvSnapshot *snapshot;

	bool started; /* something was examined: "resume" says where */
	bool done;
	bool resume_at;	 /* forwards: "resume" itself is to be examined, too */
	bool astray;	 /* the sources do not stand where the scan goes on */
	NvmkvBuf resume; /* last key examined to the end; backwards after a leap: the end of what is still to be examined */
	ScanLeap leap;

	/* The sources, valid while the super version is "super_version". */
	bool have_sources;
	bool wide; /* they are, or are to be, those of all keys with the prefix */
	uint64_t super_version;
	const VersionDamage *bar; /* within a batch: the damaged range that comes next; NULL: there is none */
	const VersionImage *bar_version;
	uint32_t pages_lost; /* when the sources were taken: an iterator may stand on a page that goes later */
	unsigned nmemtables, nrows, nlevels, nsources;
	void *source_memory; /* of what follows */
	size_t source_bytes;
	MemtableIter *memtables;
	NvmRowIter *rows;
	const VersionImage *version;	 /* the sources are of it */
	const VersionRow **version_rows; /* what it says of each of "rows" */
	LevelIter *levels;
	NvmkvIter **sources;
	MergeIter merge;

	/* The batch handed out; its rows point into "bytes". */
	NvmkvBuf bytes;
	NvmkvScanRow *out;
	unsigned out_capacity;

	NvmkvBuf key;	/* of the versions being examined */
	NvmkvBuf value; /* reverse: the candidate's */
	NvmkvScanStats stats;
};

static const NvmkvSnapshot scan_everything = {NULL, NULL, NVMKV_SEQUENCE_MAX, NULL};

static void
drop_sources(NvmkvScan *s)
{
	unsigned i;

	for (i = 0; i < s->nrows; i++)
		s->rows[i].base.ops->destroy(&s->rows[i].base);
	for (i = 0; i < s->nlevels; i++)
		s->levels[i].base.ops->destroy(&s->levels[i].base);
	merge_iter_free(&s->merge);
	s->nmemtables = s->nrows = s->nlevels = s->nsources = 0;
	s->have_sources = false;
}

static bool
allocate_sources(NvmkvScan *s, unsigned memtables, unsigned rows, unsigned levels)
{
	size_t bytes = memtables * sizeof(MemtableIter) + rows * (sizeof(NvmRowIter) + sizeof(VersionRow *)) +
		levels * sizeof(LevelIter) + (memtables + rows + levels) * sizeof(NvmkvIter *);

	if (bytes > s->source_bytes)
	{
		void *memory = port_alloc(bytes);

		if (memory == NULL)
			return false;
		port_free(s->source_memory);
		s->source_memory = memory;
		s->source_bytes = bytes;
	}
	s->memtables = s->source_memory;
	s->levels = (LevelIter *) (void *) (s->memtables + memtables);
	s->rows = (NvmRowIter *) (void *) (s->levels + levels);
	s->version_rows = (const VersionRow **) (void *) (s->rows + rows);
	s->sources = (NvmkvIter **) (void *) (s->version_rows + rows);
	return true;
}

_Static_assert(sizeof(MemtableIter) % sizeof(void *) == 0 && sizeof(LevelIter) % sizeof(void *) == 0 &&
				   sizeof(NvmRowIter) % sizeof(void *) == 0 && _Alignof(MemtableIter) <= sizeof(void *) &&
				   _Alignof(LevelIter) <= sizeof(void *) && _Alignof(NvmRowIter) <= sizeof(void *),
			   "sources lie one behind the other");

/* The range whose sources are taken; upper.size 0: it has no end. */
static inline NvmkvSlice
sources_lower(const NvmkvScan *s)
{
	return s->wide ? nvmkv_slice(s->lower.data, s->db->options.prefix_bytes) : nvmkv_buf_slice(&s->lower);
}

static inline NvmkvSlice
sources_upper(const NvmkvScan *s)
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
find_prefix(NvmkvScan *s)
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
begins_with_prefix(const NvmkvScan *s, NvmkvSlice key)
{
	size_t bytes = s->db->options.prefix_bytes;

	return key.size >= bytes && memcmp(key.data, s->lower.data, bytes) == 0;
}

/* May a source with these ends have the prefix somewhere between them only? */
static inline bool
is_in_doubt(const NvmkvScan *s, NvmkvSlice smallest, NvmkvSlice largest)
{
	return s->has_prefix && !begins_with_prefix(s, smallest) && !begins_with_prefix(s, largest);
}

static bool
row_lacks_prefix(NvmkvScan *s, const VersionImage *v, const VersionRow *row, const NvmRowRef *ref)
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
table_lacks_prefix(NvmkvScan *s, const VersionImage *v, const VersionFile *file)
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

/* Takes the current sources, newest first.  REQUIRES: inside the epoch. */
static NvmkvStatus
take_sources(NvmkvScan *s)
{
	NvmkvDb *db = s->db;
	const NvmkvSlice lower = sources_lower(s);
	const NvmkvSlice upper = sources_upper(s);
	const VersionImage *v;
	const VersionFile *files;
	MemList list;
	unsigned level;
	uint32_t i;

	drop_sources(s);
	/* The number first: if anything changes while we look, the next batch sees it. */
	s->super_version = mempool_super_version(&db->mem);
	s->pages_lost = db_pages_lost(db);
	mempool_list(&db->mem, &list);
	v = versions_current(&db->versions);
	s->version = v;
	files = version_files(v);
	if (!allocate_sources(s, list.count, v->nrows, v->level_start[1] + VERSION_LEVELS))
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a scan of %u sources", list.count + v->nrows + VERSION_LEVELS);
	for (i = 0; i < list.count; i++)
	{
		memtable_iter_init(&s->memtables[i], list.memtable[i]);
		s->sources[s->nsources++] = &s->memtables[i].base;
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
		s->sources[s->nsources++] = &s->rows[s->nrows].base;
		s->nrows++;
	}
	for (i = 0; i < v->level_start[1]; i++)
	{
		if (is_outside(version_bytes(v, files[i].smallest), version_bytes(v, files[i].largest), lower, upper) ||
			table_lacks_prefix(s, v, &files[i]))
			continue;
		level_iter_init(&s->levels[s->nlevels], db->tables, v, i, i + 1, SST_ITER_CACHED);
		s->sources[s->nsources++] = &s->levels[s->nlevels].base;
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
		s->sources[s->nsources++] = &s->levels[s->nlevels].base;
		s->nlevels++;
	}
	NVMKV_RETURN_IF(merge_iter_init(&s->merge, s->sources, s->nsources));
	s->have_sources = true;
	return NVMKV_OK;
}

/*
 * Has a source with these ends nothing from the key up to the range's end?  Then the iterator stands nowhere.  Among
 * wide sources there are such ones.
 */
static bool
passes_by(const NvmkvScan *s, NvmkvIter *it, VersionBytes smallest, VersionBytes largest, NvmkvSlice key)
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
static void
seek_forward(NvmkvScan *s, NvmkvSlice key, uint64_t tag)
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

/* Stands on the first entry not yet examined. */
static void
seek(NvmkvScan *s)
{
	NvmkvIter *m = &s->merge.base;

	if (s->reverse)
	{
		if (s->started)
			m->ops->seek_for_prev(m, nvmkv_buf_slice(&s->resume), NVMKV_TAG_MAX);
		else if (s->upper.size > 0)
			m->ops->seek_for_prev(m, nvmkv_buf_slice(&s->upper), NVMKV_TAG_MAX);
		else
			m->ops->seek_last(m);
	}
	else if (s->started) /* at it, or behind all versions of it: tag 0 is never used */
		seek_forward(s, nvmkv_buf_slice(&s->resume), s->resume_at ? NVMKV_TAG_MAX : 0);
	else
		seek_forward(s, nvmkv_buf_slice(&s->lower), NVMKV_TAG_MAX);
}

/* ---- damaged ranges ---- */

/* The one that the scan will come to next, from where it stands.  REQUIRES: inside the epoch. */
static void
find_bar(NvmkvScan *s)
{
	const VersionImage *v = versions_current(&s->db->versions);
	const VersionDamage *damages = version_damages(v);
	NvmkvSlice lower = nvmkv_buf_slice(!s->reverse && s->started ? &s->resume : &s->lower);
	NvmkvSlice upper = nvmkv_buf_slice(s->reverse && s->started ? &s->resume : &s->upper);
	bool has_upper = upper.size > 0 || (s->reverse && s->started);
	uint32_t i;

	s->bar = NULL;
	s->bar_version = v;
	for (i = version_damage_from(v, lower); i < v->ndamages; i++)
	{
		if (has_upper && slice_compare(version_bytes(v, damages[i].low), upper) >= 0)
			break;
		if (slice_compare(version_bytes(v, damages[i].upper), lower) <= 0 || damages[i].max_sequence <= s->born)
			continue;
		if (s->bar == NULL ||
			slice_compare(version_bytes(v, damages[i].upper), version_bytes(v, s->bar->upper)) > 0)
			s->bar = &damages[i];
		/* By their lower ends they are in order; backwards it is the highest upper end that comes first. */
		if (!s->reverse)
			break;
	}
}

static bool
is_behind_bar(const NvmkvScan *s, NvmkvSlice key)
{
	return s->bar != NULL &&
		(s->reverse ? slice_compare(key, version_bytes(s->bar_version, s->bar->upper)) < 0
					: slice_compare(key, version_bytes(s->bar_version, s->bar->low)) >= 0);
}

/* Is the merge on an entry of the range that can be shown? */
static bool
in_range(const NvmkvScan *s)
{
	const NvmkvIter *m = &s->merge.base;

	if (!m->valid || __builtin_expect(is_behind_bar(s, m->key), 0))
		return false;
	if (s->reverse)
		return slice_compare(m->key, nvmkv_buf_slice(&s->lower)) >= 0;
	return s->upper.size == 0 || slice_compare(m->key, nvmkv_buf_slice(&s->upper)) < 0;
}

static void
count_source(NvmkvScan *s, unsigned source, unsigned rows)
{
	if (source < s->nmemtables)
		s->stats.memtable_entries += rows;
	else if (source < s->nmemtables + s->nrows)
		s->stats.level0_entries += rows;
	else
		s->stats.table_entries += rows;
}

/* The entry the merge stands on, as a version. */
static NvmkvStatus
current_version(NvmkvScan *s, NvmkvVersion *version)
{
	NvmkvIter *m = &s->merge.base;
	unsigned source = merge_iter_source(&s->merge);

	version->sequence = ikey_sequence(m->tag);
	version->type = ikey_type(m->tag);
	version->memo = source < s->nmemtables ? memtable_iter_hint(s->sources[source]) : NULL;
	return ikey_split_payload(m->tag, m->payload, &version->txn, &version->value);
}

/* Room for one more row of "size" bytes; the rows move along with their bytes. */
static NvmkvStatus
grow_bytes(NvmkvScan *s, unsigned count, size_t size)
{
	uintptr_t old = (uintptr_t) s->bytes.data;
	unsigned i;

	NVMKV_RETURN_IF(nvmkv_buf_reserve(&s->bytes, size));
	for (i = 0; i < count; i++)
	{
		s->out[i].key.data = s->bytes.data + ((uintptr_t) s->out[i].key.data - old);
		s->out[i].value.data = s->bytes.data + ((uintptr_t) s->out[i].value.data - old);
	}
	return NVMKV_OK;
}

static inline NvmkvSlice
append_bytes(NvmkvBuf *bytes, NvmkvSlice s)
{
	uint8_t *at = bytes->data + bytes->size;

	if (s.size > 0)
		memcpy(at, s.data, s.size);
	bytes->size += s.size;
	return nvmkv_slice(at, s.size);
}

/* Appends a row to the batch. */
static inline NvmkvStatus
emit_value(NvmkvScan *s, unsigned *count, NvmkvSlice key, NvmkvSlice value, NvmkvTxnTag txn, uint64_t sequence)
{
	NvmkvScanRow *row = &s->out[*count];

	if (s->keys_only)
		value.size = 0;
	if (s->bytes.capacity - s->bytes.size <= key.size + value.size)
		NVMKV_RETURN_IF(grow_bytes(s, *count, key.size + value.size + 1));
	row->key = append_bytes(&s->bytes, key);
	row->value = append_bytes(&s->bytes, value);
	row->txn = txn;
	row->sequence = sequence;
	row->beneath = false;
	(*count)++;
	s->stats.rows++;
	return NVMKV_OK;
}

/* The value is apart. */
static NvmkvStatus
emit_apart(NvmkvScan *s, unsigned *count, NvmkvSlice key, uint64_t tag, NvmkvSlice reference, NvmkvTxnTag txn)
{
	ValueBlock value;
	NvmkvStatus st;

	NVMKV_RETURN_IF(value_open(s->db->tables, key, tag, reference, SST_BLOCK_DATA, &value));
	st = emit_value(s, count, key, value.value, txn, ikey_sequence(tag));
	value_close(&value);
	return st;
}

static inline NvmkvStatus
emit(NvmkvScan *s, unsigned *count, NvmkvSlice key, uint64_t tag, NvmkvSlice value, NvmkvTxnTag txn)
{
	if (__builtin_expect(ikey_is_apart(tag), 0) && !s->keys_only)
		return emit_apart(s, count, key, tag, value, txn);
	return emit_value(s, count, key, value, txn, ikey_sequence(tag));
}

/* The hint about what may be beneath the key's row, which is the batch's last one if it is shown. */
static NvmkvStatus
emit_beneath(NvmkvScan *s, unsigned *count, NvmkvSlice key, bool before_row)
{
	const NvmkvTxnTag no_txn = {0, 0};

	NVMKV_RETURN_IF(emit_value(s, count, key, nvmkv_slice(NULL, 0), no_txn, 0));
	s->stats.rows--;
	s->out[*count - 1].beneath = true;
	if (before_row)
	{
		NvmkvScanRow row = s->out[*count - 2];

		s->out[*count - 2] = s->out[*count - 1];
		s->out[*count - 1] = row;
	}
	return NVMKV_OK;
}

/*
 * Examines all versions of the key the merge stands on, newest first; leaves the merge behind them.  The newest that is
 * seen decides.  If that is the reader's own, deletions beneath it are looked for, down to the first version that is
 * seen and somebody else's.
 */
static NvmkvStatus
examine_forward(NvmkvScan *s, unsigned *count, unsigned *entries)
{
	NvmkvIter *m = &s->merge.base;
	unsigned before = *count;
	NvmkvSight newest = NVMKV_UNSEEN; /* of those seen */
	bool decided = false;
	bool beneath = false;
	unsigned stepped = 0;

	NVMKV_RETURN_IF(nvmkv_buf_set(&s->key, m->key));
	leap_judge_begin(&s->leap);
	do
	{
		bool shown = false;

		(*entries)++;
		if (!decided)
		{
			NvmkvVersion version;
			NvmkvSight sight;
			unsigned kind;

			NVMKV_RETURN_IF(current_version(s, &version));
			kind = version.type & NVMKV_TYPE_KIND_MASK;
			sight = db_snapshot_sees(s->snapshot, nvmkv_buf_slice(&s->key), &version);
			decided = sight == NVMKV_SEEN;
			if (s->leap.watching)
				leap_judge(&s->leap, &version, sight);
			if (newest == NVMKV_SEEN_OWN)
				beneath |= sight == NVMKV_UNSEEN && kind == NVMKV_KIND_DELETION;
			else if (sight != NVMKV_UNSEEN)
			{
				newest = sight;
				shown = kind == NVMKV_KIND_VALUE;
			}
			if (shown)
			{
				count_source(s, merge_iter_source(&s->merge), 1);
				NVMKV_RETURN_IF(emit(s, count, nvmkv_buf_slice(&s->key), m->tag, version.value, version.txn));
			}
		}
		if (!shown)
			s->stats.versions_passed++;
		if (decided && stepped++ >= SCAN_VERSIONS_STEPPED)
		{
			seek_forward(s, nvmkv_buf_slice(&s->key), 0);
			break;
		}
		m->ops->next(m);
	} while (m->valid && slice_equal(m->key, nvmkv_buf_slice(&s->key)));
	if (m->status != NVMKV_OK)
	{
		/* What is beneath is not known: the key is not done. */
		if (newest == NVMKV_SEEN_OWN)
			*count = before;
		return m->status;
	}
	return beneath ? emit_beneath(s, count, nvmkv_buf_slice(&s->key), *count > before) : NVMKV_OK;
}

/* The same backwards: versions come oldest first, so the last one seen wins. */
static NvmkvStatus
examine_backward(NvmkvScan *s, unsigned *count, unsigned *entries)
{
	NvmkvIter *m = &s->merge.base;
	NvmkvVersion winner;
	NvmkvSight newest = NVMKV_UNSEEN;
	bool deletion = false; /* one that is not seen, since the last one of somebody else's that is */
	bool beneath = false;
	unsigned winner_source = 0;

	memset(&winner, 0, sizeof(winner));
	NVMKV_RETURN_IF(nvmkv_buf_set(&s->key, m->key));
	leap_judge_begin(&s->leap);
	do
	{
		NvmkvVersion version;
		NvmkvSight sight;

		(*entries)++;
		s->stats.versions_passed++;
		NVMKV_RETURN_IF(current_version(s, &version));
		sight = db_snapshot_sees(s->snapshot, nvmkv_buf_slice(&s->key), &version);
		if (s->leap.watching)
			leap_judge(&s->leap, &version, sight);
		if (sight == NVMKV_UNSEEN)
			deletion |= (version.type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_DELETION;
		else
		{
			newest = sight;
			deletion &= sight == NVMKV_SEEN_OWN;
			beneath = deletion;
			winner = version;
			winner_source = merge_iter_source(&s->merge);
			NVMKV_RETURN_IF(nvmkv_buf_set(&s->value, version.value));
		}
		m->ops->prev(m);
	} while (m->valid && slice_equal(m->key, nvmkv_buf_slice(&s->key)));
	if (newest != NVMKV_UNSEEN && (winner.type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_VALUE)
	{
		s->stats.versions_passed--;
		count_source(s, winner_source, 1);
		NVMKV_RETURN_IF(emit(s, count, nvmkv_buf_slice(&s->key), ikey_tag(winner.sequence, winner.type),
							 nvmkv_buf_slice(&s->value), winner.txn));
	}
	NVMKV_RETURN_IF(m->status);
	return beneath ? emit_beneath(s, count, nvmkv_buf_slice(&s->key), false) : NVMKV_OK;
}

/* Where a batch ends. */
typedef struct BatchLimits
{
	unsigned rows;
	size_t bytes;
} BatchLimits;

static inline bool
has_room(const NvmkvScan *s, const BatchLimits *limits, unsigned count, unsigned entries)
{
	return count < limits->rows && (count == 0 || s->bytes.size < limits->bytes) && entries < SCAN_ENTRIES_MAX;
}

/* The key at which a run of the merge's current child ends: another child's, or where what can be shown ends. */
static bool
run_end(NvmkvScan *s, NvmkvSlice *end_out)
{
	NvmkvSlice upper = nvmkv_buf_slice(&s->upper);
	bool has_end = merge_iter_next_key(&s->merge, end_out);

	if (upper.size > 0 && (!has_end || slice_compare(upper, *end_out) < 0))
	{
		*end_out = upper;
		has_end = true;
	}
	if (__builtin_expect(s->bar != NULL, 0))
	{
		NvmkvSlice low = version_bytes(s->bar_version, s->bar->low);

		if (!has_end || slice_compare(low, *end_out) < 0)
			*end_out = low;
		has_end = true;
	}
	return has_end;
}

static inline void
step(NvmkvIter *it, bool in_tables)
{
	if (!in_tables || !level_iter_step((LevelIter *) it))
		it->ops->next(it);
}

/* Visible to all, wherever its value is. */
static inline bool
is_plain_value(uint64_t tag)
{
	return (ikey_type(tag) & ~NVMKV_TYPE_APART_BIT) == NVMKV_TYPE_VALUE;
}

/*
 * Takes keys from the source the merge stands on, forwards, as long as no other source has a version of them and
 * the newest is a value that is visible to all; none if the first is not such a key.  Leaves the merge behind them.
 */
static NvmkvStatus
take_run(NvmkvScan *s, const BatchLimits *limits, unsigned *count, unsigned *entries)
{
	const NvmkvTxnTag no_txn = {0, 0};
	NvmkvIter *it = merge_iter_child(&s->merge);
	unsigned source = merge_iter_source(&s->merge);
	bool in_tables = source >= s->nmemtables + s->nrows;
	unsigned before = *count;
	NvmkvSlice end;
	bool has_end;

	if (!is_plain_value(it->tag))
		return NVMKV_OK;
	has_end = run_end(s, &end);
	while (it->valid && is_plain_value(it->tag) && ikey_sequence(it->tag) <= s->snapshot->sequence &&
		   (!has_end || slice_compare(it->key, end) < 0) && has_room(s, limits, *count, *entries))
	{
		NvmkvSlice key;

		NVMKV_RETURN_IF(emit(s, count, it->key, it->tag, it->payload, no_txn));
		key = s->out[*count - 1].key;
		(*entries)++;
		step(it, in_tables);
		while (it->valid && slice_equal(it->key, key))
		{
			(*entries)++;
			s->stats.versions_passed++;
			step(it, in_tables);
		}
	}
	if (*count > before)
	{
		count_source(s, source, *count - before);
		merge_iter_moved(&s->merge);
	}
	return s->merge.base.status;
}

/* Are the blocks on which the tables' iterators stand still there? */
static bool
renew_tables(NvmkvScan *s)
{
	bool all = true;
	unsigned i;

	for (i = 0; i < s->nlevels; i++)
		all &= level_iter_renew(&s->levels[i]);
	return all;
}

/* What a later batch resumes behind: the last key examined. */
static NvmkvStatus
resume_behind(NvmkvScan *s, NvmkvSlice key)
{
	NVMKV_RETURN_IF(nvmkv_buf_set(&s->resume, key));
	s->started = true;
	s->resume_at = false;
	return NVMKV_OK;
}

/* ---- leaps ---- */

/* Where the scan goes on: behind it, or forwards perhaps at it. */
static NvmkvSlice
place(const NvmkvScan *s)
{
	if (s->started)
		return nvmkv_buf_slice(&s->resume);
	return nvmkv_buf_slice(s->reverse ? &s->upper : &s->lower);
}

/*
 * Is "key" in a range that is empty for all?  Then the scan can go on at leap.to.  A damaged range, which is to be
 * known, is not leapt over.
 */
static NvmkvStatus
find_leap(NvmkvScan *s, NvmkvSlice key, bool *found_out)
{
	*found_out = false;
	if (!s->leap.enabled)
		return NVMKV_OK;
	s->leap.looked = true;
	NVMKV_RETURN_IF(emptied_find(s->db, s->prefix_hash, key, s->reverse, &s->leap.to, found_out));
	*found_out = *found_out && !is_behind_bar(s, nvmkv_buf_slice(&s->leap.to));
	return NVMKV_OK;
}

/* Moves the place there; the sources are to be placed then. */
static NvmkvStatus
take_leap(NvmkvScan *s)
{
	NVMKV_RETURN_IF(resume_behind(s, nvmkv_buf_slice(&s->leap.to)));
	s->resume_at = !s->reverse;
	leap_showed(&s->leap);
	s->stats.leaps++;
	return NVMKV_OK;
}

/* Begins a watch where the entries begin that were passed.  REQUIRES no epoch. */
static NvmkvStatus
begin_watch(NvmkvScan *s)
{
	/* Forwards its first key is the least that is not examined. */
	if (!s->reverse && s->started && !s->resume_at)
	{
		NVMKV_RETURN_IF(ikey_successor(nvmkv_buf_slice(&s->resume), &s->leap.to));
		NVMKV_RETURN_IF(nvmkv_buf_set(&s->resume, nvmkv_buf_slice(&s->leap.to)));
		s->resume_at = true;
	}
	s->astray = true;
	leap_watch(&s->leap, s->db, s->snapshot, s->prefix_hash, place(s),
			   nvmkv_buf_slice(s->reverse ? &s->lower : &s->upper), s->reverse);
	return NVMKV_OK;
}

/* The watch has come to a key that is not empty. */
static NvmkvStatus
end_watch(NvmkvScan *s, NvmkvSlice key)
{
	if (s->reverse)
	{
		NVMKV_RETURN_IF(ikey_successor(key, &s->leap.to));
		key = nvmkv_buf_slice(&s->leap.to);
	}
	leap_extend(&s->leap, s->db, key);
	leap_end(&s->leap, s->db);
	return NVMKV_OK;
}

/*
 * The key in s->key was examined and showed nothing.  The place may move meanwhile while the batch has no row, so that
 * none is lost should it fail; *moved_out: it has, beyond that key.  *stop_out: the batch is to end, and the place is
 * where it has to go on.
 */
static NvmkvStatus
pass_key(NvmkvScan *s, unsigned count, unsigned entries, bool *moved_out, bool *stop_out)
{
	ScanLeap *leap = &s->leap;

	leap->passed += entries;
	if (leap->watching && leap_judges_empty(leap))
		leap->empty++;
	else if (leap->watching)
	{
		NVMKV_RETURN_IF(end_watch(s, nvmkv_buf_slice(&s->key)));
		return resume_behind(s, nvmkv_buf_slice(&s->key));
	}
	if (leap_looks(leap))
	{
		bool found;

		NVMKV_RETURN_IF(find_leap(s, nvmkv_buf_slice(&s->key), &found));
		if (found && count == 0)
		{
			NVMKV_RETURN_IF(take_leap(s));
			seek(s);
			*moved_out = true;
		}
		else if (found)
		{
			NVMKV_RETURN_IF(resume_behind(s, nvmkv_buf_slice(&s->key)));
			s->astray = true;
			*stop_out = true;
		}
	}
	else if (leap_turns_back(leap))
	{
		if (count > 0)
			NVMKV_RETURN_IF(resume_behind(s, s->out[count - 1].key));
		leap->watch_wanted = true;
		*stop_out = true;
	}
	return NVMKV_OK;
}

/* A row was shown, the first of its batch under a watch. */
static NvmkvStatus
show_key(NvmkvScan *s, NvmkvSlice key)
{
	leap_showed(&s->leap);
	return s->leap.watching ? end_watch(s, key) : NVMKV_OK;
}

/*
 * Something in the way of the merge cannot be read.  What was found before it is shown first; the next batch comes
 * upon it again, and fails.
 */
static NvmkvStatus
show_before(NvmkvScan *s, NvmkvStatus status, unsigned sure, unsigned *count)
{
	const NvmkvError cause = *nvmkv_error();

	*count = sure;
	if (status != NVMKV_CORRUPTION || sure == 0 || resume_behind(s, s->out[sure - 1].key) != NVMKV_OK)
		return nvmkv_fail_at(status, cause.sys_errno, cause.file, cause.line, "%s", cause.text);
	s->super_version = UINT64_MAX; /* no version is: they are taken anew */
	return NVMKV_OK;
}

/* Places the sources, which may have changed, where the scan goes on. */
static NvmkvStatus
place_sources(NvmkvScan *s)
{
	bool stand = s->have_sources && s->super_version == mempool_super_version(&s->db->mem) &&
		s->pages_lost == db_pages_lost(s->db);

	if (!stand)
		NVMKV_RETURN_IF(take_sources(s));
	find_bar(s);
	if (!stand || s->astray || !renew_tables(s))
	{
		bool found;

		NVMKV_RETURN_IF(find_leap(s, place(s), &found));
		if (found)
			NVMKV_RETURN_IF(take_leap(s));
		seek(s);
		s->astray = false;
	}
	return s->merge.base.status;
}

/* One stay inside the epoch. */
static NvmkvStatus
fill(NvmkvScan *s, const BatchLimits *limits, unsigned *count)
{
	unsigned entries = 0;
	bool examined = false;
	bool in_row = false; /* the last key examined is the last row's, and not in s->key */
	bool stop = false;

	NVMKV_RETURN_IF(place_sources(s));
	while (!stop && has_room(s, limits, *count, entries))
	{
		unsigned before = *count;
		unsigned entries_before = entries;
		bool moved = false;
		NvmkvStatus st = NVMKV_OK;

		if (!in_range(s))
		{
			NVMKV_RETURN_IF(s->merge.base.status);
			if (s->bar != NULL && *count > 0)
				break;
			if (s->bar != NULL)
				return damage_failure(s->db, s->bar_version, s->bar);
			if (s->leap.watching)
			{
				leap_extend(&s->leap, s->db, nvmkv_buf_slice(s->reverse ? &s->lower : &s->upper));
				leap_end(&s->leap, s->db);
			}
			s->done = true;
			return NVMKV_OK;
		}
		if (!s->reverse)
			st = take_run(s, limits, count, &entries);
		in_row = *count > before;
		if (st == NVMKV_OK && !in_row)
			st = s->reverse ? examine_backward(s, count, &entries) : examine_forward(s, count, &entries);
		if (st == NVMKV_OK && *count > before)
			st = show_key(s, s->out[before].key);
		else if (st == NVMKV_OK)
			st = pass_key(s, *count, entries - entries_before, &moved, &stop);
		/* Forwards the newest version of a key comes first, and a row is right as soon as it is there. */
		if (st != NVMKV_OK)
			return show_before(s, st, s->reverse ? before : *count, count);
		examined = !moved;
	}
	if (stop)
		return NVMKV_OK;
	if (s->leap.watching)
		leap_extend(&s->leap, s->db, nvmkv_buf_slice(&s->key));
	/* After a failure it is where this batch began. */
	if (examined)
		return resume_behind(s, in_row ? s->out[*count - 1].key : nvmkv_buf_slice(&s->key));
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_scan_batch(NvmkvScan *s, unsigned max_rows, size_t max_bytes, const NvmkvScanRow **rows_out, unsigned *count_out)
{
	const BatchLimits limits = {max_rows, max_bytes};
	unsigned count = 0;

	*rows_out = NULL;
	*count_out = 0;
	s->bytes.size = 0;
	/* One more: the last row may have a hint beside it. */
	if (max_rows >= s->out_capacity)
	{
		NvmkvScanRow *grown = port_realloc(s->out, (max_rows + 1) * sizeof(NvmkvScanRow));

		if (grown == NULL)
			return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a batch of %u rows", max_rows);
		s->out = grown;
		s->out_capacity = max_rows + 1;
	}
	while (count == 0 && !s->done)
	{
		NvmkvStatus st;

		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "scan interrupted");
		if (s->leap.watch_wanted)
			NVMKV_RETURN_IF(begin_watch(s));
		db_enter(s->db);
		st = fill(s, &limits, &count);
		if (s->have_sources)
			st = db_settled(s->db, s->pages_lost, st);
		db_leave(s->db);
		if (st != NVMKV_OK)
		{
			drop_sources(s);
			if (s->leap.watching)
				leap_end(&s->leap, s->db);
			s->done = false;
			return st;
		}
	}
	s->stats.batches++;
	*rows_out = s->out;
	*count_out = count;
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_scan_create(NvmkvDb *db, NvmkvScan **scan_out)
{
	NvmkvScan *s = db->spare_scan;

	db->spare_scan = NULL;
	if (s == NULL)
		s = port_alloc_zero(sizeof(NvmkvScan));
	if (s == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a scan");
	s->db = db;
	s->done = true;
	s->keys_only = false;
	s->has_prefix = false;
	memset(&s->stats, 0, sizeof(s->stats));
	*scan_out = s;
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_scan_start(NvmkvScan *s, NvmkvSlice lower, NvmkvSlice upper, bool reverse, const NvmkvSnapshot *snapshot)
{
	bool again = s->has_prefix && !s->reverse && !reverse && begins_with_prefix(s, lower);

	NVMKV_RETURN_IF(nvmkv_buf_set(&s->lower, lower));
	NVMKV_RETURN_IF(nvmkv_buf_set(&s->upper, upper));
	find_prefix(s);
	again = again && s->has_prefix;
	/* Sources are chosen by the range, new range, new sources; or by the prefix. */
	if (!again || !s->wide)
		drop_sources(s);
	s->wide = again;
	s->astray = true;
	s->reverse = reverse;
	s->snapshot = snapshot != NULL ? snapshot : &scan_everything;
	s->started = false;
	s->resume_at = false;
	s->done = false;
	leap_start(&s->leap, s->snapshot, s->has_prefix);
	db_count(&db_slot_counters(s->db)->scans, 1);
	return NVMKV_OK;
}

void
nvmkv_scan_keys_only(NvmkvScan *s)
{
	s->keys_only = true;
}

const NvmkvScanStats *
nvmkv_scan_stats(const NvmkvScan *scan)
{
	return &scan->stats;
}

static size_t
memory_bytes(const NvmkvScan *s)
{
	return s->source_bytes + s->out_capacity * sizeof(NvmkvScanRow) + s->bytes.capacity + s->value.capacity;
}

static void
free_scan(NvmkvScan *s)
{
	nvmkv_buf_free(&s->lower);
	nvmkv_buf_free(&s->upper);
	nvmkv_buf_free(&s->resume);
	nvmkv_buf_free(&s->leap.to);
	nvmkv_buf_free(&s->bytes);
	nvmkv_buf_free(&s->key);
	nvmkv_buf_free(&s->value);
	port_free(s->source_memory);
	port_free(s->out);
	port_free(s);
}

void
nvmkv_scan_destroy(NvmkvScan *s)
{
	if (s == NULL)
		return;
	drop_sources(s);
	if (s->db->spare_scan == NULL && memory_bytes(s) <= SPARE_BYTES_MAX)
		s->db->spare_scan = s;
	else
		free_scan(s);
}

void
scan_free_spare(NvmkvDb *db)
{
	if (db->spare_scan != NULL)
		free_scan(db->spare_scan);
	db->spare_scan = NULL;
}
