/*
 * check_agreement.c
 *	  See check_agreement.h.
 */
#include "tools/check_agreement.h"

#include "engine/base/coding.h"
#include "engine/log/kept_log.h"
#include "engine/meta/manifest.h"
#include "tools/dump_fold.h"

/* Offsets in the server's control file, the same in all versions that are known. */
#define CONTROL_OFFSET_VERSION 8
#define CONTROL_OFFSET_STATE 16
#define CONTROL_OFFSET_CHECKPOINT 32
#define CONTROL_OFFSET_REDO 40
#define CONTROL_BYTES 48
#define CONTROL_SHUTDOWNED 1

/* Where what the server keeps of this begins; what cannot be read may begin anywhere. */
static uint64_t
kept_begin(const char *dir)
{
	bool found;
	uint64_t start;

	if (kept_start(dir, 0, &found, &start) != NVMKV_OK)
		return 1;
	return found && start == 0 ? 1 : found ? start : 0;
}

/* What is kept comes before the log: for all families, or for one. */
static void
read_kept(Agreement *a, const char *dir)
{
	char kept[PATH_BYTES];
	char path[PATH_BYTES + 16];
	uint64_t begin;
	unsigned id;

	(void) snprintf(kept, sizeof(kept), "%s/../nvmkv_kept", dir);
	begin = kept_begin(kept);
	if (begin != 0)
		a->log_begin = begin;
	for (id = 1; id < NVMKV_FAMILIES_MAX; id++)
	{
		kept_family_dir(kept, id, path, sizeof(path));
		a->family_log_begin[id] = kept_begin(path);
	}
}

bool
check_control_version(uint32_t version)
{
	return version == 1300 || version == 1700 || version == 1800; /* 15 and 16, 17, 18 */
}

void
check_read_control(Agreement *a, const char *dir)
{
	char path[PATH_BYTES];
	uint8_t bytes[CONTROL_BYTES];
	PortFile *file;

	(void) snprintf(path, sizeof(path), "%s/../backup_label", dir);
	a->restored = port_can_open(path);
	(void) snprintf(path, sizeof(path), "%s/../global/pg_control", dir);
	if (a->restored || port_files->open(path, PORT_FILE_READ, &file) != NVMKV_OK)
		return;
	if (port_files->read(file, 0, bytes, sizeof(bytes)) == NVMKV_OK &&
		check_control_version(get_u32(bytes + CONTROL_OFFSET_VERSION)))
	{
		a->log_begin = get_u64(bytes + CONTROL_OFFSET_REDO);
		read_kept(a, dir);
		if (get_u32(bytes + CONTROL_OFFSET_STATE) == CONTROL_SHUTDOWNED)
			a->log_end = get_u64(bytes + CONTROL_OFFSET_CHECKPOINT);
	}
	port_files->close(file);
}

bool
check_is_anchored(const Agreement *a, const char *dir)
{
	DumpState state;
	Dump silent = {NULL, NULL, false, false};
	uint64_t number;
	bool anchored = a->anchor_found != NVMKV_NOT_FOUND;
	char path[PATH_BYTES];

	(void) snprintf(path, sizeof(path), "%s/CURRENT", dir);
	if (anchored || !port_can_open(path) || (silent.err = tmpfile()) == NULL)
		return anchored;
	anchored = dump_fold_current(&silent, dir, &number, &state) && state.live.incarnation != 0;
	dump_state_free(&state);
	fclose(silent.err);
	return anchored;
}

void
check_judge(Check *c, const char *dir, const VersionDraft *live)
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
		check_failure(c);
}
