/*
 * dump_check.c
 *	  Verification of a database that nobody uses: what nvmkv_check does for one
 *	  that is open, and what only opening would find.
 *
 * Asks what an open would (engine/meta/agreement.h), then walks the manifest,
 * the outcome record, every table and every row, of every column family, and
 * the log, and goes on after a finding.  Nothing is opened in the sense of the
 * engine: a log is not replayed, nothing is removed, the pool is not locked.
 */
#include "tools/dump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/batch.h"
#include "engine/db/family_file.h"
#include "engine/log/log_files.h"
#include "engine/log/log_group.h"
#include "engine/log/log_reader.h"
#include "engine/meta/manifest.h"
#include "engine/meta/outcome_file.h"
#include "engine/sst/sst_verify.h"
#include "engine/sst/table_cache.h"
#include "engine/sst/value_read.h"
#include "engine/sst/value_refs.h"
#include "engine/db/family_files.h"

#define PATH_BYTES 4096

typedef struct Check
{
	Dump *dump;
	/* the tree that is looked at: the database itself, or a family of it */
	const char *dir;
	const VersionDraft *live;
	TableCache *values; /* for what tables refer to */
	ValueRefs refs;		/* of all tables */
	uint64_t manifest_number;
	unsigned family;
	DumpLost lost; /* of all trees */
	/* what an open would ask; NULL: nothing */
	const Agreement *agreement;
	/* the log */
	const char *log_dir;
	uint64_t durable_seq; /* of the database itself: what is below need not be in the log */
	uint64_t last_sequence;
	unsigned nlogs;
	/* what was seen */
	uint64_t tables, rows, records, problems;
} Check;

static void
problem(void *ctx, const char *text)
{
	Check *c = ctx;

	fprintf(c->dump->err, "nvmkv_dump: %s\n", text);
	c->dump->failed = true;
	c->problems++;
}

/* The engine's last failure is a finding. */
static void
failure(Check *c)
{
	dump_failure(c->dump);
	c->problems++;
}

/* ---- tables ---- */

static void
check_table(Check *c, const MetaFile *file)
{
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
		failure(c);
		return;
	}
	props = sst_table_props(table);
	if (props->entries != file->entries || !slice_equal(props->smallest, file->smallest) ||
		!slice_equal(props->largest, file->largest) ||
		props->value_bytes != (file->level == VERSION_VALUES ? 0 : file->value_bytes))
	{
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\": the table's properties are not what the manifest says", path);
		failure(c);
	}
	if (value_refs_add_list(&c->refs, props->references) != NVMKV_OK)
		failure(c);
	if (file->level != VERSION_VALUES && dump_lost_table(&c->lost, table) != NVMKV_OK)
		failure(c);
	sst_table_unref(table);
	if (sst_verify(path, file->number, file->bytes, problem, c) != NVMKV_OK)
		failure(c);
	if (file->level != VERSION_VALUES && file->value_bytes > 0 &&
		value_verify(c->values, file->number, file->bytes, problem, c) != NVMKV_OK)
		failure(c);
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
		failure(c);
	}
}

static void
check_tables(Check *c)
{
	uint32_t i;

	if (table_cache_create(c->dir, TABLE_CACHE_TABLES_DEFAULT, NULL, &c->values) != NVMKV_OK)
	{
		failure(c);
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
		failure(c);
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
		failure(c);
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
		if (nvm_row_verify(&pool->pool, &row, older.row_id != 0 ? &older : NULL, problem, c) != NVMKV_OK)
			failure(c);
		if (live->rows[i].min_unresolved_fxid != 0 && dump_lost_row(&c->lost, &pool->pool, &row) != NVMKV_OK)
			failure(c);
	}
	free(taken);
}

static void
note_lost(Check *c, uint64_t from, uint64_t to)
{
	if (from < to && dump_lost_add(&c->lost, from, to) != NVMKV_OK)
		failure(c);
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

			failure(c);
			note_lost(c, from, to < c->live->settled ? to : c->live->settled);
		}
}

/* The outcome record: what is lost, and its files.  Only the database itself has one. */
static void
check_outcomes(Check *c, const char *dir)
{
	const VersionDraft *live = c->live;
	uint32_t i;

	for (i = 0; i < live->nlost; i++)
	{
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "outcomes of transactions %" PRIu64 " to %" PRIu64 " are lost", live->lost[i].from,
						  live->lost[i].to - 1);
		failure(c);
		note_lost(c, live->lost[i].from, live->lost[i].to);
	}
	for (i = 0; i < live->nsegments; i++)
		check_segment(c, dir, &live->segments[i]);
}

static void
check_pool(Check *c, const char *path)
{
	const VersionDraft *live = c->live;
	DumpPool pool;
	NvmkvStatus st = dump_pool_map(path, &pool);

	if (st == NVMKV_NOT_FOUND && live->nrows > 0)
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" is missing, but rows in it are expected", path);
	if (st == NVMKV_OK && pool.header.system_identifier != live->system_identifier)
		st = NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" belongs to system %" PRIu64 ", the manifest to system %" PRIu64,
						path, pool.header.system_identifier, live->system_identifier);
	if (st == NVMKV_OK && live->nrows > 0 && pool.header.pool_id != live->pool_id)
		st = NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" has identifier %016" PRIx64 ", the manifest expects %016" PRIx64,
						path, pool.header.pool_id, live->pool_id);
	/* A database without rows may have no pool, or, before its first row, one that was never finished. */
	if (st != NVMKV_OK && (live->nrows > 0 || (st != NVMKV_NOT_FOUND && live->pool_id != 0)))
		failure(c);
	if (st == NVMKV_OK)
		check_rows(c, &pool);
	dump_pool_unmap(&pool);
}

/* ---- the log ---- */

static NvmkvStatus
check_batch(NvmkvSlice batch, uint32_t *count_out)
{
	const uint8_t *cursor;
	const uint8_t *end = batch.data + batch.size;
	uint32_t i;

	NVMKV_RETURN_IF(nvmkv_batch_open(batch, count_out, &cursor));
	for (i = 0; i < *count_out; i++)
	{
		NvmkvBatchRecord entry;

		NVMKV_RETURN_IF(nvmkv_batch_next(&cursor, end, &entry));
	}
	if (cursor != end)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%zu bytes are behind the last entry", (size_t) (end - cursor));
	return NVMKV_OK;
}

/* What own_log.c asks of a record when it replays it. */
static NvmkvStatus
check_record(Check *c, NvmkvSlice record)
{
	uint64_t durable = c->durable_seq;
	NvmkvSlice batch;
	uint64_t base = 0;
	uint32_t count = 0;

	NVMKV_RETURN_IF(log_group_split_record(record, &base, &batch));
	NVMKV_RETURN_IF(check_batch(batch, &count));
	if (base <= c->last_sequence || (base > c->last_sequence + 1 && base > durable + 1))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "it starts with sequence %" PRIu64 " after %" PRIu64 ": a log file is missing or cut short",
						  base, c->last_sequence > durable ? c->last_sequence : durable);
	c->last_sequence = base + count - 1;
	c->records++;
	return NVMKV_OK;
}

static void
check_log(Check *c, uint64_t number)
{
	char path[PATH_BYTES];
	LogReader reader;
	NvmkvSlice record;
	NvmkvStatus st;

	log_group_path(path, sizeof(path), c->log_dir, number);
	if (log_reader_open(&reader, path, LOG_KIND_WAL, number) != NVMKV_OK)
	{
		failure(c);
		return;
	}
	while ((st = log_reader_next(&reader, &record)) == NVMKV_OK)
		if (check_record(c, record) != NVMKV_OK)
		{
			const NvmkvError error = *nvmkv_error();

			(void) NVMKV_FAIL(error.status, "log \"%s\": record at %" PRIu64 ": %s", path, reader.record_offset,
							  error.text);
			failure(c);
		}
	if (st != NVMKV_NOT_FOUND)
		failure(c);
	log_reader_close(&reader);
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
static void
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

static void
check_logs(Check *c)
{
	LogFiles files;
	unsigned l;

	if (log_files_list(c->log_dir, ".log", &files) != NVMKV_OK)
		failure(c);
	for (l = 0; l < files.count; l++)
		check_log(c, files.numbers[l]);
	c->nlogs = files.count;
	port_free(files.numbers);
}

/* ---- is it the right one? ---- */

/* Offsets in the server's control file, of this version. */
#define CONTROL_VERSION 1300
#define CONTROL_OFFSET_VERSION 8
#define CONTROL_OFFSET_STATE 16
#define CONTROL_OFFSET_CHECKPOINT 32
#define CONTROL_OFFSET_REDO 40
#define CONTROL_BYTES 48
#define CONTROL_SHUTDOWNED 1

static bool
exists(const char *path)
{
	PortFile *file;

	if (port_files->open(path, PORT_FILE_READ, &file) != NVMKV_OK)
		return false;
	port_files->close(file);
	return true;
}

/* Where the log begins and ends, if the directory is in a server's that this tool knows. */
static void
read_control(Agreement *a, const char *dir)
{
	char path[PATH_BYTES];
	uint8_t bytes[CONTROL_BYTES];
	PortFile *file;

	(void) snprintf(path, sizeof(path), "%s/../backup_label", dir);
	a->restored = exists(path);
	(void) snprintf(path, sizeof(path), "%s/../global/pg_control", dir);
	if (a->restored || port_files->open(path, PORT_FILE_READ, &file) != NVMKV_OK)
		return;
	if (port_files->read(file, 0, bytes, sizeof(bytes)) == NVMKV_OK &&
		get_u32(bytes + CONTROL_OFFSET_VERSION) == CONTROL_VERSION)
	{
		a->log_begin = get_u64(bytes + CONTROL_OFFSET_REDO);
		if (get_u32(bytes + CONTROL_OFFSET_STATE) == CONTROL_SHUTDOWNED)
			a->log_end = get_u64(bytes + CONTROL_OFFSET_CHECKPOINT);
	}
	port_files->close(file);
}

/* A database of a library's user has no anchor, and its trees no incarnation. */
static bool
is_anchored(const Agreement *a, const char *dir)
{
	DumpState state;
	Dump silent = {NULL, NULL, false, false};
	uint64_t number;
	bool anchored = a->anchor_found != NVMKV_NOT_FOUND;
	char path[PATH_BYTES];

	(void) snprintf(path, sizeof(path), "%s/CURRENT", dir);
	if (anchored || !exists(path) || (silent.err = tmpfile()) == NULL)
		return anchored;
	anchored = dump_fold_current(&silent, dir, &number, &state) && state.live.incarnation != 0;
	dump_state_free(&state);
	fclose(silent.err);
	return anchored;
}

/* live NULL: there is no tree. */
static void
judge(Check *c, const char *dir, const VersionDraft *live)
{
	char path[MANIFEST_PATH_MAX];
	bool accepted;

	if (c->agreement == NULL)
		return;
	if (live != NULL)
		manifest_path(dir, c->manifest_number, path, sizeof(path));
	else
		(void) snprintf(path, sizeof(path), "%s", dir);
	if (agreement_judge(c->agreement, c->family, live, path, &accepted) != NVMKV_OK)
		failure(c);
}

/* ---- trees ---- */

/* Manifest, tables, rows.  pool NULL: level0.pool in "dir". */
static void
check_tree(Check *c, const char *dir, const char *pool)
{
	char beside[PATH_BYTES];
	DumpState state;

	(void) snprintf(beside, sizeof(beside), "%s/CURRENT", dir);
	if (c->agreement != NULL && !exists(beside))
		judge(c, dir, NULL);
	(void) snprintf(beside, sizeof(beside), "%s/level0.pool", dir);
	if (dump_fold_current(c->dump, dir, &c->manifest_number, &state))
	{
		c->dir = dir;
		c->live = &state.live;
		judge(c, dir, c->live);
		check_damages(c);
		check_outcomes(c, dir);
		check_tables(c);
		check_pool(c, pool != NULL ? pool : beside);
		if (port_files->list(dir, see_name, c) != NVMKV_OK)
			failure(c);
		c->tables += c->live->nfiles;
		c->rows += c->live->nrows;
		c->durable_seq = c->live->durable_seq;
	}
	else
		c->problems++;
	dump_state_free(&state);
}

/* Their directories and pools are named as in db/family.c. */
static void
check_families(Check *c, const char *dir, const char *pool)
{
	NvmkvFamilyInfo families[NVMKV_FAMILIES_MAX];
	uint32_t there = 1;
	unsigned count = 0;
	unsigned i;

	if (family_file_read(dir, families, &count) != NVMKV_OK)
	{
		failure(c);
		return;
	}
	for (i = 0; i < count; i++)
		there |= UINT32_C(1) << families[i].id;
	if (c->agreement != NULL && agreement_judge_families(c->agreement, there) != NVMKV_OK)
		failure(c);
	for (i = 0; i < count; i++)
	{
		char family_dir[PATH_BYTES];
		char family_pool[PATH_BYTES];

		(void) snprintf(family_dir, sizeof(family_dir), "%s/family-%u", dir, families[i].id);
		(void) snprintf(family_pool, sizeof(family_pool), "%s.family-%u", pool != NULL ? pool : "", families[i].id);
		c->family = families[i].id;
		check_tree(c, family_dir, pool != NULL ? family_pool : NULL);
	}
}

void
dump_check(Dump *dump, const char *dir, const char *pool, const char *log_dir)
{
	Check c = {.dump = dump, .log_dir = log_dir != NULL ? log_dir : dir};
	Agreement agreement;
	uint64_t durable_seq;

	if (strlen(dir) > PATH_BYTES / 2 || (pool != NULL && strlen(pool) > PATH_BYTES / 2))
	{
		problem(&c, "the name of the directory or the pool is too long");
		return;
	}
	if (agreement_load(&agreement, dir, 0) != NVMKV_OK)
		failure(&c);
	else if (is_anchored(&agreement, dir))
	{
		agreement.accept = false;
		read_control(&agreement, dir);
		c.agreement = &agreement;
	}
	check_tree(&c, dir, pool);
	durable_seq = c.durable_seq;
	check_families(&c, dir, pool);
	c.problems += dump_lost_end(dump, &c.lost);
	c.durable_seq = durable_seq;
	check_logs(&c);
	fprintf(dump->out, "tables %" PRIu64 ", rows %" PRIu64 ", logs %u with %" PRIu64 " records: %" PRIu64 " problems\n",
			c.tables, c.rows, c.nlogs, c.records, c.problems);
}
