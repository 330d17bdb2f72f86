/*
 * origin.c
 *	  See origin.h.
 */
#include "engine/meta/origin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/meta/anchor.h"

#define ORIGIN_FORMAT 1

void
origin_path(const char *dir, char *buf, size_t size)
{
	(void) snprintf(buf, size, "%s.origin", dir);
}

/* Was the line read up to its newline? */
static bool
is_whole(const char *line, int end)
{
	return end > 0 && strcmp(line + end, "\n") == 0;
}

static NvmkvStatus
parse(const char *line, const char *path, Origin *origin_out)
{
	uint32_t high = 0;
	uint32_t low = 0;
	unsigned format;
	int awaited = 0;
	int given = 0;
	int taken = 0;

	if (sscanf(line, "nvmkv-origin %u", &format) == 1 && format != ORIGIN_FORMAT)
		return NVMKV_FAIL(NVMKV_VERSION, "\"%s\" has format %u, this version reads %d" NVMKV_USE_NEWER,
						  path, format, ORIGIN_FORMAT);
	(void) sscanf(line, "nvmkv-origin 1 awaited%n", &awaited);
	(void) sscanf(line, "nvmkv-origin 1 given %" SCNu64 "%n", &origin_out->system, &given);
	if (!is_whole(line, given))
		(void) sscanf(line, "nvmkv-origin 1 taken %" SCNu64 " %" SCNu64 " %" SCNx32 "/%" SCNx32 "%n", &origin_out->tree,
					  &origin_out->system, &high, &low, &taken);
	origin_out->position = (uint64_t) high << 32 | low;
	origin_out->kind = is_whole(line, awaited) ? ORIGIN_AWAITED
		: is_whole(line, given) ? ORIGIN_GIVEN
		: is_whole(line, taken) ? ORIGIN_TAKEN
								: ORIGIN_NONE;
	if (origin_out->kind == ORIGIN_NONE)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" is damaged: it is no line of words that are known", path);
	return NVMKV_OK;
}

NvmkvStatus
origin_read(const char *dir, Origin *origin_out)
{
	char path[ANCHOR_PATH_MAX];
	char line[ORIGIN_BYTES_MAX + 1];
	size_t got = 0;
	PortFile *file;
	NvmkvStatus st;

	memset(origin_out, 0, sizeof(*origin_out));
	origin_path(dir, path, sizeof(path));
	st = port_files->open(path, PORT_FILE_READ, &file);
	if (st == NVMKV_NOT_FOUND)
		return NVMKV_OK;
	NVMKV_RETURN_IF(st);
	st = port_files->read_some(file, 0, line, ORIGIN_BYTES_MAX, &got);
	port_files->close(file);
	NVMKV_RETURN_IF(st);
	line[got] = '\0';
	return parse(line, path, origin_out);
}

NvmkvStatus
origin_write(const char *dir, const Origin *origin)
{
	char path[ANCHOR_PATH_MAX];
	char temp[ANCHOR_PATH_MAX + 8];
	char line[ORIGIN_BYTES_MAX];
	PortFile *file;
	NvmkvStatus st;

	if (origin->kind == ORIGIN_AWAITED)
		(void) snprintf(line, sizeof(line), "nvmkv-origin %d awaited\n", ORIGIN_FORMAT);
	else if (origin->kind == ORIGIN_GIVEN)
		(void) snprintf(line, sizeof(line), "nvmkv-origin %d given %" PRIu64 "\n", ORIGIN_FORMAT, origin->system);
	else
		(void) snprintf(line, sizeof(line), "nvmkv-origin %d taken %" PRIu64 " %" PRIu64 " %" PRIX32 "/%" PRIX32 "\n",
						ORIGIN_FORMAT, origin->tree, origin->system, (uint32_t) (origin->position >> 32),
						(uint32_t) origin->position);
	origin_path(dir, path, sizeof(path));
	(void) snprintf(temp, sizeof(temp), "%s.new", path);
	NVMKV_RETURN_IF(port_files->open(temp, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &file));
	st = port_files->write(file, 0, line, strlen(line));
	port_files->close(file);
	if (st == NVMKV_OK)
		st = port_files->rename(temp, path);
	if (st != NVMKV_OK)
	{
		const NvmkvError error = *nvmkv_error();

		(void) port_files->unlink(temp);
		return NVMKV_FAIL(error.status, "%s", error.text);
	}
	return NVMKV_OK;
}
