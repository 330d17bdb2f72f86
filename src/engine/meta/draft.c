/*
 * draft.c
 *	  Applying edits, and laying out a version image.
 *
 * Rows are few.  Files may be tens of thousands, and recovery applies thousands
 * of edits: so they are found by a hash table, and stand anyhow until the end.
 */
#include "engine/meta/draft.h"

#include <inttypes.h>
#include <stdlib.h>

void
draft_init(VersionDraft *draft)
{
	memset(draft, 0, sizeof(*draft));
	draft->next_file = 1;
	draft->next_row = 1;
	draft->log_number = 0;
}

/* ---- files by number ---- */

static void
forget_index(VersionDraft *d)
{
	port_free(d->file_buckets);
	port_free(d->file_next);
	d->file_buckets = NULL;
	d->file_next = NULL;
}

static inline uint32_t *
bucket_of(const VersionDraft *d, uint64_t number)
{
	return &d->file_buckets[number & (d->file_bucket_count - 1)];
}

static void
link_file(VersionDraft *d, uint32_t at)
{
	uint32_t *bucket = bucket_of(d, d->files[at].number);

	d->file_next[at] = *bucket;
	*bucket = at + 1;
}

static void
unlink_file(VersionDraft *d, uint32_t at)
{
	uint32_t *link = bucket_of(d, d->files[at].number);

	while (*link != at + 1)
		link = &d->file_next[*link - 1];
	*link = d->file_next[at];
}

/* Makes sure that there is an index, for as many files as there is room for. */
static NvmkvStatus
index_files(VersionDraft *d)
{
	uint32_t count = 16;
	uint32_t i;

	if (d->file_buckets != NULL)
		return NVMKV_OK;
	while (count < d->files_capacity)
		count *= 2;
	d->file_bucket_count = count;
	d->file_buckets = port_alloc_zero(count * sizeof(uint32_t));
	d->file_next = port_alloc(count * sizeof(uint32_t));
	if (d->file_buckets == NULL || d->file_next == NULL)
	{
		forget_index(d);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for an index of %u tables", d->nfiles);
	}
	for (i = 0; i < d->nfiles; i++)
		link_file(d, i);
	return NVMKV_OK;
}

static MetaFile *
find_file(VersionDraft *d, uint64_t number)
{
	uint32_t at;

	for (at = *bucket_of(d, number); at != 0; at = d->file_next[at - 1])
		if (d->files[at - 1].number == number)
			return &d->files[at - 1];
	return NULL;
}

/* The last one takes its place. */
static void
remove_file(VersionDraft *d, const MetaFile *file)
{
	uint32_t at = (uint32_t) (file - d->files);
	uint32_t last = d->nfiles - 1;

	unlink_file(d, at);
	if (at != last)
	{
		unlink_file(d, last);
		d->files[at] = d->files[last];
		link_file(d, at);
	}
	d->nfiles--;
}

/* There is room for it. */
static void
append_file(VersionDraft *d, const MetaFile *file)
{
	d->files[d->nfiles] = *file;
	link_file(d, d->nfiles++);
}

/* ---- room ---- */

void
draft_free(VersionDraft *draft)
{
	forget_index(draft);
	port_free(draft->rows);
	port_free(draft->files);
	port_free(draft->damages);
	port_free(draft->segments);
	port_free(draft->lost);
	memset(draft, 0, sizeof(*draft));
}

static NvmkvStatus
reserve(void **array, uint32_t *capacity, uint32_t want, size_t element)
{
	uint32_t grown = *capacity == 0 ? 16 : *capacity;
	void *p;

	if (want <= *capacity)
		return NVMKV_OK;
	while (grown < want)
		grown *= 2;
	p = port_realloc(*array, grown * element);
	if (p == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a version of %u objects", want);
	*array = p;
	*capacity = grown;
	return NVMKV_OK;
}

static NvmkvStatus
reserve_rows(VersionDraft *d, uint32_t want)
{
	void *p = d->rows;
	NvmkvStatus st = reserve(&p, &d->rows_capacity, want, sizeof(MetaRow));

	d->rows = p;
	return st;
}

static NvmkvStatus
reserve_files(VersionDraft *d, uint32_t want)
{
	void *p = d->files;
	uint32_t capacity = d->files_capacity;
	NvmkvStatus st = reserve(&p, &d->files_capacity, want, sizeof(MetaFile));

	d->files = p;
	if (d->files_capacity != capacity)
		forget_index(d);
	return st;
}

/* Where the segment is among the others, or belongs. */
static uint32_t
segment_place(const VersionDraft *d, uint64_t segment)
{
	uint32_t at = d->nsegments;

	while (at > 0 && d->segments[at - 1].segment >= segment)
		at--;
	return at;
}

/* Gives a segment of the outcome record another file, or none. */
static NvmkvStatus
set_segment(VersionDraft *d, const VersionSegment *segment)
{
	uint32_t at = segment_place(d, segment->segment);
	bool there = at < d->nsegments && d->segments[at].segment == segment->segment;
	void *p = d->segments;
	NvmkvStatus st;

	if (there && segment->file != 0)
		d->segments[at].file = segment->file;
	else if (there)
	{
		d->nsegments--;
		memmove(d->segments + at, d->segments + at + 1, (d->nsegments - at) * sizeof(VersionSegment));
	}
	else if (segment->file == 0)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit drops segment %" PRIu64 " of outcomes, which is not there", segment->segment);
	if (there)
		return NVMKV_OK;
	st = reserve(&p, &d->segments_capacity, d->nsegments + 1, sizeof(VersionSegment));
	d->segments = p;
	NVMKV_RETURN_IF(st);
	memmove(d->segments + at + 1, d->segments + at, (d->nsegments - at) * sizeof(VersionSegment));
	d->segments[at] = *segment;
	d->nsegments++;
	return NVMKV_OK;
}

static NvmkvStatus
insert_lost(VersionDraft *d, uint32_t at, VersionXids xids)
{
	void *p = d->lost;
	NvmkvStatus st = reserve(&p, &d->lost_capacity, d->nlost + 1, sizeof(VersionXids));

	d->lost = p;
	NVMKV_RETURN_IF(st);
	memmove(d->lost + at + 1, d->lost + at, (d->nlost - at) * sizeof(VersionXids));
	d->lost[at] = xids;
	d->nlost++;
	return NVMKV_OK;
}

static void
remove_lost(VersionDraft *d, uint32_t at)
{
	d->nlost--;
	memmove(d->lost + at, d->lost + at + 1, (d->nlost - at) * sizeof(VersionXids));
}

/* Outcomes are not known: what it meets becomes one with it. */
static NvmkvStatus
add_lost(VersionDraft *d, VersionXids xids)
{
	uint32_t at = 0;

	while (at < d->nlost && d->lost[at].to < xids.from)
		at++;
	while (at < d->nlost && d->lost[at].from <= xids.to)
	{
		if (d->lost[at].from < xids.from)
			xids.from = d->lost[at].from;
		if (d->lost[at].to > xids.to)
			xids.to = d->lost[at].to;
		remove_lost(d, at);
	}
	return insert_lost(d, at, xids);
}

/* They are known again, or nobody needs them. */
static NvmkvStatus
take_lost(VersionDraft *d, VersionXids xids)
{
	uint32_t at = 0;

	while (at < d->nlost)
	{
		VersionXids *own = &d->lost[at];

		if (own->to <= xids.from || own->from >= xids.to)
			at++;
		else if (own->from >= xids.from && own->to <= xids.to)
			remove_lost(d, at);
		else if (own->from >= xids.from)
			own->from = xids.to;
		else if (own->to <= xids.to)
			own->to = xids.from;
		else
		{
			VersionXids rest = {xids.to, own->to};

			own->to = xids.from;
			return insert_lost(d, at + 1, rest);
		}
	}
	return NVMKV_OK;
}

static NvmkvStatus
apply_outcomes(VersionDraft *d, const VersionEdit *e)
{
	uint32_t i;

	if (e->has_settled)
	{
		if (e->settled < d->settled)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit knows outcomes below %" PRIu64 ", the one before it below %" PRIu64,
							  e->settled, d->settled);
		d->settled = e->settled;
	}
	if (e->has_outcomes_low)
		d->outcomes_low = e->outcomes_low;
	for (i = 0; i < e->nsegments; i++)
		NVMKV_RETURN_IF(set_segment(d, &e->segments[i]));
	for (i = 0; i < e->nlost; i++)
		NVMKV_RETURN_IF(add_lost(d, e->lost[i]));
	for (i = 0; i < e->nfound; i++)
		NVMKV_RETURN_IF(take_lost(d, e->found[i]));
	return NVMKV_OK;
}

static NvmkvStatus
copy_outcomes(VersionDraft *d, const VersionImage *v)
{
	void *segments = d->segments;
	void *lost = d->lost;
	NvmkvStatus st = reserve(&segments, &d->segments_capacity, v->nsegments, sizeof(VersionSegment));

	d->segments = segments;
	if (st == NVMKV_OK)
		st = reserve(&lost, &d->lost_capacity, v->nunknown, sizeof(VersionXids));
	d->lost = lost;
	NVMKV_RETURN_IF(st);
	if (v->nsegments > 0)
		memcpy(d->segments, version_segments(v), v->nsegments * sizeof(VersionSegment));
	if (v->nunknown > 0)
		memcpy(d->lost, version_unknown(v), v->nunknown * sizeof(VersionXids));
	d->nsegments = v->nsegments;
	d->nlost = v->nunknown;
	return NVMKV_OK;
}

static NvmkvStatus
reserve_damages(VersionDraft *d, uint32_t want)
{
	void *p = d->damages;
	NvmkvStatus st = reserve(&p, &d->damages_capacity, want, sizeof(MetaDamage));

	d->damages = p;
	return st;
}

NvmkvStatus
draft_from_image(VersionDraft *d, const VersionImage *v)
{
	const VersionFile *files = version_files(v);
	uint32_t i;

	d->system_identifier = v->system_identifier;
	d->durable_seq = v->durable_seq;
	d->next_file = v->next_file;
	d->next_row = v->next_row;
	d->pool_id = v->pool_id;
	d->log_number = v->log_number;
	d->incarnation = v->incarnation;
	d->predecessor = v->predecessor;
	d->edits = v->edits;
	d->generation = v->generation;
	d->successor = v->successor;
	d->stamp_number = v->stamp_number;
	d->closed = v->closed != 0;
	NVMKV_RETURN_IF(reserve_rows(d, v->nrows));
	NVMKV_RETURN_IF(reserve_files(d, v->nfiles));
	for (i = 0; i < v->nrows; i++)
	{
		const VersionRow *from = &v->rows[i];
		MetaRow *to = &d->rows[i];

		to->row_id = from->row_id;
		to->entries = from->entries;
		to->first_live = from->first_live;
		to->data_bytes = from->data_bytes;
		to->live_bytes = from->live_bytes;
		to->older_row_id = from->older_row_id;
		to->min_sequence = from->min_sequence;
		to->max_sequence = from->max_sequence;
		to->min_unresolved_fxid = from->min_unresolved_fxid;
		to->role = from->role;
		to->extent_count = from->extent_count;
		to->first_extent_live = from->first_extent_live;
		to->extents = version_row_ref(v, from).extents;
		to->smallest = version_bytes(v, from->smallest);
		to->largest = version_bytes(v, from->largest);
	}
	for (i = 0; i < v->nfiles; i++)
		d->files[i] = meta_file_of(v, &files[i]);
	d->nrows = v->nrows;
	d->nfiles = v->nfiles;
	NVMKV_RETURN_IF(reserve_damages(d, v->ndamages));
	for (i = 0; i < v->ndamages; i++)
		d->damages[i] = meta_damage_of(v, &version_damages(v)[i]);
	d->ndamages = v->ndamages;
	d->settled = v->settled;
	d->outcomes_low = v->outcomes_low;
	return copy_outcomes(d, v);
}

static MetaRow *
find_row(VersionDraft *d, uint64_t row_id)
{
	uint32_t i;

	for (i = 0; i < d->nrows; i++)
		if (d->rows[i].row_id == row_id)
			return &d->rows[i];
	return NULL;
}

static NvmkvStatus
apply_rows(VersionDraft *d, const VersionEdit *e)
{
	uint32_t i;

	for (i = 0; i < e->nrow_drops; i++)
	{
		MetaRow *row = find_row(d, e->row_drops[i]);

		if (row == NULL)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit drops row %" PRIu64 ", which does not exist", e->row_drops[i]);
		d->nrows--;
		memmove(row, row + 1, (size_t) (d->rows + d->nrows - row) * sizeof(MetaRow));
	}
	for (i = 0; i < e->nrow_advances; i++)
	{
		const MetaRowAdvance *a = &e->row_advances[i];
		MetaRow *row = find_row(d, a->row_id);

		if (row == NULL || a->first_live < row->first_live || a->first_live >= row->entries ||
			a->first_extent_live < row->first_extent_live || a->first_extent_live > row->extent_count)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit drains row %" PRIu64 " to %" PRIu64 ", which is not possible",
							  a->row_id, a->first_live);
		row->first_live = a->first_live;
		row->live_bytes = a->live_bytes;
		row->first_extent_live = a->first_extent_live;
	}
	for (i = 0; i < e->nrow_roles; i++)
	{
		MetaRow *row = find_row(d, e->row_roles[i].row_id);

		if (row == NULL)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit gives a role to row %" PRIu64 ", which does not exist", e->row_roles[i].row_id);
		row->role = e->row_roles[i].role;
	}
	NVMKV_RETURN_IF(reserve_rows(d, d->nrows + e->nrow_adds));
	for (i = 0; i < e->nrow_adds; i++)
	{
		if (find_row(d, e->row_adds[i].row_id) != NULL)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit adds row %" PRIu64 " twice", e->row_adds[i].row_id);
		memmove(d->rows + 1, d->rows, d->nrows * sizeof(MetaRow));
		d->rows[0] = e->row_adds[i];
		d->nrows++;
	}
	return NVMKV_OK;
}

static NvmkvStatus
apply_files(VersionDraft *d, const VersionEdit *e)
{
	uint32_t i;

	if (e->nfile_drops + e->nfile_adds + e->nvalue_releases == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(reserve_files(d, d->nfiles + e->nfile_adds));
	NVMKV_RETURN_IF(index_files(d));
	for (i = 0; i < e->nfile_drops; i++)
	{
		MetaFile *file = find_file(d, e->file_drops[i].number);

		if (file == NULL || file->level != e->file_drops[i].level)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit drops table %" PRIu64 " of level %u, which is not there",
							  e->file_drops[i].number, e->file_drops[i].level);
		if (file->level == VERSION_VALUES && file->value_bytes > 0)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit drops value table %" PRIu64 ", of which %" PRIu64 " bytes are in use",
							  file->number, file->value_bytes);
		remove_file(d, file);
	}
	for (i = 0; i < e->nfile_adds; i++)
	{
		if (find_file(d, e->file_adds[i].number) != NULL)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit adds table %" PRIu64 " twice", e->file_adds[i].number);
		append_file(d, &e->file_adds[i]);
	}
	for (i = 0; i < e->nvalue_releases; i++)
	{
		const ValueShare *release = &e->value_releases[i];
		MetaFile *file = find_file(d, release->number);

		if (file == NULL || file->level != VERSION_VALUES || file->value_bytes < release->bytes)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "version edit releases %" PRIu64 " bytes of value table %" PRIu64 ", which are not there",
							  release->bytes, release->number);
		file->value_bytes -= release->bytes;
		file->released_bytes += release->bytes;
	}
	return NVMKV_OK;
}

/* Takes [lower, upper) out of all damaged ranges. */
static NvmkvStatus
clear_damage(VersionDraft *d, const MetaDamageClear *clear)
{
	uint32_t n = d->ndamages;
	uint32_t kept = 0;
	uint32_t i;

	/* A range may become two: those behind go to the end, the order is draft_finish's to make. */
	NVMKV_RETURN_IF(reserve_damages(d, 2 * n));
	for (i = 0; i < n; i++)
	{
		MetaDamage damage = d->damages[i];
		bool has_end = clear->upper.size > 0;

		if (slice_compare(damage.upper, clear->lower) <= 0 ||
			(has_end && slice_compare(clear->upper, damage.low) <= 0))
		{
			d->damages[kept++] = damage;
			continue;
		}
		if (has_end && slice_compare(clear->upper, damage.upper) < 0)
		{
			d->damages[d->ndamages] = damage;
			d->damages[d->ndamages++].low = clear->upper;
		}
		if (slice_compare(damage.low, clear->lower) < 0)
		{
			d->damages[kept] = damage;
			d->damages[kept++].upper = clear->lower;
		}
	}
	if (d->ndamages > n)
		memmove(d->damages + kept, d->damages + n, (d->ndamages - n) * sizeof(MetaDamage));
	d->ndamages -= n - kept;
	return NVMKV_OK;
}

static NvmkvStatus
apply_damages(VersionDraft *d, const VersionEdit *e)
{
	uint32_t i;

	for (i = 0; i < e->ndamage_clears; i++)
		NVMKV_RETURN_IF(clear_damage(d, &e->damage_clears[i]));
	NVMKV_RETURN_IF(reserve_damages(d, d->ndamages + e->ndamages));
	for (i = 0; i < e->ndamages; i++)
		d->damages[d->ndamages++] = e->damages[i];
	return NVMKV_OK;
}

NvmkvStatus
draft_apply(VersionDraft *d, const VersionEdit *e)
{
	if (e->has_system)
		d->system_identifier = e->system_identifier;
	/* What is in rows and tables once is there: one who knew less may come later. */
	if (e->has_durable && e->durable_seq > d->durable_seq)
		d->durable_seq = e->durable_seq;
	/* Several jobs run at once, and one that read the counter earlier may come later. */
	if (e->has_next_file && e->next_file > d->next_file)
		d->next_file = e->next_file;
	if (e->has_next_row && e->next_row > d->next_row)
		d->next_row = e->next_row;
	if (e->has_pool)
		d->pool_id = e->pool_id;
	if (e->has_log)
		d->log_number = e->log_number;
	if (e->has_closed)
		d->closed = e->closed;
	if (e->has_incarnation)
	{
		d->incarnation = e->incarnation;
		d->predecessor = e->predecessor;
	}
	if (e->has_generation)
	{
		d->generation = e->generation;
		d->successor = e->successor;
		d->stamp_number = e->stamp_number;
	}
	d->edits = e->has_edits ? e->edits : d->edits + 1;
	NVMKV_RETURN_IF(apply_outcomes(d, e));
	NVMKV_RETURN_IF(apply_rows(d, e));
	NVMKV_RETURN_IF(apply_files(d, e));
	return apply_damages(d, e);
}

/* ---- damaged ranges ---- */

static int
compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_damages(const void *a, const void *b)
{
	const MetaDamage *x = a;
	const MetaDamage *y = b;
	int c = slice_compare(x->low, y->low);

	if (c == 0)
		c = slice_compare(x->upper, y->upper);
	if (c == 0)
		c = compare_numbers(x->kind, y->kind);
	if (c == 0)
		c = compare_numbers(x->source, y->source);
	if (c == 0)
		c = compare_numbers(x->offset, y->offset);
	return c != 0 ? c : compare_numbers(x->max_sequence, y->max_sequence);
}

static bool
is_same_source(const MetaDamage *a, const MetaDamage *b)
{
	return a->kind == b->kind && a->source == b->source;
}

/* The first comes to say what both do, and what is between them. */
static void
unite_damages(MetaDamage *into, const MetaDamage *other)
{
	if (slice_compare(into->upper, other->upper) < 0)
		into->upper = other->upper;
	if (into->max_sequence < other->max_sequence)
		into->max_sequence = other->max_sequence;
	if (into->found_us > other->found_us)
		into->found_us = other->found_us;
	if (into->offset > other->offset || other->offset == NVMKV_DAMAGE_ALL)
		into->offset = into->offset == NVMKV_DAMAGE_ALL ? NVMKV_DAMAGE_ALL : other->offset;
}

/* Which neighbours become one. */
typedef enum UniteRule
{
	UNITE_TOUCHING,	/* of one source */
	UNITE_SOURCE,	/* of one source, as long as there are too many */
	UNITE_ANY		/* as long as there are too many */
} UniteRule;

static void
unite_neighbours(VersionDraft *d, UniteRule rule)
{
	uint32_t left = d->ndamages;
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < d->ndamages; i++)
	{
		MetaDamage *last = kept > 0 ? &d->damages[kept - 1] : NULL;
		const MetaDamage *next = &d->damages[i];
		bool unite = last != NULL && (rule == UNITE_ANY || is_same_source(last, next)) &&
			(rule == UNITE_TOUCHING ? slice_compare(next->low, last->upper) <= 0 : left > VERSION_DAMAGES_MAX);

		if (unite)
		{
			unite_damages(last, next);
			left--;
		}
		else
			d->damages[kept++] = *next;
	}
	d->ndamages = kept;
}

static void
finish_damages(VersionDraft *d)
{
	if (d->ndamages > 1)
		qsort(d->damages, d->ndamages, sizeof(MetaDamage), compare_damages);
	unite_neighbours(d, UNITE_TOUCHING);
	unite_neighbours(d, UNITE_SOURCE);
	unite_neighbours(d, UNITE_ANY);
	unite_neighbours(d, UNITE_TOUCHING); /* those that have grown */
}

static NvmkvStatus
check_damages(const VersionDraft *d)
{
	uint32_t i;

	for (i = 0; i < d->ndamages; i++)
		if (slice_compare(d->damages[i].low, d->damages[i].upper) >= 0)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "a damaged range of table or row %" PRIu64 " is inside out", d->damages[i].source);
	return NVMKV_OK;
}

static int
compare_files(const void *a, const void *b)
{
	const MetaFile *x = a;
	const MetaFile *y = b;
	int c;

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	/* Level 0 files overlap: newest first there. */
	if (x->level == 0)
		return x->number > y->number ? -1 : 1;
	if (x->level == VERSION_VALUES)
		return x->number < y->number ? -1 : 1;
	c = slice_compare(x->smallest, y->smallest);
	return c != 0 ? c : (x->number < y->number ? -1 : 1);
}

/* What tables refer to is what value tables have. */
static NvmkvStatus
check_values(const VersionDraft *d)
{
	uint64_t referred = 0;
	uint64_t stored = 0;
	uint32_t i;

	for (i = 0; i < d->nfiles; i++)
	{
		const MetaFile *file = &d->files[i];

		if (file->level == VERSION_VALUES &&
			(file->value_bytes > file->bytes || file->released_bytes > file->bytes - file->value_bytes))
			return NVMKV_FAIL(NVMKV_CORRUPTION, "value table %" PRIu64 " of %" PRIu64 " bytes has %" PRIu64
							  " bytes in use, and %" PRIu64 " that are not", file->number, file->bytes, file->value_bytes,
							  file->released_bytes);
		if (file->level == VERSION_VALUES)
			stored += file->value_bytes;
		else
			referred += file->value_bytes;
	}
	if (referred != stored)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "tables refer to %" PRIu64 " bytes of values, %" PRIu64 " are in value tables",
						  referred, stored);
	return NVMKV_OK;
}

NvmkvStatus
draft_finish(VersionDraft *d)
{
	uint32_t i;

	NVMKV_RETURN_IF(check_damages(d));
	finish_damages(d);
	forget_index(d); /* the files change places */
	if (d->nfiles > 1)
		qsort(d->files, d->nfiles, sizeof(MetaFile), compare_files);
	for (i = 0; i < d->nrows; i++)
	{
		if (slice_compare(d->rows[i].smallest, d->rows[i].largest) > 0)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "row %" PRIu64 " has its key range inside out", d->rows[i].row_id);
		if (i > 0 && (d->rows[i - 1].row_id < d->rows[i].row_id || d->rows[i - 1].role > d->rows[i].role))
			return NVMKV_FAIL(NVMKV_CORRUPTION, "rows %" PRIu64 " and %" PRIu64 " are out of order", d->rows[i - 1].row_id, d->rows[i].row_id);
	}
	for (i = 0; i < d->nfiles; i++)
	{
		if (slice_compare(d->files[i].smallest, d->files[i].largest) > 0)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "table %" PRIu64 " has its key range inside out", d->files[i].number);
		if (i > 0 && d->files[i].level > 0 && d->files[i].level < VERSION_VALUES &&
			d->files[i - 1].level == d->files[i].level &&
			slice_compare(d->files[i - 1].largest, d->files[i].smallest) >= 0)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "tables %" PRIu64 " and %" PRIu64 " of level %u overlap",
							  d->files[i - 1].number, d->files[i].number, d->files[i].level);
	}
	return check_values(d);
}

static uint64_t
align8(uint64_t n)
{
	return (n + 7) & ~(uint64_t) 7;
}

uint64_t
draft_image_bytes(const VersionDraft *d)
{
	uint64_t bytes = sizeof(VersionImage) + d->nrows * sizeof(VersionRow) + d->nfiles * sizeof(VersionFile) +
		d->nsegments * sizeof(VersionSegment) + d->nlost * sizeof(VersionXids);
	uint32_t i;

	for (i = 0; i < d->nrows; i++)
		bytes += d->rows[i].extent_count * sizeof(uint32_t);
	for (i = 0; i < d->nrows; i++)
		bytes += d->rows[i].smallest.size + d->rows[i].largest.size;
	for (i = 0; i < d->nfiles; i++)
		bytes += d->files[i].smallest.size + d->files[i].largest.size;
	bytes += d->ndamages * sizeof(VersionDamage);
	for (i = 0; i < d->ndamages; i++)
		bytes += d->damages[i].low.size + d->damages[i].upper.size;
	return align8(bytes);
}

static VersionBytes
place(VersionImage *image, uint32_t *at, const void *data, size_t size)
{
	VersionBytes b = {*at, (uint32_t) size};

	if (size > 0)
		memcpy((uint8_t *) image + *at, data, size);
	*at += (uint32_t) size;
	return b;
}

void
draft_write_image(const VersionDraft *d, uint64_t number, VersionImage *v)
{
	VersionFile *files;
	VersionDamage *damages;
	VersionSegment *segments;
	VersionXids *unknown;
	uint32_t at;
	uint32_t i;

	memset(v, 0, sizeof(*v));
	v->bytes = draft_image_bytes(d);
	v->number = number;
	v->system_identifier = d->system_identifier;
	v->durable_seq = d->durable_seq;
	v->next_file = d->next_file;
	v->next_row = d->next_row;
	v->pool_id = d->pool_id;
	v->log_number = d->log_number;
	v->incarnation = d->incarnation;
	v->predecessor = d->predecessor;
	v->generation = d->generation;
	v->successor = d->successor;
	v->stamp_number = d->stamp_number;
	v->edits = d->edits;
	v->closed = d->closed;
	v->nrows = d->nrows;
	v->nfiles = d->nfiles;
	v->ndamages = d->ndamages;
	v->settled = d->settled;
	v->outcomes_low = d->outcomes_low;
	v->nsegments = d->nsegments;
	v->nunknown = d->nlost;
	files = (VersionFile *) (void *) (v->rows + d->nrows);
	damages = (VersionDamage *) (void *) (files + d->nfiles);
	segments = (VersionSegment *) (void *) (damages + d->ndamages);
	unknown = (VersionXids *) (void *) (segments + d->nsegments);
	at = (uint32_t) ((uint8_t *) (unknown + d->nlost) - (uint8_t *) v);
	if (d->nsegments > 0)
		memcpy(segments, d->segments, d->nsegments * sizeof(VersionSegment));
	if (d->nlost > 0)
		memcpy(unknown, d->lost, d->nlost * sizeof(VersionXids));

	/* Extent lists first: they need alignment, keys do not. */
	for (i = 0; i < d->nrows; i++)
	{
		const MetaRow *from = &d->rows[i];
		VersionRow *to = &v->rows[i];

		memset(to, 0, sizeof(*to));
		to->row_id = from->row_id;
		to->entries = from->entries;
		to->first_live = from->first_live;
		to->data_bytes = from->data_bytes;
		to->live_bytes = from->live_bytes;
		to->older_row_id = from->older_row_id;
		to->min_sequence = from->min_sequence;
		to->max_sequence = from->max_sequence;
		to->min_unresolved_fxid = from->min_unresolved_fxid;
		to->role = from->role;
		to->extent_count = from->extent_count;
		to->first_extent_live = from->first_extent_live;
		to->extents_off = place(v, &at, from->extents, from->extent_count * sizeof(uint32_t)).off;
	}
	for (i = 0; i < d->nrows; i++)
	{
		v->rows[i].smallest = place(v, &at, d->rows[i].smallest.data, d->rows[i].smallest.size);
		v->rows[i].largest = place(v, &at, d->rows[i].largest.data, d->rows[i].largest.size);
	}
	for (i = 0; i < d->nfiles; i++)
	{
		const MetaFile *from = &d->files[i];
		VersionFile *to = &files[i];
		unsigned level;

		memset(to, 0, sizeof(*to));
		to->number = from->number;
		to->bytes = from->bytes;
		to->entries = from->entries;
		to->min_sequence = from->min_sequence;
		to->max_sequence = from->max_sequence;
		to->min_unresolved_fxid = from->min_unresolved_fxid;
		to->value_bytes = from->value_bytes;
		to->released_bytes = from->released_bytes;
		to->level = from->level;
		to->smallest = place(v, &at, from->smallest.data, from->smallest.size);
		to->largest = place(v, &at, from->largest.data, from->largest.size);
		v->level_bytes[from->level] += from->bytes;
		v->level_value_bytes[from->level] += from->value_bytes;
		for (level = from->level + 1; level <= VERSION_GROUPS; level++)
			v->level_start[level]++;
		v->ndead += from->level == VERSION_VALUES && from->value_bytes == 0;
	}
	for (i = 0; i < d->ndamages; i++)
	{
		const MetaDamage *from = &d->damages[i];
		VersionDamage *to = &damages[i];

		to->max_sequence = from->max_sequence;
		to->source = from->source;
		to->offset = from->offset;
		to->found_us = from->found_us;
		to->bytes = from->bytes;
		to->kind = from->kind;
		to->level = from->level;
		to->low = place(v, &at, from->low.data, from->low.size);
		to->upper = place(v, &at, from->upper.data, from->upper.size);
	}
}

NvmkvStatus
draft_snapshot_edit(const VersionDraft *d, MetaArena *arena, VersionEdit *e)
{
	MetaRow *oldest_first;
	uint32_t i;

	memset(e, 0, sizeof(*e));
	e->has_system = e->has_durable = e->has_next_file = e->has_next_row = e->has_pool = e->has_log = true;
	e->system_identifier = d->system_identifier;
	e->durable_seq = d->durable_seq;
	e->next_file = d->next_file;
	e->next_row = d->next_row;
	e->pool_id = d->pool_id;
	e->log_number = d->log_number;
	e->has_closed = e->has_incarnation = e->has_edits = true;
	e->closed = d->closed;
	e->incarnation = d->incarnation;
	e->predecessor = d->predecessor;
	e->edits = d->edits;
	e->has_generation = true;
	e->generation = d->generation;
	e->successor = d->successor;
	e->stamp_number = d->stamp_number;
	oldest_first = meta_arena_alloc(arena, (d->nrows + 1) * sizeof(MetaRow));
	if (oldest_first == NULL)
		return NVMKV_NO_MEMORY;
	for (i = 0; i < d->nrows; i++)
		oldest_first[i] = d->rows[d->nrows - 1 - i];
	e->row_adds = oldest_first;
	e->nrow_adds = d->nrows;
	e->file_adds = d->files;
	e->nfile_adds = d->nfiles;
	e->damages = d->damages;
	e->ndamages = d->ndamages;
	e->has_settled = e->has_outcomes_low = true;
	e->settled = d->settled;
	e->outcomes_low = d->outcomes_low;
	e->segments = d->segments;
	e->nsegments = d->nsegments;
	e->lost = d->lost;
	e->nlost = d->nlost;
	return NVMKV_OK;
}
