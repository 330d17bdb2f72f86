/*
 * value.c
 *	  See value.h.
 */
#include "engine/db/value.h"

#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/db/level.h"
#include "engine/db/merge_copy.h"

/* A value table smaller than this share of a table's target size joins others when a compaction comes by. */
#define SMALL_SHARE 8

/* ---- what is referred to ---- */

/* More than half of it is nobody's. */
static bool
is_given_up(const VersionFile *values)
{
	return values->released_bytes > values->value_bytes;
}

bool
value_is_moved(const NvmkvDb *db, const VersionImage *v, uint64_t number)
{
	const VersionFile *values = version_find_values(v, number);

	return values != NULL && (is_given_up(values) || values->bytes < db->options.target_file_bytes / SMALL_SHARE);
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
	return st;
}

/* Rewrites the first table that refers to the value table.  Those of level 0 cannot be, and soon move by themselves. */
static NvmkvStatus
rewrite_one(NvmkvDb *db, const VersionImage *v, const VersionFile *values, bool *did_out)
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
				NVMKV_RETURN_IF(level_rewrite(db, level, files[i].number, did_out));
		}
	}
	return NVMKV_OK;
}

/* Is any table given up that is not dead? */
static bool
some_given_up(NvmkvDb *db)
{
	const VersionImage *v;
	bool some = false;
	uint32_t i;

	db_enter(db);
	v = versions_current(&db->versions);
	for (i = version_ntables(v); i < v->nfiles && !some; i++)
		some = version_files(v)[i].value_bytes > 0 && is_given_up(&version_files(v)[i]);
	db_leave(db);
	return some;
}

NvmkvStatus
value_collect(NvmkvDb *db, bool *did_out)
{
	VersionImage *v;
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	*did_out = false;
	if (!some_given_up(db))
		return NVMKV_OK;
	NVMKV_RETURN_IF(db_copy_image(db, &v));
	for (i = version_ntables(v); i < v->nfiles && st == NVMKV_OK && !*did_out; i++)
	{
		const VersionFile *values = &version_files(v)[i];

		if (values->value_bytes > 0 && is_given_up(values))
			st = rewrite_one(db, v, values, did_out);
	}
	port_free(v);
	return st;
}
