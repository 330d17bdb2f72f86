/*
 * value.c
 *	  See value.h.
 */
#include "engine/job/value.h"

#include <inttypes.h>

#include "engine/job/level.h"
#include "engine/job/merge_copy.h"
#include "engine/tree/work_limit.h"

/* A value table smaller than this share of a table's target size joins others when a compaction comes by. */
#define SMALL_SHARE 8

/* In quiet times a table is collected when for each so many bytes in use one is nobody's. */
#define QUIET_LIVING 3

uint64_t value_quiet_us = UINT64_C(10000000);

bool
value_is_quiet(NvmkvDb *db)
{
	DbShm *shm = db->root->shm;
	uint64_t now = port_now_us();
	uint64_t last = 0;
	uint64_t since;
	unsigned slot;

	for (slot = 0; slot <= db->options.process_slots; slot++)
	{
		uint64_t applied = port_load_relaxed(&db->root->slot_counters[slot].last_sequence);

		last = applied > last ? applied : last;
	}
	/* Whoever comes first sees to it; a moment more or less is nothing. */
	if (port_load_relaxed(&shm->quiet_sequence) != last || port_load_relaxed(&shm->quiet_since_us) == 0)
	{
		port_store_relaxed(&shm->quiet_sequence, last);
		port_store_relaxed(&shm->quiet_since_us, now);
	}
	since = port_load_relaxed(&shm->quiet_since_us);
	return now >= since && now - since >= value_quiet_us;
}

/* ---- what is referred to ---- */

/* More than half of it is nobody's. */
static bool
is_given_up(const VersionFile *values)
{
	return values->released_bytes > values->value_bytes;
}

bool
value_is_moved(const NvmkvDb *db, const VersionImage *v, uint64_t number, bool frees_all)
{
	const VersionFile *values = version_find_values(v, number);

	return values != NULL && (is_given_up(values) || values->bytes < db->options.target_file_bytes / SMALL_SHARE ||
							  (frees_all && values->released_bytes > 0));
}

NvmkvStatus
value_refs_of_table(NvmkvDb *db, const VersionFile *file, ValueRefs *refs)
{
	SstTable *table;

	if (file->value_bytes == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(table_cache_get(db->tables, file->number, file->bytes, &table));
	return value_refs_add_list(refs, sst_table_props(table)->references);
}

/* A second time, past the cache. */
static NvmkvStatus
reread_refs(NvmkvDb *db, const VersionFile *file, ValueRefs *refs)
{
	char path[SST_PATH_BYTES_MAX];
	SstTable *table;
	NvmkvStatus st;

	NVMKV_RETURN_IF(sst_file_name(db->dir, file->number, path, sizeof(path)));
	NVMKV_RETURN_IF(sst_table_open(path, file->number, file->bytes, NULL, &table));
	st = value_refs_add_list(refs, sst_table_props(table)->references);
	sst_table_unref(table);
	return st;
}

NvmkvStatus
value_refs_or_lost(NvmkvDb *db, const VersionFile *file, ValueRefs *refs, uint64_t *lost_inout)
{
	NvmkvStatus st = value_refs_of_table(db, file, refs);
	char path[SST_PATH_BYTES_MAX];

	if (st != NVMKV_CORRUPTION && st != NVMKV_IO)
		return st;
	NVMKV_RETURN_IF(sst_file_name(db->dir, file->number, path, sizeof(path)));
	if (!sst_file_is_damaged(path, file->bytes, st))
		return reread_refs(db, file, refs);
	*lost_inout += file->value_bytes;
	return NVMKV_OK;
}

/* What all tables that can be read refer to.  REQUIRES: inside the epoch. */
static NvmkvStatus
known_refs(NvmkvDb *db, const VersionImage *v, ValueRefs *refs)
{
	uint64_t lost = 0;
	uint32_t i;

	for (i = 0; i < version_ntables(v); i++)
		NVMKV_RETURN_IF(value_refs_or_lost(db, &version_files(v)[i], refs, &lost));
	return NVMKV_OK;
}

static NvmkvStatus
add_unknown(const VersionImage *v, const ValueRefs *known, uint64_t bytes, ValueRefs *refs)
{
	const VersionFile *files = version_files(v);
	uint32_t i;

	for (i = version_ntables(v); i < v->nfiles && bytes > 0; i++)
	{
		const ValueShare *share = value_refs_find(known, files[i].number);
		uint64_t used = share != NULL ? share->bytes : 0;
		uint64_t left = files[i].value_bytes > used ? files[i].value_bytes - used : 0;

		if (left > bytes)
			left = bytes;
		if (left > 0)
			NVMKV_RETURN_IF(value_refs_add(refs, files[i].number, left));
		bytes -= left;
	}
	if (bytes > 0)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "damaged tables refer to %" PRIu64 " bytes more than value tables have", bytes);
	return NVMKV_OK;
}

/*
 * What is unknown stays the same while others move references about, as long as nobody else gives any of it away:
 * hence the claim.
 */
NvmkvStatus
value_refs_lost(NvmkvDb *db, uint64_t bytes, ValueRefs *refs, bool *held_out)
{
	ValueRefs known = {0};
	const VersionImage *v;
	NvmkvStatus st;

	if (!*held_out && !db_claim(db, DB_CLAIM_LOST_REFS))
		return NVMKV_FAIL(NVMKV_BUSY, "another process goes round a damaged table");
	*held_out = true;
	db_enter(db);
	v = versions_current(&db->versions);
	st = known_refs(db, v, &known);
	if (st == NVMKV_OK)
		st = add_unknown(v, &known, bytes, refs);
	db_leave(db);
	value_refs_free(&known);
	return st;
}

static bool
is_new(const MetaFile *files, uint32_t nfiles, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < nfiles; i++)
		if (files[i].number == number)
			return true;
	return false;
}

NvmkvStatus
value_release(ValueRefs *refs, const ValueRefs *outputs, const MetaFile *files, uint32_t nfiles)
{
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < outputs->count; i++)
	{
		const ValueShare *out = &outputs->shares[i];
		ValueShare *in = value_refs_find(refs, out->number);

		if (in == NULL && is_new(files, nfiles, out->number))
			continue;
		if (in == NULL || in->bytes < out->bytes)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "compaction has found more references to value table %" PRIu64
							  " than its tables have in their properties", out->number);
		in->bytes -= out->bytes;
	}
	for (i = 0; i < refs->count; i++)
		if (refs->shares[i].bytes > 0)
			refs->shares[kept++] = refs->shares[i];
	refs->count = kept;
	return NVMKV_OK;
}

/* ---- dead value tables ---- */

static NvmkvStatus
drop_dead(NvmkvDb *db, const VersionImage *v, bool *did_out)
{
	const VersionFile *files = version_files(v);
	MetaFileDrop *drops = port_alloc((v->ndead + 1) * sizeof(MetaFileDrop));
	VersionEdit edit = {0};
	uint32_t i;
	NvmkvStatus st;

	if (drops == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	for (i = version_ntables(v); i < v->nfiles; i++)
		if (files[i].value_bytes == 0)
		{
			drops[edit.nfile_drops].level = VERSION_VALUES;
			drops[edit.nfile_drops++].number = files[i].number;
		}
	edit.file_drops = drops;
	st = port_fault("values.before_sweep");
	if (st == NVMKV_OK)
		st = db_install(db, &edit);
	for (i = 0; st == NVMKV_OK && i < edit.nfile_drops; i++)
		retired_add_file(db, drops[i].number);
	*did_out = st == NVMKV_OK;
	port_free(drops);
	return st;
}

/* Dead ones stay dead: who holds the claim drops those that it sees. */
NvmkvStatus
value_sweep(NvmkvDb *db, bool *did_out)
{
	VersionImage *v;
	bool any;
	NvmkvStatus st;

	*did_out = false;
	db_enter(db);
	any = versions_current(&db->versions)->ndead > 0;
	db_leave(db);
	if (!any || !db_claim(db, DB_CLAIM_VALUES))
		return NVMKV_OK;
	st = db_copy_image(db, &v);
	if (st == NVMKV_OK)
	{
		if (v->ndead > 0)
			st = drop_dead(db, v, did_out);
		port_free(v);
	}
	db_unclaim(db, DB_CLAIM_VALUES);
	return st == NVMKV_OK ? NVMKV_OK : db_note_failure(db, st);
}

/* ---- value tables that are given up ---- */

/* Is the table still there?  If so, it stays as long as the epoch that the caller is in. */
static bool
is_current(NvmkvDb *db, unsigned level, uint64_t number, NvmkvSlice smallest)
{
	const VersionImage *v = versions_current(&db->versions);
	uint32_t i = version_find_file(v, level, smallest);

	return i < v->level_start[level + 1] && version_files(v)[i].number == number;
}

/* A table that others have replaced meanwhile refers to nothing. */
static NvmkvStatus
refers_to(NvmkvDb *db, const VersionImage *v, const VersionFile *file, uint64_t number, bool *refers_out)
{
	ValueRefs refs = {0};
	NvmkvStatus st = NVMKV_OK;

	db_enter(db);
	if (is_current(db, file->level, file->number, version_bytes(v, file->smallest)))
		st = value_refs_of_table(db, file, &refs);
	db_leave(db);
	*refers_out = st == NVMKV_OK && value_refs_find(&refs, number) != NULL;
	value_refs_free(&refs);
	/* One that cannot be read does not keep others from being collected; who reads it says what is wrong. */
	return st == NVMKV_CORRUPTION || st == NVMKV_VERSION || st == NVMKV_IO ? NVMKV_OK : st;
}

void
value_note_lost(NvmkvDb *db, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < DB_LOST_VALUES_MAX; i++)
		if (port_load_relaxed(&db->shm->lost_values[i]) == number)
			return;
	i = __atomic_fetch_add(&db->shm->next_lost_values, 1, __ATOMIC_RELAXED) % DB_LOST_VALUES_MAX;
	port_store_relaxed(&db->shm->lost_values[i], number);
	port_log(PORT_LOG_WARNING, "values in table %" PRIu64 " of \"%s\" cannot be read: %s", number, db->dir,
			 nvmkv_error()->text);
}

static bool
has_lost(const NvmkvDb *db, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < DB_LOST_VALUES_MAX; i++)
		if (port_load_relaxed(&db->shm->lost_values[i]) == number)
			return true;
	return false;
}

/* What value tables are collected. */
typedef struct Victims
{
	bool frees_all; /* all of which anything is nobody's; else those that are given up */
	bool quiet;		/* of which a quarter is nobody's */
	NvmkvSlice lower, upper;
	uint64_t below_number;
} Victims;

static bool
has_enough_dead(const VersionFile *values, const Victims *victims)
{
	if (victims->frees_all)
		return values->released_bytes > 0;
	return is_given_up(values) || (victims->quiet && values->released_bytes >= values->value_bytes / QUIET_LIVING);
}

static bool
is_victim(const NvmkvDb *db, const VersionImage *v, const VersionFile *values, const Victims *victims)
{
	return values->value_bytes > 0 && has_enough_dead(values, victims) &&
		values->number < victims->below_number &&
		slice_compare(version_bytes(v, values->largest), victims->lower) >= 0 &&
		(victims->upper.size == 0 || slice_compare(version_bytes(v, values->smallest), victims->upper) < 0) &&
		!has_lost(db, values->number);
}

/* Rewrites the first table that refers to the value table.  Those of level 0 cannot be, and soon move by themselves. */
static NvmkvStatus
rewrite_one(NvmkvDb *db, const VersionImage *v, const VersionFile *values, bool frees_all, bool *did_out)
{
	const VersionFile *files = version_files(v);
	unsigned level;

	for (level = 1; level < VERSION_LEVELS && !*did_out; level++)
	{
		uint32_t i, end;

		merge_overlapping(v, level, version_bytes(v, values->smallest), version_bytes(v, values->largest), &i, &end);
		for (; i < end && !*did_out; i++)
		{
			bool refers;

			NVMKV_RETURN_IF(refers_to(db, v, &files[i], values->number, &refers));
			if (refers)
				NVMKV_RETURN_IF(level_rewrite(db, level, files[i].number, frees_all, did_out));
		}
	}
	return NVMKV_OK;
}

static bool
some_victim(NvmkvDb *db, const Victims *victims)
{
	const VersionImage *v;
	bool some = false;
	uint32_t i;

	db_enter(db);
	v = versions_current(&db->versions);
	for (i = version_ntables(v); i < v->nfiles && !some; i++)
		some = is_victim(db, v, &version_files(v)[i], victims);
	db_leave(db);
	return some;
}

void
value_abandon(NvmkvDb *db)
{
	port_free(db->collecting);
	db->collecting = NULL;
}

static NvmkvStatus
collect(NvmkvDb *db, const Victims *victims, bool *did_out)
{
	const VersionImage *v;
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	*did_out = false;
	if (!some_victim(db, victims))
		return NVMKV_OK;
	NVMKV_RETURN_IF(db_copy_image(db, &db->collecting));
	v = db->collecting;
	for (i = version_ntables(v); i < v->nfiles && st == NVMKV_OK && !*did_out; i++)
		if (is_victim(db, v, &version_files(v)[i], victims))
			st = rewrite_one(db, v, &version_files(v)[i], victims->frees_all || victims->quiet, did_out);
	value_abandon(db);
	return st;
}

NvmkvStatus
value_collect(NvmkvDb *db, bool *did_out)
{
	const Victims victims = {false, value_is_quiet(db), nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), UINT64_MAX};

	return collect(db, &victims, did_out);
}

static uint32_t
count_files(NvmkvDb *db)
{
	uint32_t count;

	db_enter(db);
	count = versions_current(&db->versions)->nfiles;
	db_leave(db);
	return count;
}

NvmkvStatus
value_free_all(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper)
{
	/* Not those that come later, so that it ends however much is overwritten meanwhile. */
	const Victims victims = {true, false, lower, upper, port_load_seq(&db->root->shm->next_file)};
	/* As is_victim remembers but so many tables that cannot be collected. */
	uint32_t steps = DB_LOST_VALUES_MAX + 2 * count_files(db);
	bool did, swept;

	do
	{
		NVMKV_RETURN_IF(value_sweep(db, &swept));
		(void) retired_reclaim(db);
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "compaction interrupted");
		work_limit_urge(db);
		NVMKV_RETURN_IF(collect(db, &victims, &did));
	} while (did && steps-- > 0);
	return NVMKV_OK;
}
