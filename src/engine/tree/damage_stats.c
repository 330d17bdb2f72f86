/*
 * damage_stats.c
 *	  What is lost, and what is missing at the moment, for the view.
 */
#include <stdio.h>

#include "engine/tree/damage_files.h"
#include "engine/tree/tree.h"

static uint32_t
copy_key(uint8_t to[NVMKV_KEY_BYTES_MAX + 1], NvmkvSlice key)
{
	size_t n = key.size < NVMKV_KEY_BYTES_MAX + 1 ? key.size : NVMKV_KEY_BYTES_MAX + 1;

	if (n > 0)
		memcpy(to, key.data, n);
	return (uint32_t) n;
}

static void
describe_lost(NvmkvDb *db, const VersionImage *v, const VersionDamage *damage, NvmkvDamageStats *out)
{
	memset(out, 0, offsetof(NvmkvDamageStats, low));
	out->state = "lost";
	out->is_row = damage->kind == VERSION_DAMAGE_ROW;
	out->source = damage->source;
	out->has_offset = damage->offset != NVMKV_DAMAGE_ALL;
	out->offset = out->has_offset ? damage->offset : 0;
	out->max_sequence = damage->max_sequence;
	out->found_clock_us = damage->found_us;
	if (!out->is_row)
		out->kept_bytes = damage_file_bytes(db, damage->source);
	out->low_size = copy_key(out->low, version_bytes(v, damage->low));
	out->upper_size = copy_key(out->upper, version_bytes(v, damage->upper));
}

/* NULL: it is as it should be, as far as can be seen from its name and size. */
static const char *
file_state(NvmkvDb *db, const VersionFile *expected)
{
	char path[SST_PATH_BYTES_MAX];
	PortFile *file;
	uint64_t size;
	NvmkvStatus st;

	if (sst_file_name(db->dir, expected->number, path, sizeof(path)) != NVMKV_OK)
		return NULL;
	st = port_files->open(path, PORT_FILE_READ, &file);
	if (st != NVMKV_OK)
		return st == NVMKV_NOT_FOUND ? "missing" : NULL;
	st = port_files->size(file, &size);
	port_files->close(file);
	return st == NVMKV_OK && size != expected->bytes ? "wrong size" : NULL;
}

static void
describe_file(const VersionImage *v, const VersionFile *file, const char *state, NvmkvDamageStats *out)
{
	memset(out, 0, offsetof(NvmkvDamageStats, low));
	out->state = state;
	out->is_values = file->level == VERSION_VALUES;
	out->source = file->number;
	out->max_sequence = file->max_sequence;
	out->low_size = copy_key(out->low, version_bytes(v, file->smallest));
	out->upper_size = copy_key(out->upper, version_bytes(v, file->largest));
	/* The successor of the last key. */
	if (out->upper_size <= NVMKV_KEY_BYTES_MAX)
		out->upper[out->upper_size++] = 0;
}

unsigned
nvmkv_damage_stats(NvmkvDb *db, NvmkvDamageStats *out, unsigned max)
{
	const VersionImage *v;
	unsigned n = 0;
	uint32_t i;

	db_enter(db);
	v = versions_current(&db->versions);
	for (i = 0; i < v->ndamages && n < max; i++)
		describe_lost(db, v, &version_damages(v)[i], &out[n++]);
	for (i = 0; i < v->nfiles && n < max; i++)
	{
		const char *state = file_state(db, &version_files(v)[i]);

		if (state != NULL)
			describe_file(v, &version_files(v)[i], state, &out[n++]);
	}
	db_leave(db);
	return n;
}
