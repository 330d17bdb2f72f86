/*
 * scan.c
 *	  Range scans in batches.
 *
 * Within a batch the process is inside an epoch; between batches it is not,
 * and the iterators it keeps may point to memory that is being reused.  The
 * sources tell whether it is (scan_sources.h).  If they are as they were the scan
 * goes on where it stands; otherwise they are taken anew, if need be, and sought
 * by the last key.
 *
 * Forwards most keys have one version, which everybody sees, in one source, and
 * so have many that follow.  Such a run is taken from its source directly, up
 * to the key where another source comes in.  Anything else goes by the merge,
 * version by version.
 *
 * Where many keys in a row show nothing the scan leaps over those that are known
 * to be empty for all, or finds out that they are (leap.h).
 *
 * A damaged range is the end of what can be shown: keys may be missing there, so
 * a scan that comes to it fails, after it has shown what is before.
 */
#include "engine/read/get.h"
#include "engine/read/leap.h"
#include "engine/read/scan_rows.h"
#include "engine/read/scan_sources.h"
#include "engine/tree/damage.h"

/* So many versions of a key that has been decided are stepped over, then the others are left out by a seek. */
#define SCAN_VERSIONS_STEPPED 32

/* Entries looked at before the epoch is left for a moment even without a result. */
#define SCAN_ENTRIES_MAX 65536

/* A scan that has taken no more than this is kept when it is over: most are short, and all need this memory. */
#define SPARE_BYTES_MAX ((size_t) 256 * 1024)

struct NvmkvScan
{
	ScanSources sources; /* and the range */
	ScanRows rows;
	bool reverse;
	const NvmkvSnapshot *snapshot;

	bool started; /* something was examined: "resume" says where */
	bool done;
	bool resume_at;	 /* forwards: "resume" itself is to be examined, too */
	bool astray;	 /* the sources do not stand where the scan goes on */
	NvmkvBuf resume; /* last key examined to the end; backwards after a leap: the end of what is still to be examined */
	ScanLeap leap;

	const VersionDamage *bar; /* within a batch: the damaged range that comes next; NULL: there is none */
	const VersionImage *bar_version;

	NvmkvBuf key;	/* of the versions being examined */
	NvmkvBuf value; /* reverse: the candidate's */
	NvmkvScanStats stats;
};

static const NvmkvSnapshot scan_everything = {NULL, NULL, NVMKV_SEQUENCE_MAX, NULL};

/* Stands on the first entry not yet examined. */
static void
seek(NvmkvScan *s)
{
	NvmkvIter *m = &s->sources.merge.base;

	if (s->reverse)
	{
		if (s->started)
			m->ops->seek_for_prev(m, nvmkv_buf_slice(&s->resume), NVMKV_TAG_MAX);
		else if (s->sources.upper.size > 0)
			m->ops->seek_for_prev(m, nvmkv_buf_slice(&s->sources.upper), NVMKV_TAG_MAX);
		else
			m->ops->seek_last(m);
	}
	else if (s->started) /* at it, or behind all versions of it: tag 0 is never used */
		scan_sources_seek(&s->sources, nvmkv_buf_slice(&s->resume), s->resume_at ? NVMKV_TAG_MAX : 0);
	else
		scan_sources_seek(&s->sources, nvmkv_buf_slice(&s->sources.lower), NVMKV_TAG_MAX);
}

/* ---- damaged ranges ---- */

/* The one that the scan will come to next, from where it stands.  REQUIRES: inside the epoch. */
static void
find_bar(NvmkvScan *s)
{
	const VersionImage *v = versions_current(&s->sources.db->versions);
	const VersionDamage *damages = version_damages(v);
	NvmkvSlice lower = nvmkv_buf_slice(!s->reverse && s->started ? &s->resume : &s->sources.lower);
	NvmkvSlice upper = nvmkv_buf_slice(s->reverse && s->started ? &s->resume : &s->sources.upper);
	bool has_upper = upper.size > 0 || (s->reverse && s->started);
	uint32_t i;

	s->bar = NULL;
	s->bar_version = v;
	for (i = version_damage_from(v, lower); i < v->ndamages; i++)
	{
		if (has_upper && slice_compare(version_bytes(v, damages[i].low), upper) >= 0)
			break;
		if (slice_compare(version_bytes(v, damages[i].upper), lower) <= 0 || damages[i].max_sequence <= s->sources.born)
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
	const NvmkvIter *m = &s->sources.merge.base;

	if (!m->valid || __builtin_expect(is_behind_bar(s, m->key), 0))
		return false;
	if (s->reverse)
		return slice_compare(m->key, nvmkv_buf_slice(&s->sources.lower)) >= 0;
	return s->sources.upper.size == 0 || slice_compare(m->key, nvmkv_buf_slice(&s->sources.upper)) < 0;
}

static void
count_source(NvmkvScan *s, unsigned source, unsigned rows)
{
	if (source < s->sources.nmemtables)
		s->stats.memtable_entries += rows;
	else if (source < s->sources.nmemtables + s->sources.nrows)
		s->stats.level0_entries += rows;
	else
		s->stats.table_entries += rows;
}

/* Appends a row to the batch; newest: nothing of its key is above it. */
static inline NvmkvStatus
emit(NvmkvScan *s, NvmkvSlice key, uint64_t tag, NvmkvSlice value, NvmkvTxnTag txn, bool newest)
{
	s->stats.rows++;
	NVMKV_RETURN_IF(scan_rows_add(&s->rows, s->sources.db, key, tag, value, txn));
	s->rows.out[s->rows.count - 1].newest = newest;
	return NVMKV_OK;
}

/* The entry the merge stands on, as a version. */
static NvmkvStatus
current_version(NvmkvScan *s, NvmkvVersion *version)
{
	NvmkvIter *m = &s->sources.merge.base;
	unsigned source = merge_iter_source(&s->sources.merge);

	version->sequence = ikey_sequence(m->tag);
	version->type = ikey_type(m->tag);
	version->memo = source < s->sources.nmemtables ? memtable_iter_hint(s->sources.all[source]) : NULL;
	return ikey_split_payload(m->tag, m->payload, &version->txn, &version->value);
}

/*
 * Examines all versions of the key the merge stands on, newest first; leaves the merge behind them.  The newest that is
 * seen decides.  If that is the reader's own, deletions beneath it are looked for, down to the first version that is
 * seen and somebody else's.
 */
static NvmkvStatus
examine_forward(NvmkvScan *s, unsigned *entries)
{
	NvmkvIter *m = &s->sources.merge.base;
	unsigned before = s->rows.count;
	NvmkvSight newest = NVMKV_UNSEEN; /* of those seen */
	bool first = true;
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
				count_source(s, merge_iter_source(&s->sources.merge), 1);
				NVMKV_RETURN_IF(emit(s, nvmkv_buf_slice(&s->key), m->tag, version.value, version.txn, first));
			}
		}
		first = false;
		if (!shown)
			s->stats.versions_passed++;
		if (decided && stepped++ >= SCAN_VERSIONS_STEPPED)
		{
			scan_sources_seek(&s->sources, nvmkv_buf_slice(&s->key), 0);
			break;
		}
		m->ops->next(m);
	} while (m->valid && slice_equal(m->key, nvmkv_buf_slice(&s->key)));
	if (m->status != NVMKV_OK)
	{
		/* What is beneath is not known: the key is not done. */
		if (newest == NVMKV_SEEN_OWN)
			s->rows.count = before;
		return m->status;
	}
	return beneath ? scan_rows_add_beneath(&s->rows, nvmkv_buf_slice(&s->key), s->rows.count > before) : NVMKV_OK;
}

/* The same backwards: versions come oldest first, so the last one seen wins. */
static NvmkvStatus
examine_backward(NvmkvScan *s, unsigned *entries)
{
	NvmkvIter *m = &s->sources.merge.base;
	NvmkvVersion winner;
	NvmkvSight newest = NVMKV_UNSEEN;
	bool deletion = false; /* one that is not seen, since the last one of somebody else's that is */
	bool beneath = false;
	bool above = false; /* there is a newer entry than the winner */
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
		above = sight == NVMKV_UNSEEN;
		if (sight == NVMKV_UNSEEN)
			deletion |= (version.type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_DELETION;
		else
		{
			newest = sight;
			deletion &= sight == NVMKV_SEEN_OWN;
			beneath = deletion;
			winner = version;
			winner_source = merge_iter_source(&s->sources.merge);
			NVMKV_RETURN_IF(nvmkv_buf_set(&s->value, version.value));
		}
		m->ops->prev(m);
	} while (m->valid && slice_equal(m->key, nvmkv_buf_slice(&s->key)));
	if (newest != NVMKV_UNSEEN && (winner.type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_VALUE)
	{
		s->stats.versions_passed--;
		count_source(s, winner_source, 1);
		NVMKV_RETURN_IF(emit(s, nvmkv_buf_slice(&s->key), ikey_tag(winner.sequence, winner.type),
							 nvmkv_buf_slice(&s->value), winner.txn, !above));
	}
	NVMKV_RETURN_IF(m->status);
	return beneath ? scan_rows_add_beneath(&s->rows, nvmkv_buf_slice(&s->key), false) : NVMKV_OK;
}

/* Where a batch ends. */
typedef struct BatchLimits
{
	unsigned rows;
	size_t bytes;
} BatchLimits;

static inline bool
has_room(const ScanRows *rows, const BatchLimits *limits, unsigned entries)
{
	return entries < SCAN_ENTRIES_MAX && rows->count < limits->rows &&
		(rows->count == 0 || rows->bytes.size < limits->bytes);
}

/* The key at which a run of the merge's current child ends: another child's, or where what can be shown ends. */
static bool
run_end(NvmkvScan *s, NvmkvSlice *end_out)
{
	NvmkvSlice upper = nvmkv_buf_slice(&s->sources.upper);
	bool has_end = merge_iter_next_key(&s->sources.merge, end_out);

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
take_run(NvmkvScan *s, const BatchLimits *limits, unsigned *entries)
{
	const NvmkvTxnTag no_txn = {0, 0};
	NvmkvIter *it = merge_iter_child(&s->sources.merge);
	unsigned source = merge_iter_source(&s->sources.merge);
	bool in_tables = source >= s->sources.nmemtables + s->sources.nrows;
	unsigned before = s->rows.count;
	NvmkvSlice end;
	bool has_end;

	if (!is_plain_value(it->tag))
		return NVMKV_OK;
	has_end = run_end(s, &end);
	while (it->valid && is_plain_value(it->tag) && ikey_sequence(it->tag) <= s->snapshot->sequence &&
		   (!has_end || slice_compare(it->key, end) < 0) && has_room(&s->rows, limits, *entries))
	{
		NvmkvSlice key;

		NVMKV_RETURN_IF(emit(s, it->key, it->tag, it->payload, no_txn, true));
		key = s->rows.out[s->rows.count - 1].key;
		(*entries)++;
		step(it, in_tables);
		while (it->valid && slice_equal(it->key, key))
		{
			(*entries)++;
			s->stats.versions_passed++;
			step(it, in_tables);
		}
	}
	if (s->rows.count > before)
	{
		count_source(s, source, s->rows.count - before);
		merge_iter_moved(&s->sources.merge);
	}
	return s->sources.merge.base.status;
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
	return nvmkv_buf_slice(s->reverse ? &s->sources.upper : &s->sources.lower);
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
	NVMKV_RETURN_IF(emptied_find(s->sources.db, s->sources.prefix_hash, key, s->reverse, &s->leap.to, found_out));
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
	leap_watch(&s->leap, s->sources.db, s->snapshot, s->sources.prefix_hash, place(s),
			   nvmkv_buf_slice(s->reverse ? &s->sources.lower : &s->sources.upper), s->reverse);
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
	leap_extend(&s->leap, s->sources.db, key);
	leap_end(&s->leap, s->sources.db);
	return NVMKV_OK;
}

/*
 * The key in s->key was examined and showed nothing.  The place may move meanwhile while the batch has no row, so that
 * none is lost should it fail; *moved_out: it has, beyond that key.  *stop_out: the batch is to end, and the place is
 * where it has to go on.
 */
static NvmkvStatus
pass_key(NvmkvScan *s, unsigned entries, bool *moved_out, bool *stop_out)
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
		if (found && s->rows.count == 0)
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
		if (s->rows.count > 0)
			NVMKV_RETURN_IF(resume_behind(s, s->rows.out[s->rows.count - 1].key));
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
show_before(NvmkvScan *s, NvmkvStatus status, unsigned sure)
{
	const NvmkvError cause = *nvmkv_error();

	s->rows.count = sure;
	if (status != NVMKV_CORRUPTION || sure == 0 || resume_behind(s, s->rows.out[sure - 1].key) != NVMKV_OK)
		return nvmkv_fail_at(status, cause.sys_errno, cause.file, cause.line, "%s", cause.text);
	scan_sources_spoil(&s->sources);
	return NVMKV_OK;
}

/* Places the sources, which may have changed, where the scan goes on. */
static NvmkvStatus
place_sources(NvmkvScan *s)
{
	bool stand = scan_sources_are_current(&s->sources);

	if (!stand)
		NVMKV_RETURN_IF(scan_sources_take(&s->sources));
	find_bar(s);
	if (!stand || s->astray || !scan_sources_renew(&s->sources))
	{
		bool found;

		NVMKV_RETURN_IF(find_leap(s, place(s), &found));
		if (found)
			NVMKV_RETURN_IF(take_leap(s));
		seek(s);
		s->astray = false;
	}
	return s->sources.merge.base.status;
}

/* One stay inside the epoch. */
static NvmkvStatus
fill(NvmkvScan *s, const BatchLimits *limits)
{
	unsigned entries = 0;
	bool examined = false;
	bool in_row = false; /* the last key examined is the last row's, and not in s->key */
	bool stop = false;

	NVMKV_RETURN_IF(place_sources(s));
	while (!stop && has_room(&s->rows, limits, entries))
	{
		unsigned before = s->rows.count;
		unsigned entries_before = entries;
		bool moved = false;
		NvmkvStatus st = NVMKV_OK;

		if (!in_range(s))
		{
			NVMKV_RETURN_IF(s->sources.merge.base.status);
			if (s->bar != NULL && s->rows.count > 0)
				break;
			if (s->bar != NULL)
				return damage_failure(s->sources.db, s->bar_version, s->bar);
			if (s->leap.watching)
			{
				leap_extend(&s->leap, s->sources.db,
							nvmkv_buf_slice(s->reverse ? &s->sources.lower : &s->sources.upper));
				leap_end(&s->leap, s->sources.db);
			}
			s->done = true;
			return NVMKV_OK;
		}
		if (!s->reverse)
			st = take_run(s, limits, &entries);
		in_row = s->rows.count > before;
		if (st == NVMKV_OK && !in_row)
			st = s->reverse ? examine_backward(s, &entries) : examine_forward(s, &entries);
		if (st == NVMKV_OK && s->rows.count > before)
			st = show_key(s, s->rows.out[before].key);
		else if (st == NVMKV_OK)
			st = pass_key(s, entries - entries_before, &moved, &stop);
		/* Forwards the newest version of a key comes first, and a row is right as soon as it is there. */
		if (st != NVMKV_OK)
			return show_before(s, st, s->reverse ? before : s->rows.count);
		examined = !moved;
	}
	if (stop)
		return NVMKV_OK;
	if (s->leap.watching)
		leap_extend(&s->leap, s->sources.db, nvmkv_buf_slice(&s->key));
	/* After a failure it is where this batch began. */
	if (examined)
		return resume_behind(s, in_row ? s->rows.out[s->rows.count - 1].key : nvmkv_buf_slice(&s->key));
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_scan_batch(NvmkvScan *s, unsigned max_rows, size_t max_bytes, const NvmkvScanRow **rows_out, unsigned *count_out)
{
	const BatchLimits limits = {max_rows, max_bytes};

	*rows_out = NULL;
	*count_out = 0;
	NVMKV_RETURN_IF(scan_rows_begin(&s->rows, max_rows));
	while (s->rows.count == 0 && !s->done)
	{
		NvmkvStatus st;

		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "scan interrupted");
		if (s->leap.watch_wanted)
			NVMKV_RETURN_IF(begin_watch(s));
		db_enter(s->sources.db);
		st = fill(s, &limits);
		if (s->sources.taken)
			st = db_settled(s->sources.db, s->sources.pages_lost, st);
		db_leave(s->sources.db);
		if (st != NVMKV_OK)
		{
			scan_sources_drop(&s->sources);
			if (s->leap.watching)
				leap_end(&s->leap, s->sources.db);
			s->done = false;
			return st;
		}
	}
	s->stats.batches++;
	*rows_out = s->rows.out;
	*count_out = s->rows.count;
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
	s->sources.db = db;
	s->done = true;
	s->rows.keys_only = false;
	s->sources.has_prefix = false;
	memset(&s->stats, 0, sizeof(s->stats));
	*scan_out = s;
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_scan_start(NvmkvScan *s, NvmkvSlice lower, NvmkvSlice upper, bool reverse, const NvmkvSnapshot *snapshot)
{
	NVMKV_RETURN_IF(scan_sources_range(&s->sources, lower, upper, !s->reverse && !reverse));
	s->astray = true;
	s->reverse = reverse;
	s->snapshot = snapshot != NULL ? snapshot : &scan_everything;
	s->started = false;
	s->resume_at = false;
	s->done = false;
	leap_start(&s->leap, s->snapshot, s->sources.has_prefix);
	db_count(&db_slot_counters(s->sources.db)->scans, 1);
	return NVMKV_OK;
}

void
nvmkv_scan_keys_only(NvmkvScan *s)
{
	s->rows.keys_only = true;
}

uint64_t
nvmkv_scan_mark(const NvmkvScan *s)
{
	return s->sources.super_version;
}

const NvmkvScanStats *
nvmkv_scan_stats(const NvmkvScan *scan)
{
	return &scan->stats;
}

static size_t
memory_bytes(const NvmkvScan *s)
{
	return s->sources.bytes + s->rows.capacity * sizeof(NvmkvScanRow) + s->rows.bytes.capacity + s->value.capacity;
}

static void
free_scan(NvmkvScan *s)
{
	scan_sources_free(&s->sources);
	scan_rows_free(&s->rows);
	nvmkv_buf_free(&s->resume);
	nvmkv_buf_free(&s->leap.to);
	nvmkv_buf_free(&s->key);
	nvmkv_buf_free(&s->value);
	port_free(s);
}

void
nvmkv_scan_destroy(NvmkvScan *s)
{
	if (s == NULL)
		return;
	scan_sources_drop(&s->sources);
	if (s->sources.db->spare_scan == NULL && memory_bytes(s) <= SPARE_BYTES_MAX)
		s->sources.db->spare_scan = s;
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
