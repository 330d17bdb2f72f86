/*
 * log_files.c
 *	  The numbered files of a directory: see log_files.h.
 */
#include "engine/log/log_files.h"

#include <stdlib.h>
#include <string.h>

#include "engine/port/port.h"

static bool
collect(void *ctx, const char *name)
{
	LogFiles *files = ctx;
	char *end;
	uint64_t number = strtoull(name, &end, 10);

	if (end == name || strcmp(end, files->suffix) != 0)
		return true;
	if (files->count == files->capacity)
	{
		unsigned capacity = files->capacity == 0 ? 16 : 2 * files->capacity;
		uint64_t *grown = port_realloc(files->numbers, capacity * sizeof(uint64_t));

		if (grown == NULL)
		{
			files->failed = true;
			return false;
		}
		files->numbers = grown;
		files->capacity = capacity;
	}
	files->numbers[files->count++] = number;
	return true;
}

static int
compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *) a;
	uint64_t y = *(const uint64_t *) b;

	return x < y ? -1 : x > y;
}

NvmkvStatus
log_files_list(const char *dir, const char *suffix, LogFiles *out)
{
	memset(out, 0, sizeof(*out));
	out->suffix = suffix;
	NVMKV_RETURN_IF(port_files->list(dir, collect, out));
	if (out->failed)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for the files of \"%s\"", dir);
	if (out->count > 1)
		qsort(out->numbers, out->count, sizeof(uint64_t), compare_numbers);
	return NVMKV_OK;
}
