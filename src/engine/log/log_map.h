/*
 * log_map.h
 *	  Log files on persistent memory: written through a map.
 *
 * The bytes are those of any other log file (log_format.h), and are read like
 * one.  Only how they get there differs: they are copied past the caches to the
 * medium and drained, once for a group of records, instead of written by a call
 * and synced by another.
 *
 * A drain waits for what the calling processor copied, not for others: who has
 * copied drains before he tells anybody.
 */
#ifndef NVMKV_LOG_LOG_MAP_H
#define NVMKV_LOG_LOG_MAP_H

#include "engine/port/port_guard.h"

/* Of one file, in one process.  Must stay where it is while it is mapped. */
typedef struct LogMap
{
	uint8_t *base;      /* NULL: not mapped */
	uint64_t number;    /* of the log file, for those who keep several */
	uint64_t populated; /* the process has the pages up to this offset in its tables, as far as it knows */
	PortGuard guard;
} LogMap;

/* A table of functions, so that tests can wrap it. */
typedef struct LogMapOps
{
	/* Is the file on persistent memory?  Emulated: on tmpfs, when libpmem is told to take it for that. */
	bool (*is_pmem)(PortFile *file);

	/* Copies without waiting. */
	void (*copy)(LogMap *map, uint64_t offset, const void *data, size_t size);

	/* What this thread has copied is durable. */
	void (*drain)(LogMap *map);
} LogMapOps;

extern const LogMapOps log_map_pmem;
extern const LogMapOps *log_map_ops; /* in use: &log_map_pmem unless a test replaced it */

/* Maps all that the file may grow to; only what it has blocks for may be touched.  IO. */
extern NvmkvStatus log_map_open(LogMap *map, PortFile *file);
extern void log_map_close(LogMap *map);

/*
 * Copies and drains.  The file has blocks up to "allocated".  IO when the medium has lost a page under the map: what was
 * copied there is lost.
 */
extern NvmkvStatus log_map_write(LogMap *map, PortFile *file, uint64_t offset, const void *data, size_t size,
								 uint64_t allocated);

#endif
