/*
 * log_map.c
 *	  See log_map.h.
 *
 * MAP_SYNC, which only persistent memory has, is what tells it from a file: a
 * page that can be written has its block on the medium then.  libpmem's own test
 * would need the file to be mapped by libpmem, and, when it is told to take
 * anything for persistent memory (PMEM_IS_PMEM_FORCE), would take a disk for it,
 * which would lose acknowledged records: so that is believed of tmpfs alone.
 */
#include "engine/log/log_map.h"

#include <errno.h>
#include <libpmem.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "engine/log/log_format.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Address space costs nothing, and so a file that grows need not be mapped again. */
#define MAP_BYTES ((uint64_t) LOG_FILE_BYTES_MAX + 1)

/* Pages are brought in so many bytes at a time: one call instead of a fault for every page, and a short one. */
#define POPULATE_BYTES UINT64_C(262144)

#define PROBE_BYTES 4096

static void *
map_with(PortFile *file, uint64_t bytes, int flags)
{
	void *p = mmap(NULL, (size_t) bytes, PROT_READ | PROT_WRITE, flags, port_file_fd(file), 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool
is_pmem(PortFile *file)
{
	void *probe = map_with(file, PROBE_BYTES, MAP_SHARED_VALIDATE | MAP_SYNC);
	struct statfs fs;
	bool forced;

	if (probe != NULL)
	{
		(void) munmap(probe, PROBE_BYTES);
		return true;
	}
	if (fstatfs(port_file_fd(file), &fs) != 0 || fs.f_type != TMPFS_MAGIC)
		return false;
	probe = map_with(file, PROBE_BYTES, MAP_SHARED);
	if (probe == NULL)
		return false;
	forced = pmem_is_pmem(probe, PROBE_BYTES) != 0;
	(void) munmap(probe, PROBE_BYTES);
	return forced;
}

static void
copy(LogMap *map, uint64_t offset, const void *data, size_t size)
{
	(void) pmem_memcpy_nodrain(map->base + offset, data, size);
}

static void
drain(LogMap *map)
{
	(void) map;
	pmem_drain();
}

const LogMapOps log_map_pmem = {is_pmem, copy, drain};
const LogMapOps *log_map_ops = &log_map_pmem;

NvmkvStatus
log_map_open(LogMap *map, PortFile *file)
{
	void *base = map_with(file, MAP_BYTES, MAP_SHARED_VALIDATE | MAP_SYNC);

	if (base == NULL)
		base = map_with(file, MAP_BYTES, MAP_SHARED);
	if (base == NULL)
		return NVMKV_FAIL_ERRNO(NVMKV_IO, "cannot map log file \"%s\"", port_file_path(file));
	map->base = base;
	map->populated = 0;
	(void) port_guard_add(&map->guard, base, MAP_BYTES, true);
	return NVMKV_OK;
}

void
log_map_close(LogMap *map)
{
	if (map->base == NULL)
		return;
	port_guard_remove(&map->guard);
	(void) munmap(map->base, (size_t) MAP_BYTES);
	map->base = NULL;
}

/* A failure only means that the pages come one by one, when they are touched. */
static void
populate(LogMap *map, uint64_t offset, uint64_t end, uint64_t allocated)
{
	uint64_t from = offset / POPULATE_BYTES * POPULATE_BYTES;
	uint64_t to = (end + POPULATE_BYTES - 1) / POPULATE_BYTES * POPULATE_BYTES;

	if (end <= map->populated)
		return;
	if (from < map->populated)
		from = map->populated;
	if (to > allocated)
		to = allocated;
	(void) madvise(map->base + from, (size_t) (to - from), MADV_POPULATE_WRITE);
	map->populated = to;
}

NvmkvStatus
log_map_write(LogMap *map, PortFile *file, uint64_t offset, const void *data, size_t size, uint64_t allocated)
{
	populate(map, offset, offset + size, allocated);
	log_map_ops->copy(map, offset, data, size);
	log_map_ops->drain(map);
	if (port_guard_lost(&map->guard) != 0)
		return NVMKV_FAIL(NVMKV_IO, "log file \"%s\" cannot be written at %llu: it was truncated, or its medium has failed",
						  port_file_path(file), (unsigned long long) offset);
	return NVMKV_OK;
}
