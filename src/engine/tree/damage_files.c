/*
 * damage_files.c
 *	  See damage_files.h.
 */
#include "engine/tree/damage_files.h"

#include <inttypes.h>

bool
damage_file_exists(NvmkvDb *db, uint64_t number)
{
	char path[SST_PATH_BYTES_MAX];
	PortFile *file;
	NvmkvStatus st;

	if (sst_file_name(db->dir, number, path, sizeof(path)) != NVMKV_OK)
		return false;
	st = port_files->open(path, PORT_FILE_READ, &file);
	if (st == NVMKV_OK)
		port_files->close(file);
	return st != NVMKV_NOT_FOUND;
}

bool
damage_is_named(NvmkvDb *db, uint64_t number)
{
	bool named;

	db_enter(db);
	named = version_damage_names(versions_current(&db->versions), number);
	db_leave(db);
	return named;
}

/* What the files of all tables that damaged ranges name take, but for this one. */
static void
sum_kept(NvmkvDb *db, uint64_t number, DamageKept *kept)
{
	const VersionImage *v;
	const VersionDamage *damages;
	uint32_t i, other;

	db_enter(db);
	v = versions_current(&db->versions);
	damages = version_damages(v);
	for (i = 0; i < v->ndamages; i++)
	{
		bool seen = damages[i].kind == VERSION_DAMAGE_ROW || damages[i].source == number;

		for (other = 0; other < i && !seen; other++)
			seen = damages[other].kind == damages[i].kind && damages[other].source == damages[i].source;
		if (seen || !damage_file_exists(db, damages[i].source))
			continue;
		kept->files++;
		kept->bytes += damages[i].bytes;
	}
	db_leave(db);
}

uint64_t
damage_file_bytes(NvmkvDb *db, uint64_t number)
{
	char path[SST_PATH_BYTES_MAX];
	PortFile *file;
	uint64_t size = 0;

	if (sst_file_name(db->dir, number, path, sizeof(path)) != NVMKV_OK ||
		port_files->open(path, PORT_FILE_READ, &file) != NVMKV_OK)
		return 0;
	if (port_files->size(file, &size) != NVMKV_OK)
		size = 0;
	port_files->close(file);
	return size;
}

bool
damage_keeps_file(NvmkvDb *db, uint64_t number, DamageKept *others)
{
	DamageKept found = {0, 0};
	uint64_t bytes;

	if (!damage_is_named(db, number))
		return false;
	if (others == NULL)
		sum_kept(db, number, &found);
	else
		found = *others;
	bytes = damage_file_bytes(db, number);
	if (found.files >= DAMAGE_KEPT_FILES_MAX || found.bytes + bytes > DAMAGE_KEPT_BYTES_MAX)
	{
		port_log(PORT_LOG_WARNING, "damaged table %" PRIu64 " of \"%s\" is not kept: %" PRIu64 " others with %" PRIu64
				 " bytes are", number, db->dir, found.files, found.bytes);
		return false;
	}
	if (others != NULL)
	{
		others->files++;
		others->bytes += bytes;
	}
	return true;
}
