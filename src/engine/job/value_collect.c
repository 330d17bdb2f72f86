/*
 * value_collect.c
 *	  See value_collect.h.
 */
#include "engine/job/value_collect.h"

#include "engine/job/level.h"
#include "engine/job/value.h"
#include "engine/tree/claim.h"
#include "engine/tree/failure.h"
#include "engine/tree/install.h"
#include "engine/tree/retire.h"
#include "engine/tree/shape.h"
#include "engine/tree/work_limit.h"

/* In quiet times a table is collected when for each so many bytes in use one is nobody's. */
#define QUIET_LIVING 3

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
	return value_is_given_up(values) ||
		(victims->quiet && values->released_bytes >= values->value_bytes / QUIET_LIVING);
}

static bool
is_victim(const NvmkvDb *db, const VersionImage *v, const VersionFile *values, const Victims *victims)
{
	return values->value_bytes > 0 && has_enough_dead(values, victims) &&
		values->number < victims->below_number &&
		slice_compare(version_bytes(v, values->largest), victims->lower) >= 0 &&
		(victims->upper.size == 0 || slice_compare(version_bytes(v, values->smallest), victims->upper) < 0) &&
		!value_is_lost(db, values->number);
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

		shape_overlapping(v, level, version_bytes(v, values->smallest), version_bytes(v, values->largest), &i, &end);
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
