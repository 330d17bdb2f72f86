/*
 * dump_fold.c
 *	  See dump_fold.h.
 */
#include "tools/dump_fold.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/log/log_reader.h"
#include "engine/meta/manifest.h"
#include "tools/dump_version.h"

/* The path of the MANIFEST that CURRENT in "dir" names. */
static NvmkvStatus
current_manifest(const char *dir, char *path, size_t size)
{
	char line[64];
	char rest;
	size_t got = 0;
	uint64_t number;
	PortFile *file;
	NvmkvStatus status;

	if (strlen(dir) + sizeof("/MANIFEST-18446744073709551615") > size)
		return NVMKV_FAIL(NVMKV_LIMIT, "the name of the directory is too long");
	(void) snprintf(path, size, "%s/CURRENT", dir);
	status = port_files->open(path, PORT_FILE_READ, &file);
	if (status == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "\"%s\" does not exist", path);
	NVMKV_RETURN_IF(status);
	status = port_files->read_some(file, 0, line, sizeof(line) - 1, &got);
	port_files->close(file);
	NVMKV_RETURN_IF(status);
	line[got] = '\0';
	if (sscanf(line, "MANIFEST-%" SCNu64 "%c", &number, &rest) != 2 || rest != '\n')
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" does not name a manifest", path);
	manifest_path(dir, number, path, size);
	return NVMKV_OK;
}

/* Decodes one record into the arena and applies it. */
static NvmkvStatus
fold_record(Dump *dump, const LogReader *reader, NvmkvSlice record, bool show, DumpState *state)
{
	uint8_t *copy = meta_arena_alloc(&state->arena, record.size);
	VersionEdit edit;

	if (copy == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	if (record.size > 0)
		memcpy(copy, record.data, record.size);
	NVMKV_RETURN_IF(edit_decode(nvmkv_slice(copy, record.size), &state->arena, &edit));
	if (show)
	{
		fprintf(dump->out, "edit at %" PRIu64 ": %zu bytes\n", reader->record_offset, record.size);
		dump_edit(dump, &edit);
	}
	return draft_apply(&state->live, &edit);
}

/* The failure is one edit's: says where that is. */
static void
name_the_edit(const char *path, uint64_t offset)
{
	const NvmkvError error = *nvmkv_error();

	(void) NVMKV_FAIL(error.status, "manifest \"%s\": edit at %" PRIu64 ": %s", path, offset, error.text);
}

static bool
fold(Dump *dump, const char *path, bool show_edits, uint64_t *number_out, DumpState *state)
{
	LogReader reader;
	NvmkvSlice record;
	NvmkvStatus status;
	uint64_t number = 0;

	status = dump_log_number(path, LOG_KIND_MANIFEST, &number);
	if (status == NVMKV_OK)
		status = log_reader_open(&reader, path, LOG_KIND_MANIFEST, number);
	if (status != NVMKV_OK)
	{
		dump_failure(dump);
		return false;
	}
	*number_out = number;
	if (show_edits)
		fprintf(dump->out, "manifest %" PRIu64 "\n", number);
	while ((status = log_reader_next(&reader, &record)) == NVMKV_OK)
	{
		status = fold_record(dump, &reader, record, show_edits, state);
		if (status != NVMKV_OK)
		{
			name_the_edit(path, reader.record_offset);
			break;
		}
	}
	if (status == NVMKV_NOT_FOUND && show_edits)
		fprintf(dump->out, "end at %" PRIu64 "%s\n", reader.end_offset,
				reader.end == LOG_END_TORN ? ", behind it an unfinished edit" : "");
	log_reader_close(&reader);
	if (status == NVMKV_NOT_FOUND)
		status = draft_finish(&state->live);
	if (status != NVMKV_OK)
		dump_failure(dump);
	return status == NVMKV_OK;
}

bool
dump_fold_current(Dump *dump, const char *dir, uint64_t *number_out, DumpState *state)
{
	char path[MANIFEST_PATH_MAX];

	memset(state, 0, sizeof(*state));
	draft_init(&state->live);
	if (current_manifest(dir, path, sizeof(path)) != NVMKV_OK)
	{
		dump_failure(dump);
		return false;
	}
	return fold(dump, path, false, number_out, state);
}

bool
dump_fold(Dump *dump, const char *path, bool show_edits, DumpState *state)
{
	char found[MANIFEST_PATH_MAX];
	struct stat st;
	uint64_t number;

	memset(state, 0, sizeof(*state));
	draft_init(&state->live);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
	{
		if (current_manifest(path, found, sizeof(found)) != NVMKV_OK)
		{
			dump_failure(dump);
			return false;
		}
		path = found;
	}
	return fold(dump, path, show_edits, &number, state);
}

void
dump_state_free(DumpState *state)
{
	draft_free(&state->live);
	meta_arena_free(&state->arena);
}
