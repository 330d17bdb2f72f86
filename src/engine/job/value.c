/*
 * value.c
 *	  See value.h.
 */
#include "engine/job/value.h"

#include <inttypes.h>

#include "engine/tree/claim.h"

/* A value table smaller than this share of a table's target size joins others when a compaction comes by. */
#define SMALL_SHARE 8

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

bool
value_is_given_up(const VersionFile *values)
{
	return values->released_bytes > values->value_bytes;
}

bool
value_is_moved(const NvmkvDb *db, const VersionImage *v, uint64_t number, bool frees_all)
{
	const VersionFile *values = version_find_values(v, number);

	return values != NULL &&
		(value_is_given_up(values) || values->bytes < db->options.target_file_bytes / SMALL_SHARE ||
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

/* ---- what cannot be read ---- */

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

bool
value_is_lost(const NvmkvDb *db, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < DB_LOST_VALUES_MAX; i++)
		if (port_load_relaxed(&db->shm->lost_values[i]) == number)
			return true;
	return false;
}
