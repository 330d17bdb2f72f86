/*
 * tree_files.c
 *	  See tree_files.h.
 */
#include "engine/tree/tree_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/meta/outcome_file.h"
#include "engine/tree/damage_files.h"

/* So many are told one by one. */
#define LOGGED_MAX 10

/* Is the table there in its full size? */
static NvmkvStatus
check_file(NvmkvDb *db, const VersionFile *expected, bool *missing_out, bool *short_out)
{
	char path[SST_PATH_BYTES_MAX];
	PortFile *file;
	uint64_t size;
	NvmkvStatus st;

	NVMKV_RETURN_IF(sst_file_name(db->dir, expected->number, path, sizeof(path)));
	st = port_files->open(path, PORT_FILE_READ, &file);
	*missing_out = st == NVMKV_NOT_FOUND;
	*short_out = false;
	if (*missing_out)
	{
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "table file \"%s\" is missing", path);
		return NVMKV_OK;
	}
	NVMKV_RETURN_IF(st);
	st = port_files->size(file, &size);
	port_files->close(file);
	NVMKV_RETURN_IF(st);
	*short_out = size != expected->bytes;
	if (*short_out)
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "table file \"%s\" has %" PRIu64 " bytes, expected %" PRIu64, path, size, expected->bytes);
	return NVMKV_OK;
}

NvmkvStatus
tree_check_files(NvmkvDb *db)
{
	const VersionImage *v = versions_current(&db->versions);
	uint32_t bad = 0;
	uint32_t gone = 0;
	uint32_t i;

	for (i = 0; i < v->nfiles; i++)
	{
		bool is_missing, is_short;

		NVMKV_RETURN_IF(check_file(db, &version_files(v)[i], &is_missing, &is_short));
		gone += is_missing;
		if ((is_missing || is_short) && bad++ < LOGGED_MAX)
			port_log(PORT_LOG_WARNING, "%s: keys in it cannot be read", nvmkv_error()->text);
	}
	if (bad > LOGGED_MAX)
		port_log(PORT_LOG_WARNING, "%u more table files of \"%s\" are missing or have a wrong size", bad - LOGGED_MAX, db->dir);
	if (gone > 1 && gone == v->nfiles)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "all %u table files are missing in \"%s\"", gone, db->dir);
	return NVMKV_OK;
}

/* ---- left-overs ---- */

typedef struct Orphans
{
	NvmkvDb *db;
	uint64_t *numbers; /* of the tables that are none */
	uint32_t count;
	DamageKept kept;
} Orphans;

static bool
names_outcomes(const VersionImage *v, uint64_t file)
{
	uint32_t i;

	for (i = 0; i < v->nsegments; i++)
		if (version_segments(v)[i].file == file)
			return true;
	return false;
}

static bool
remove_if_orphan(void *ctx, const char *name)
{
	Orphans *orphans = ctx;
	NvmkvDb *db = orphans->db;
	char path[MANIFEST_PATH_MAX];
	size_t n = strlen(name);
	char *end;
	uint64_t outcomes;
	bool orphan = strcmp(name, "CURRENT.tmp") == 0 || strcmp(name, "BACKUP.tmp") == 0;

	if (n > 4 && strcmp(name + n - 4, ".sst") == 0)
	{
		uint64_t number = strtoull(name, &end, 10);

		orphan = strcmp(end, ".sst") == 0 && !version_numbers_have(orphans->numbers, orphans->count, number) &&
			!damage_keeps_file(db, number, &orphans->kept);
	}
	else if (outcome_file_parse(name, &outcomes))
		orphan = !names_outcomes(versions_current(&db->versions), outcomes);
	else if (strncmp(name, "MANIFEST-", 9) == 0)
	{
		uint64_t number = strtoull(name + 9, &end, 10);

		orphan = *end == '\0' && number != versions_manifest_number(&db->versions);
	}
	else if (strncmp(name, "BACKUP-", 7) == 0)
		orphan = db->options.restore_from == 0; /* a restore may have to be begun again, by the same one */
	if (orphan)
	{
		(void) snprintf(path, sizeof(path), "%s/%s", db->dir, name);
		if (port_files->unlink(path) != NVMKV_OK)
			port_log(PORT_LOG_WARNING, "could not remove leftover file \"%s\": %s", path, nvmkv_error()->text);
	}
	return true;
}

NvmkvStatus
tree_remove_orphans(NvmkvDb *db)
{
	const VersionImage *v = versions_current(&db->versions);
	Orphans orphans = {db, version_file_numbers(v), v->nfiles, {0, 0}};
	NvmkvStatus st;

	if (orphans.numbers == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for the numbers of %u tables", v->nfiles);
	st = port_files->list(db->dir, remove_if_orphan, &orphans);
	port_free(orphans.numbers);
	return st;
}
