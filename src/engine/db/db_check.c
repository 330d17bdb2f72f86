/*
 * db_check.c
 *	  Verification of everything, object by object.
 *
 * Work goes on meanwhile: each object is looked up in the version of the
 * moment, inside an epoch, and is passed over when it is gone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/db/anchoring.h"
#include "engine/db/family.h"
#include "engine/db/outcome.h"
#include "engine/iter/level.h"
#include "engine/job/value.h"
#include "engine/sst/sst_verify.h"
#include "engine/tree/damage.h"
#include "engine/tree/install.h"
#include "engine/tree/tree.h"

typedef struct Check
{
	NvmkvDb *db;
	void (*problem)(void *ctx, const char *where, const char *text);
	void *ctx;
	char where[128];
	uint64_t reported;
} Check;

/* nvmkv_error() says which keys it is about. */
static void
report_keys(Check *c, const char *text)
{
	char where[sizeof(c->where) + 32];

	c->reported++;
	if (c->db->family != 0)
		(void) snprintf(where, sizeof(where), "column family %u, %s", c->db->family, c->where);
	c->problem(c->ctx, c->db->family != 0 ? where : c->where, text);
}

static void
report(void *ctx, const char *text)
{
	nvmkv_fail_keys(NULL, 0, NULL, 0, 0);
	report_keys(ctx, text);
}

/* The extents the version names are taken in the pool. */
static void
check_extents(Check *c, const NvmRowRef *ref)
{
	uint32_t e;

	for (e = 0; e < ref->extent_count; e++)
		if ((e == 0 || e >= ref->first_extent_live) && !nvm_pool_is_taken(c->db->pool, ref->extents[e]))
		{
			char text[128];

			(void) snprintf(text, sizeof(text), "extent %u is in use but marked free", ref->extents[e]);
			report(c, text);
		}
}

/* ---- damaged ranges ---- */

typedef struct Ranges
{
	NvmkvDamageSink sink;
	Check *check;
	uint64_t newest; /* of the source */
} Ranges;

static NvmkvStatus
report_range(NvmkvDamageSink *sink, bool is_row, uint64_t source, uint64_t offset, NvmkvSlice low, NvmkvSlice upper)
{
	Ranges *ranges = (Ranges *) (void *) sink;
	char low_text[DAMAGE_KEY_TEXT_BYTES];
	char upper_text[DAMAGE_KEY_TEXT_BYTES];
	char text[3 * DAMAGE_KEY_TEXT_BYTES];

	(void) is_row;
	(void) source;
	(void) offset;
	damage_show_key(low, low_text);
	damage_show_key(upper, upper_text);
	(void) snprintf(text, sizeof(text), "keys from %s to %s cannot be read", low_text, upper_text);
	nvmkv_fail_keys(low.data, low.size, upper.data, upper.size, ranges->newest);
	report_keys(ranges->check, text);
	return NVMKV_OK;
}

/* Of which keys a damaged row costs something.  That it is damaged, or pages of it are lost, has been reported. */
static NvmkvStatus
check_row_ranges(Check *c, const NvmRowRef *ref, uint64_t newest)
{
	Ranges ranges = {{report_range}, c, newest};
	NvmRowIter it;
	NvmkvStatus st;

	nvm_row_iter_init(&it, c->db->pool, ref, ref->entries);
	it.sink = &ranges.sink;
	for (it.base.ops->seek_first(&it.base); it.base.valid; it.base.ops->next(&it.base))
		;
	st = it.base.status;
	it.base.ops->destroy(&it.base);
	return st == NVMKV_CORRUPTION || st == NVMKV_VERSION || st == NVMKV_IO ? NVMKV_OK : st;
}

static NvmkvStatus
check_row(Check *c, uint64_t row_id)
{
	const VersionImage *v = versions_current(&c->db->versions);
	const VersionRow *row = version_find_row(v, row_id);
	const VersionRow *older_row;
	NvmRowRef ref, older;
	uint64_t before = c->reported;

	if (row == NULL)
		return NVMKV_OK;
	(void) snprintf(c->where, sizeof(c->where), "row %" PRIu64, row_id);
	ref = version_row_ref(v, row);
	check_extents(c, &ref);
	older_row = version_find_row(v, row->older_row_id);
	if (older_row != NULL)
		older = version_row_ref(v, older_row);
	NVMKV_RETURN_IF(nvm_row_verify(c->db->pool, &ref, older_row != NULL ? &older : NULL, report, c));
	return c->reported == before ? NVMKV_OK : check_row_ranges(c, &ref, row->max_sequence);
}

/* Of which keys a damaged table, file "at" of the version, costs something. */
static NvmkvStatus
check_ranges(Check *c, const VersionImage *v, uint32_t at)
{
	Ranges ranges = {{report_range}, c, version_files(v)[at].max_sequence};
	LevelIter *it = port_alloc(sizeof(LevelIter));
	NvmkvIter *m;
	NvmkvStatus st;

	if (it == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	level_iter_init(it, c->db->tables, v, at, at + 1, SST_ITER_BULK);
	it->sink = &ranges.sink;
	m = &it->base;
	for (m->ops->seek_first(m); m->valid; m->ops->next(m))
		;
	st = m->status;
	m->ops->destroy(m);
	port_free(it);
	return st == NVMKV_CORRUPTION || st == NVMKV_VERSION || st == NVMKV_IO ? NVMKV_OK : st;
}

/* What compaction has gone round. */
static void
check_damages(Check *c, const VersionImage *v)
{
	uint32_t i;

	(void) snprintf(c->where, sizeof(c->where), "damaged range");
	for (i = 0; i < v->ndamages; i++)
	{
		(void) damage_failure(c->db, v, &version_damages(v)[i]);
		report_keys(c, nvmkv_error()->text);
	}
}

/* ---- values apart ---- */

typedef struct LostValues
{
	ValueLost lost;
	Check *check;
	uint64_t newest; /* of the table */
} LostValues;

/* Keys up to "last" and itself: below what follows it. */
static void
report_values(ValueLost *lost, const char *problem, uint64_t entries, NvmkvSlice low, NvmkvSlice last)
{
	LostValues *values = (LostValues *) (void *) lost;
	NvmkvBuf upper = {0};
	char low_text[DAMAGE_KEY_TEXT_BYTES];
	char last_text[DAMAGE_KEY_TEXT_BYTES];
	char text[NVMKV_ERROR_TEXT_MAX + 3 * DAMAGE_KEY_TEXT_BYTES];

	damage_show_key(low, low_text);
	damage_show_key(last, last_text);
	(void) snprintf(text, sizeof(text), "%s: values of %" PRIu64 " entries with keys from %s to %s cannot be read", problem,
					entries, low_text, last_text);
	if (nvmkv_buf_set(&upper, last) == NVMKV_OK && nvmkv_buf_append(&upper, "", 1) == NVMKV_OK)
		nvmkv_fail_keys(low.data, low.size, upper.data, upper.size, values->newest);
	else
		nvmkv_fail_keys(NULL, 0, NULL, 0, 0);
	report_keys(values->check, text);
	nvmkv_buf_free(&upper);
}

/* Of the whole file, past the table cache: that knows value tables without their heads. */
static NvmkvStatus
check_table(Check *c, const VersionImage *v, const VersionFile *file)
{
	bool is_values = file->level == VERSION_VALUES;
	LostValues values = {{report_values}, c, file->max_sequence};
	SstTable *table;
	const SstProps *props;
	char path[SST_PATH_BYTES_MAX];

	(void) snprintf(c->where, sizeof(c->where), "table %" PRIu64 " of level %u", file->number, file->level);
	if (is_values)
		(void) snprintf(c->where, sizeof(c->where), "value table %" PRIu64, file->number);
	NVMKV_RETURN_IF(sst_file_name(c->db->dir, file->number, path, sizeof(path)));
	if (sst_table_open(path, file->number, file->bytes, NULL, &table) != NVMKV_OK)
	{
		report(c, nvmkv_error()->text);
		return NVMKV_OK;
	}
	props = sst_table_props(table);
	if (props->entries != file->entries || !slice_equal(props->smallest, version_bytes(v, file->smallest)) ||
		!slice_equal(props->largest, version_bytes(v, file->largest)) ||
		props->value_bytes != (is_values ? 0 : file->value_bytes))
		report(c, "the table's properties are not what the manifest says");
	sst_table_unref(table);
	NVMKV_RETURN_IF(sst_verify(path, file->number, file->bytes, report, c));
	return is_values || file->value_bytes == 0 ? NVMKV_OK :
		value_verify(c->db->tables, file->number, file->bytes, &values.lost);
}

static NvmkvStatus
check_file(Check *c, uint64_t number)
{
	const VersionImage *v = versions_current(&c->db->versions);
	const VersionFile *files = version_files(v);
	uint32_t i;

	for (i = 0; i < v->nfiles; i++)
		if (files[i].number == number)
		{
			uint64_t before = c->reported;

			NVMKV_RETURN_IF(check_table(c, v, &files[i]));
			return c->reported == before || i >= version_ntables(v) ? NVMKV_OK : check_ranges(c, v, i);
		}
	return NVMKV_OK;
}

/* Is so much of each value table referred to as the manifest says?  All tables of one version: in one epoch. */
static NvmkvStatus
check_values(Check *c)
{
	const VersionImage *v = versions_current(&c->db->versions);
	const VersionFile *files = version_files(v);
	ValueRefs refs = {0};
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	(void) snprintf(c->where, sizeof(c->where), "value tables");
	for (i = 0; i < version_ntables(v) && st == NVMKV_OK; i++)
		st = value_refs_of_table(c->db, &files[i], &refs);
	/* A table that cannot be opened is told of by itself. */
	for (i = version_ntables(v); i < v->nfiles && st == NVMKV_OK; i++)
	{
		const ValueShare *share = value_refs_find(&refs, files[i].number);
		uint64_t bytes = share != NULL ? share->bytes : 0;

		if (bytes != files[i].value_bytes)
		{
			char text[128];

			(void) snprintf(text, sizeof(text), "table %" PRIu64 " has %" PRIu64 " bytes in use, tables refer to %" PRIu64,
							files[i].number, files[i].value_bytes, bytes);
			report(c, text);
		}
	}
	value_refs_free(&refs);
	return st == NVMKV_CORRUPTION || st == NVMKV_VERSION ? NVMKV_OK : st;
}

/* The shape of the version itself: what draft_finish checks, on the image. */
static void
check_shape(Check *c, const VersionImage *v)
{
	const VersionFile *files = version_files(v);
	unsigned level;
	uint32_t i;

	(void) snprintf(c->where, sizeof(c->where), "version %" PRIu64, v->number);
	for (i = 1; i < v->nrows; i++)
		if (v->rows[i - 1].row_id < v->rows[i].row_id || v->rows[i - 1].role > v->rows[i].role)
			report(c, "rows are not ordered from the newest to the oldest");
	for (level = 1; level < VERSION_LEVELS; level++)
		for (i = v->level_start[level] + 1; i < v->level_start[level + 1]; i++)
			if (slice_compare(version_bytes(v, files[i - 1].largest), version_bytes(v, files[i].smallest)) >= 0)
				report(c, "tables of one level overlap");
}

static NvmkvStatus
check_tree(NvmkvDb *db, void (*problem)(void *ctx, const char *where, const char *text), void *ctx)
{
	Check c = {db, problem, ctx, "", 0};
	VersionImage *v;
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	NVMKV_RETURN_IF(db_copy_image(db, &v));
	check_shape(&c, v);
	(void) snprintf(c.where, sizeof(c.where), "manifest");
	if (versions_check_files(&db->versions) != NVMKV_OK)
		report(&c, nvmkv_error()->text);
	check_damages(&c, v);
	for (i = 0; i < v->nrows && st == NVMKV_OK; i++)
	{
		db_enter(db);
		st = check_row(&c, v->rows[i].row_id);
		db_leave(db);
		if (st == NVMKV_OK && port_interrupted())
			st = NVMKV_FAIL(NVMKV_CANCELLED, "check interrupted");
	}
	for (i = 0; i < v->nfiles && st == NVMKV_OK; i++)
	{
		db_enter(db);
		st = check_file(&c, version_files(v)[i].number);
		db_leave(db);
		if (st == NVMKV_OK && port_interrupted())
			st = NVMKV_FAIL(NVMKV_CANCELLED, "check interrupted");
	}
	port_free(v);
	if (st == NVMKV_OK)
	{
		db_enter(db);
		st = check_values(&c);
		db_leave(db);
	}
	if (st == NVMKV_OK && db->root == db)
	{
		(void) snprintf(c.where, sizeof(c.where), "outcomes of transactions");
		st = outcomes_check(db, report, &c);
	}
	return st;
}

NvmkvStatus
nvmkv_check(NvmkvDb *db, void (*problem)(void *ctx, const char *where, const char *text), void *ctx)
{
	Check c = {db, problem, ctx, "anchor", 0};
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	if (db == db->root)
		NVMKV_RETURN_IF(anchoring_check(db, report, &c));
	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		st = check_tree(tree, problem, ctx);
		if (st != NVMKV_OK)
		{
			family_leave(db, cursor);
			return st;
		}
	}
	return st;
}
