/*
 * check_files.c
 *	  See check_files.h.
 */
#include "tools/check_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/meta/outcome_file.h"
#include "engine/meta/pool_agreement.h"
#include "engine/sst/sst_verify.h"
#include "engine/sst/value_read.h"
#include "engine/tree/damage.h"
#include "tools/dump_map.h"
#include "tools/dump_version.h"

/* ---- tables ---- */

typedef struct LostValues
{
	ValueLost lost;
	Check *check;
} LostValues;

static void
report_values(ValueLost *lost, const char *text, uint64_t entries, NvmkvSlice low, NvmkvSlice last)
{
	char low_text[DAMAGE_KEY_TEXT_BYTES];
	char last_text[DAMAGE_KEY_TEXT_BYTES];
	char all[NVMKV_ERROR_TEXT_MAX + 3 * DAMAGE_KEY_TEXT_BYTES];

	damage_show_key(low, low_text);
	damage_show_key(last, last_text);
	(void) snprintf(all, sizeof(all), "%s: values of %" PRIu64 " entries with keys from %s to %s cannot be read", text, entries,
					low_text, last_text);
	check_problem(((LostValues *) (void *) lost)->check, all);
}

static void
check_table(Check *c, const MetaFile *file)
{
	LostValues values = {{report_values}, c};
	char path[SST_PATH_BYTES_MAX];
	SstTable *table = NULL;
	const SstProps *props;
	NvmkvStatus st = sst_file_name(c->dir, file->number, path, sizeof(path));

	if (st == NVMKV_OK)
		st = sst_table_open(path, file->number, file->bytes, NULL, &table);
	if (st == NVMKV_NOT_FOUND)
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "table file \"%s\" is missing", path);
	if (st != NVMKV_OK)
	{
		check_failure(c);
		return;
	}
	props = sst_table_props(table);
	if (props->entries != file->entries || !slice_equal(props->smallest, file->smallest) ||
		!slice_equal(props->largest, file->largest) ||
		props->value_bytes != (file->level == VERSION_VALUES ? 0 : file->value_bytes))
	{
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\": the table's properties are not what the manifest says", path);
		check_failure(c);
	}
	if (value_refs_add_list(&c->refs, props->references) != NVMKV_OK)
		check_failure(c);
	if (file->level != VERSION_VALUES && dump_lost_table(&c->lost, table) != NVMKV_OK)
		check_failure(c);
	sst_table_unref(table);
	if (sst_verify(path, file->number, file->bytes, check_problem, c) != NVMKV_OK)
		check_failure(c);
	if (file->level != VERSION_VALUES && file->value_bytes > 0 &&
		value_verify(c->values, file->number, file->bytes, &values.lost) != NVMKV_OK)
		check_failure(c);
}

/* Is so much of each value table referred to as the manifest says? */
static void
check_values(Check *c)
{
	uint32_t i;

	for (i = 0; i < c->live->nfiles; i++)
	{
		const MetaFile *file = &c->live->files[i];
		const ValueShare *share = value_refs_find(&c->refs, file->number);
		uint64_t bytes = share != NULL ? share->bytes : 0;

		if (file->level != VERSION_VALUES || bytes == file->value_bytes)
			continue;
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "value table %" PRIu64 " has %" PRIu64 " bytes in use, tables refer to %" PRIu64,
						  file->number, file->value_bytes, bytes);
		check_failure(c);
	}
}

void
check_tables(Check *c)
{
	uint32_t i;

	if (table_cache_create(c->dir, TABLE_CACHE_TABLES_DEFAULT, NULL, &c->values) != NVMKV_OK)
	{
		check_failure(c);
		return;
	}
	for (i = 0; i < c->live->nfiles; i++)
		check_table(c, &c->live->files[i]);
	check_values(c);
	table_cache_destroy(c->values);
	value_refs_free(&c->refs);
}

/* ---- rows ---- */

/* Every extent of a row exists and is no other row's. */
static void
check_extents(Check *c, const DumpPool *pool, const NvmRowRef *row, uint8_t *taken)
{
	uint32_t i;

	for (i = 0; i < row->extent_count; i++)
	{
		uint32_t extent = row->extents[i];

		if (i >= 1 && i < row->first_extent_live)
			continue;
		if (extent >= pool->pool.extent_count)
			(void) NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" has %u extents, row %" PRIu64 " claims number %u",
							  pool->device.path, pool->pool.extent_count, row->row_id, extent);
		else if (taken[extent]++ != 0)
			(void) NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\": row %" PRIu64 " and another one claim extent %u",
							  pool->device.path, row->row_id, extent);
		else
			continue;
		check_failure(c);
	}
}

static void
check_rows(Check *c, const DumpPool *pool)
{
	const VersionDraft *live = c->live;
	uint8_t *taken = calloc(pool->pool.extent_count, 1);
	uint32_t i, j;

	if (taken == NULL)
	{
		(void) NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
		check_failure(c);
		return;
	}
	for (i = 0; i < live->nrows; i++)
	{
		NvmRowRef row = dump_row_ref(&live->rows[i]);
		NvmRowRef older;

		memset(&older, 0, sizeof(older));
		for (j = 0; j < live->nrows; j++)
			if (live->rows[j].row_id == row.older_row_id)
				older = dump_row_ref(&live->rows[j]);
		check_extents(c, pool, &row, taken);
		if (nvm_row_verify(&pool->pool, &row, older.row_id != 0 ? &older : NULL, check_problem, c) != NVMKV_OK)
			check_failure(c);
		if (live->rows[i].min_unresolved_fxid != 0 && dump_lost_row(&c->lost, &pool->pool, &row) != NVMKV_OK)
			check_failure(c);
	}
	free(taken);
}

static void
note_lost(Check *c, uint64_t from, uint64_t to)
{
	if (from < to && dump_lost_add(&c->lost, from, to) != NVMKV_OK)
		check_failure(c);
}

/* What a damaged page of a segment told is lost, too. */
static void
check_segment(Check *c, const char *dir, const VersionSegment *segment)
{
	const OutcomeFile file = {c->live->system_identifier, segment->file, segment->segment};
	uint8_t bits[OUTCOME_PAGE_BYTES];
	unsigned page;

	for (page = 0; page < OUTCOME_PAGES; page++)
		if (outcome_file_read(dir, &file, page, bits) != NVMKV_OK)
		{
			uint64_t from = (segment->segment << OUTCOME_SEGMENT_SHIFT) + (uint64_t) page * OUTCOME_PAGE_XIDS;
			uint64_t to = from + OUTCOME_PAGE_XIDS;

			check_failure(c);
			note_lost(c, from, to < c->live->settled ? to : c->live->settled);
		}
}

/* The outcome record: what is lost, and its files.  Only the database itself has one. */
void
check_outcomes(Check *c, const char *dir)
{
	const VersionDraft *live = c->live;
	uint32_t i;

	for (i = 0; i < live->nlost; i++)
	{
		/* No finding by itself: row versions that depend on it are. */
		dump_xids(c->dump, "are lost", &live->lost[i]);
		note_lost(c, live->lost[i].from, live->lost[i].to);
	}
	for (i = 0; i < live->nsegments; i++)
		check_segment(c, dir, &live->segments[i]);
}

/* The highest extent of any row, and one more. */
static uint32_t
extents_used(const VersionDraft *live)
{
	uint32_t used = 0;
	uint32_t i, e;

	for (i = 0; i < live->nrows; i++)
		for (e = 0; e < live->rows[i].extent_count; e++)
			if ((e == 0 || e >= live->rows[i].first_extent_live) && live->rows[i].extents[e] >= used)
				used = live->rows[i].extents[e] + 1;
	return used;
}

void
check_pool(Check *c, const char *path)
{
	const VersionDraft *live = c->live;
	DumpPool pool;
	PoolKnown known;
	NvmkvStatus st = dump_pool_map(path, &pool);

	pool_known_of_draft(live, &known);
	if (st == NVMKV_NOT_FOUND && live->nrows > 0)
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" is missing, but rows in it are expected", path);
	if (st == NVMKV_OK && pool.header.system_identifier != live->system_identifier)
		st = NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" belongs to system %" PRIu64 ", the manifest to system %" PRIu64,
						path, pool.header.system_identifier, live->system_identifier);
	if (st == NVMKV_OK && live->nrows > 0 && pool.header.pool_id != live->pool_id)
		st = NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" has identifier %016" PRIx64 ", the manifest expects %016" PRIx64,
						path, pool.header.pool_id, live->pool_id);
	if (st == NVMKV_OK && live->nrows > 0 && pool.device.bytes < NVM_POOL_HEAD_BYTES)
		st = nvm_pool_too_short(path, pool.device.bytes, extents_used(live));
	if (st == NVMKV_OK && (live->nrows > 0 || !nvm_pool_is_inside(path, c->dir)))
		st = pool_agrees(&known, path, &pool.header, &pool.stamp);
	if (st == NVMKV_OK && extents_used(live) > pool.pool.extent_count)
		st = nvm_pool_too_short(path, pool.device.bytes, extents_used(live));
	/* A database without rows may have no pool, or, before its first row, one that was never finished. */
	if (st != NVMKV_OK && (live->nrows > 0 || (st != NVMKV_NOT_FOUND && live->pool_id != 0)))
		check_failure(c);
	if (st == NVMKV_OK)
		check_rows(c, &pool);
	dump_pool_unmap(&pool);
}

/* ---- the directory ---- */

static bool
has_file(const VersionDraft *live, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < live->nfiles; i++)
		if (live->files[i].number == number)
			return true;
	return false;
}

/* Does a damaged range name it? */
static bool
is_kept(const VersionDraft *live, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < live->ndamages; i++)
		if (live->damages[i].kind != VERSION_DAMAGE_ROW && live->damages[i].source == number)
			return true;
	return false;
}

static bool
has_outcomes(const VersionDraft *live, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < live->nsegments; i++)
		if (live->segments[i].file == number)
			return true;
	return false;
}

/* What compaction has gone round. */
void
check_damages(Check *c)
{
	uint32_t i;

	for (i = 0; i < c->live->ndamages; i++)
	{
		dump_damage(c->dump, &c->live->damages[i]);
		c->dump->failed = true;
		c->problems++;
	}
}

/* Says what the next open will remove. */
static bool
see_name(void *ctx, const char *name)
{
	Check *c = ctx;
	char *end;
	uint64_t number = strtoull(name, &end, 10);
	bool left_over = strcmp(name, "CURRENT.tmp") == 0;

	if (end != name && strcmp(end, ".sst") == 0)
		left_over = !has_file(c->live, number) && !is_kept(c->live, number);
	else if (end != name && strcmp(end, ".xct") == 0)
		left_over = !has_outcomes(c->live, number);
	else if (strncmp(name, "MANIFEST-", 9) == 0)
		left_over = strtoull(name + 9, NULL, 10) != c->manifest_number;
	if (left_over)
		fprintf(c->dump->out, "left over from an interrupted step, to be removed by the next open: %s\n", name);
	return true;
}

void
check_directory(Check *c, const char *dir)
{
	if (port_files->list(dir, see_name, c) != NVMKV_OK)
		check_failure(c);
}
