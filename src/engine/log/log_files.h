/*
 * log_files.h
 *	  The numbered files of a directory: NUMBER.log, NUMBER.kept.
 */
#ifndef NVMKV_LOG_LOG_FILES_H
#define NVMKV_LOG_LOG_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

typedef struct LogFiles
{
	const char *suffix;
	uint64_t *numbers; /* ascending; port_free is owed, whatever came of it */
	unsigned count, capacity;
	bool failed;
} LogFiles;

/*
 * The numbers of all files of dir whose names are decimal digits and suffix (".log").  NOT_FOUND: there is no such
 * directory; NO_MEMORY, IO.
 */
extern NvmkvStatus log_files_list(const char *dir, const char *suffix, LogFiles *out);

#endif
