/*
 * upgrade_tree.c
 *	  See upgrade_tree.h.
 */
#include "tools/upgrade_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/db/family_file.h"
#include "engine/meta/agreement.h"
#include "engine/meta/manifest.h"
#include "engine/meta/outcome_file.h"
#include "engine/sst/sst_format.h"
#include "engine/sst/table_cache.h"
#include "tools/dump_fold.h"

/* bytes 0: of any size. */
static NvmkvStatus
judge_file(const char *path, uint64_t bytes)
{
	PortFile *file;
	uint64_t size = 0;
	NvmkvStatus st = port_files->open(path, PORT_FILE_READ, &file);

	if (st == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "file \"%s\" is missing", path);
	NVMKV_RETURN_IF(st);
	st = port_files->size(file, &size);
	port_files->close(file);
	NVMKV_RETURN_IF(st);
	if (bytes != 0 && size != bytes)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "file \"%s\" has %" PRIu64 " bytes, expected %" PRIu64, path, size, bytes);
	return NVMKV_OK;
}

static NvmkvStatus
judge_tree_files(UpgradeTrees *trees, const char *dir, const VersionDraft *live)
{
	char path[UPGRADE_PATH_BYTES];
	uint32_t i;

	for (i = 0; i < live->nfiles; i++)
	{
		NVMKV_RETURN_IF(sst_file_name(dir, live->files[i].number, path, sizeof(path)));
		NVMKV_RETURN_IF(judge_file(path, live->files[i].bytes));
		trees->bytes += live->files[i].bytes;
	}
	for (i = 0; i < live->nsegments; i++)
	{
		outcome_file_path(dir, live->segments[i].file, path, sizeof(path));
		NVMKV_RETURN_IF(judge_file(path, 0));
	}
	trees->files += live->nfiles;
	(void) snprintf(path, sizeof(path), "%s/level0.pool", dir);
	if (live->nrows > 0 && !port_can_open(path))
		trees->pool_is_elsewhere = true;
	return NVMKV_OK;
}

static NvmkvStatus
judge_state(UpgradeTrees *trees, const Agreement *agreement, unsigned family, const char *dir, uint64_t number,
			const VersionDraft *live)
{
	char path[MANIFEST_PATH_MAX];
	bool accepted;

	manifest_path(dir, number, path, sizeof(path));
	if (live->system_identifier != trees->system)
		return NVMKV_FAIL(NVMKV_INVALID, "manifest \"%s\" belongs to another system (identifier %" PRIu64 ", expected %" PRIu64 ")",
						  path, live->system_identifier, trees->system);
	NVMKV_RETURN_IF(agreement_judge(agreement, family, live, path, &accepted));
	if (!live->closed)
		return NVMKV_FAIL(NVMKV_INVALID, "manifest \"%s\" is not closed: the log may hold more for it; start the old server with nvmkv_fdw, look for what its log says of foreign tables, and stop it",
						  path);
	if (live->durable_seq > trees->durable)
		trees->durable = live->durable_seq;
	return judge_tree_files(trees, dir, live);
}

static NvmkvStatus
judge_tree(UpgradeTrees *trees, const Agreement *agreement, unsigned family, const char *dir)
{
	char text[NVMKV_ERROR_TEXT_MAX];
	FILE *said = tmpfile();
	Dump dump = {said, said, false, false};
	DumpState state;
	uint64_t number;
	NvmkvStatus st;

	if (said == NULL)
		return NVMKV_FAIL_ERRNO(NVMKV_IO, "could not make a temporary file");
	/* What could not be folded is the engine's last failure, besides. */
	if (dump_fold_current(&dump, dir, &number, &state))
		st = judge_state(trees, agreement, family, dir, number, &state.live);
	else
	{
		(void) snprintf(text, sizeof(text), "%s", nvmkv_error()->text);
		st = NVMKV_FAIL(nvmkv_error()->status, "%s", text);
	}
	dump_state_free(&state);
	fclose(said);
	trees->count++;
	return st;
}

NvmkvStatus
upgrade_judge_trees(UpgradeTrees *trees)
{
	NvmkvFamilyInfo families[NVMKV_FAMILIES_MAX];
	Agreement agreement;
	uint32_t there = 1;
	unsigned count = 0;
	unsigned i;

	NVMKV_RETURN_IF(agreement_load(&agreement, trees->anchored, trees->system));
	agreement.accept = false;
	agreement.log_end = trees->log_end;
	NVMKV_RETURN_IF(family_file_read(trees->dir, families, &count));
	for (i = 0; i < count; i++)
		there |= UINT32_C(1) << families[i].id;
	NVMKV_RETURN_IF(agreement_judge_families(&agreement, there));
	NVMKV_RETURN_IF(judge_tree(trees, &agreement, 0, trees->dir));
	for (i = 0; i < count; i++)
	{
		char dir[UPGRADE_PATH_BYTES];

		(void) snprintf(dir, sizeof(dir), "%s/family-%u", trees->dir, families[i].id);
		NVMKV_RETURN_IF(judge_tree(trees, &agreement, families[i].id, dir));
	}
	return NVMKV_OK;
}
