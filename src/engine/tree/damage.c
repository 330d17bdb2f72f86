/*
 * damage.c
 *	  See damage.h.
 */
#include "engine/tree/damage.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/tree/damage_files.h"
#include "engine/tree/retire.h"

/* ---- reading ---- */

/* Of a key so many bytes are shown. */
#define SHOWN_KEY_BYTES 32

_Static_assert(DAMAGE_KEY_TEXT_BYTES >= 2 * SHOWN_KEY_BYTES + 8, "the text fits");

void
damage_show_key(NvmkvSlice key, char text[DAMAGE_KEY_TEXT_BYTES])
{
	size_t n = key.size < SHOWN_KEY_BYTES ? key.size : SHOWN_KEY_BYTES;
	size_t i;

	(void) snprintf(text, 4, "\\x");
	for (i = 0; i < n; i++)
		(void) snprintf(text + 2 + 2 * i, 3, "%02x", key.data[i]);
	if (n < key.size)
		(void) snprintf(text + 2 + 2 * n, 4, "...");
}

static void
name_source(NvmkvDb *db, const VersionDamage *damage, char *text, size_t size)
{
	char path[SST_PATH_BYTES_MAX];

	if (damage->kind == VERSION_DAMAGE_ROW)
		(void) snprintf(text, size, "row %" PRIu64 " of \"%.300s\"", damage->source, db->nvm_path);
	else if (sst_file_name(db->dir, damage->source, path, sizeof(path)) == NVMKV_OK)
		(void) snprintf(text, size, "table \"%.300s\"", path);
}

/* May the table have a version of the key?  It is asked its filters, if it is still there. */
static bool
may_contain(NvmkvDb *db, const VersionDamage *damage, NvmkvSlice key, uint64_t hash)
{
	const NvmkvError before = *nvmkv_error();
	SstTable *table;
	bool may = true;

	if (damage->kind != VERSION_DAMAGE_TABLE)
		return true;
	if (table_cache_get(db->tables, damage->source, damage->bytes, &table) == NVMKV_OK &&
		sst_table_may_contain(table, key, hash, &may) == NVMKV_OK && !may)
		return false;
	/* What could not be read for that is nobody's failure. */
	(void) nvmkv_fail_at(before.status, before.sys_errno, before.file, before.line, "%s", before.text);
	return true;
}

const VersionDamage *
damage_at(NvmkvDb *db, const VersionImage *v, NvmkvSlice key, uint64_t hash, uint64_t born)
{
	const VersionDamage *damages = version_damages(v);
	const VersionDamage *worst = NULL;
	uint32_t i;

	for (i = 0; i < v->ndamages && slice_compare(version_bytes(v, damages[i].low), key) <= 0; i++)
		if (slice_compare(key, version_bytes(v, damages[i].upper)) < 0 && damages[i].max_sequence > born &&
			(worst == NULL || worst->max_sequence < damages[i].max_sequence) && may_contain(db, &damages[i], key, hash))
			worst = &damages[i];
	return worst;
}

NvmkvStatus
damage_failure(NvmkvDb *db, const VersionImage *v, const VersionDamage *damage)
{
	char low[DAMAGE_KEY_TEXT_BYTES];
	char upper[DAMAGE_KEY_TEXT_BYTES];
	char source[400] = "";

	damage_show_key(version_bytes(v, damage->low), low);
	damage_show_key(version_bytes(v, damage->upper), upper);
	name_source(db, damage, source, sizeof(source));
	(void) NVMKV_FAIL(NVMKV_CORRUPTION, "what keys from %s to %s had in %s was damaged, and is lost", low, upper, source);
	nvmkv_fail_keys(version_bytes(v, damage->low).data, version_bytes(v, damage->low).size,
					version_bytes(v, damage->upper).data, version_bytes(v, damage->upper).size,
					damage->max_sequence);
	return NVMKV_CORRUPTION;
}

void
damage_want_drain(NvmkvDb *db)
{
	if (port_load_relaxed(&db->shm->drain_wanted) != 0)
		return;
	port_store_relaxed(&db->shm->drain_wanted, 1);
	if (db->wake != NULL)
		db->wake();
}

bool
damage_is_in(const VersionImage *v, const DamageRange *range)
{
	uint32_t i = version_damage_from(v, range->lower);

	return i < v->ndamages &&
		(range->upper.size == 0 || slice_compare(version_bytes(v, version_damages(v)[i].low), range->upper) < 0);
}

DamageRange
damage_storage_range(NvmkvSlice storage, uint8_t buf[DAMAGE_STORAGE_BYTES])
{
	size_t n = DAMAGE_STORAGE_BYTES;
	DamageRange range = {nvmkv_slice(storage.data, DAMAGE_STORAGE_BYTES), nvmkv_slice(buf, 0)};

	memcpy(buf, storage.data, DAMAGE_STORAGE_BYTES);
	while (n > 0 && buf[n - 1] == UINT8_MAX)
		n--;
	if (n > 0)
		buf[n - 1]++;
	range.upper.size = n;
	return range;
}

/* ---- going round ---- */

/* Is a table missing, and all others, too?  Then it is the directory that is wrong. */
static NvmkvStatus
refuse_if_all_are_gone(NvmkvDb *db, const VersionImage *v, uint64_t number)
{
	const VersionFile *files = version_files(v);
	uint32_t i;

	if (damage_file_exists(db, number) || v->nfiles < 2)
		return NVMKV_OK;
	for (i = 0; i < v->nfiles; i++)
		if (damage_file_exists(db, files[i].number))
			return NVMKV_OK;
	return NVMKV_FAIL(NVMKV_IO, "no table file is left in \"%s\"", db->dir);
}

/* Fills in what the version knows of the source; *largest_out: its last key. */
static bool
describe_source(const VersionImage *v, bool is_row, uint64_t source, MetaDamage *damage, NvmkvSlice *largest_out)
{
	const VersionFile *files = version_files(v);
	uint32_t i;

	for (i = 0; is_row && i < v->nrows; i++)
		if (v->rows[i].row_id == source)
		{
			damage->kind = VERSION_DAMAGE_ROW;
			damage->max_sequence = v->rows[i].max_sequence;
			damage->low = version_bytes(v, v->rows[i].smallest);
			*largest_out = version_bytes(v, v->rows[i].largest);
			return true;
		}
	for (i = 0; !is_row && i < v->nfiles; i++)
		if (files[i].number == source)
		{
			damage->kind = VERSION_DAMAGE_TABLE;
			damage->level = files[i].level;
			damage->max_sequence = files[i].max_sequence;
			damage->bytes = files[i].bytes;
			damage->low = version_bytes(v, files[i].smallest);
			*largest_out = version_bytes(v, files[i].largest);
			return true;
		}
	return false;
}

static NvmkvStatus
own_bytes(NvmkvSlice bytes, NvmkvSlice *copy_out)
{
	uint8_t *copy = port_alloc(bytes.size + 1);

	if (copy == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	if (bytes.size > 0)
		memcpy(copy, bytes.data, bytes.size);
	*copy_out = nvmkv_slice(copy, bytes.size);
	return NVMKV_OK;
}

static void
free_bytes(NvmkvSlice bytes)
{
	port_free((void *) (uintptr_t) bytes.data);
}

static NvmkvStatus
append(DamageList *list, const MetaDamage *damage)
{
	MetaDamage *own;

	if (list->count == list->capacity)
	{
		uint32_t grown = list->capacity == 0 ? 16 : 2 * list->capacity;
		MetaDamage *damages = port_realloc(list->damages, grown * sizeof(MetaDamage));

		if (damages == NULL)
			return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for %u damaged ranges", grown);
		list->damages = damages;
		list->capacity = grown;
	}
	own = &list->damages[list->count];
	*own = *damage;
	NVMKV_RETURN_IF(own_bytes(damage->low, &own->low));
	if (own_bytes(damage->upper, &own->upper) != NVMKV_OK)
	{
		free_bytes(own->low);
		return NVMKV_NO_MEMORY;
	}
	list->count++;
	return NVMKV_OK;
}

/* A damaged range that goes on where the last one of its source ends is one with it. */
static NvmkvStatus
append_or_widen(DamageList *list, const MetaDamage *damage)
{
	uint32_t i;

	for (i = list->count; i-- > 0;)
	{
		MetaDamage *last = &list->damages[i];
		NvmkvSlice upper;

		if (last->kind != damage->kind || last->source != damage->source)
			continue;
		if (slice_compare(damage->low, last->upper) > 0 || slice_compare(damage->low, last->low) < 0)
			break;
		if (slice_compare(damage->upper, last->upper) <= 0)
			return NVMKV_OK;
		NVMKV_RETURN_IF(own_bytes(damage->upper, &upper));
		free_bytes(last->upper);
		last->upper = upper;
		return NVMKV_OK;
	}
	return append(list, damage);
}

static NvmkvStatus
note_lost(NvmkvDamageSink *sink, bool is_row, uint64_t source, uint64_t offset, NvmkvSlice low, NvmkvSlice upper)
{
	DamageList *list = (DamageList *) (void *) sink;
	MetaDamage damage = {0};
	NvmkvSlice largest;
	NvmkvBuf end = {0};
	NvmkvStatus st;

	if (!describe_source(list->v, is_row, source, &damage, &largest))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "damage in %s %" PRIu64 ", which is not in the version", is_row ? "row" : "table", source);
	if (!is_row)
		NVMKV_RETURN_IF(refuse_if_all_are_gone(list->db, list->v, source));
	damage.source = source;
	damage.offset = offset;
	damage.found_us = port_clock_us();
	/* No more than the source has. */
	if (slice_compare(damage.low, low) < 0)
		damage.low = low;
	st = ikey_successor(largest, &end);
	damage.upper = nvmkv_buf_slice(&end);
	if (upper.size > 0 && slice_compare(upper, damage.upper) < 0)
		damage.upper = upper;
	if (st == NVMKV_OK && slice_compare(damage.low, damage.upper) < 0)
		st = append_or_widen(list, &damage);
	nvmkv_buf_free(&end);
	return st;
}

void
damage_list_init(DamageList *list, NvmkvDb *db, const VersionImage *v)
{
	memset(list, 0, sizeof(*list));
	list->sink.lost = note_lost;
	list->db = db;
	list->v = v;
}

void
damage_list_free(DamageList *list)
{
	uint32_t i;

	for (i = 0; i < list->count; i++)
	{
		free_bytes(list->damages[i].low);
		free_bytes(list->damages[i].upper);
	}
	port_free(list->damages);
	list->damages = NULL;
	list->count = list->capacity = 0;
}

/* So many ranges of one compaction are told one by one. */
#define LOGGED_MAX 10

void
damage_list_installed(const DamageList *list)
{
	uint32_t i;

	port_count(&list->db->shm->counters.damages, list->count);
	for (i = 0; i < list->count && i < LOGGED_MAX; i++)
	{
		const MetaDamage *d = &list->damages[i];
		char low[DAMAGE_KEY_TEXT_BYTES];
		char upper[DAMAGE_KEY_TEXT_BYTES];

		damage_show_key(d->low, low);
		damage_show_key(d->upper, upper);
		port_log(PORT_LOG_WARNING, "compaction went round damage in %s %" PRIu64 " of \"%s\": keys from %s to %s",
				 d->kind == VERSION_DAMAGE_ROW ? "row" : "table", d->source, list->db->dir, low, upper);
	}
	if (list->count > LOGGED_MAX)
		port_log(PORT_LOG_WARNING, "compaction went round damage in %u more ranges of \"%s\"", list->count - LOGGED_MAX,
				 list->db->dir);
}

bool
damage_is_below(const DamageList *list, NvmkvSlice key, uint64_t sequence)
{
	const VersionDamage *known = version_damage_at(list->v, key);
	bool below = known != NULL;
	uint32_t i;

	if (known != NULL && known->max_sequence > sequence)
		return false;
	for (i = 0; i < list->count; i++)
	{
		const MetaDamage *d = &list->damages[i];

		if (slice_compare(key, d->low) < 0 || slice_compare(key, d->upper) >= 0)
			continue;
		if (d->max_sequence > sequence)
			return false;
		below = true;
	}
	return below;
}

/* ---- tables that were gone round ---- */

void
damage_release_files(NvmkvDb *db, const VersionImage *before)
{
	const VersionDamage *damages = version_damages(before);
	uint32_t i;

	for (i = 0; i < before->ndamages; i++)
		if (damages[i].kind != VERSION_DAMAGE_ROW && !damage_is_named(db, damages[i].source) &&
			damage_file_exists(db, damages[i].source))
			retired_add_file(db, damages[i].source);
}

static NvmkvStatus
pass_over(NvmkvDamageSink *sink, bool is_row, uint64_t source, uint64_t offset, NvmkvSlice low, NvmkvSlice upper)
{
	(void) sink;
	(void) is_row;
	(void) source;
	(void) offset;
	(void) low;
	(void) upper;
	return NVMKV_OK;
}

NvmkvDamageSink *
damage_untold_sink(void)
{
	static NvmkvDamageSink sink = {pass_over};

	return &sink;
}
