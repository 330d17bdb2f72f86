/*
 * port_map.c
 *	  See port_map.h.
 */
#include "engine/port/port_map.h"

#include <sys/mman.h>

/* A copy from memory takes a microsecond or two; the process may have been interrupted, which does no harm. */
#define STALL_US 40
#define READS_AFTER_STALL 256

/* So many reads by calls are still to come. */
static _Thread_local unsigned by_calls;

bool
port_map_open(PortMap *map, PortFile *file, uint64_t bytes)
{
	void *base = port_files->map != NULL ? port_files->map(file, bytes) : NULL;

	if (base == NULL)
		return false;
	if (!port_guard_add(&map->guard, base, bytes, false))
	{
		port_guard_remove(&map->guard);
		(void) munmap(base, (size_t) bytes);
		return false;
	}
	map->base = base;
	map->bytes = bytes;
	return true;
}

void
port_map_close(PortMap *map)
{
	if (map->base == NULL)
		return;
	port_guard_remove(&map->guard);
	(void) munmap(map->base, (size_t) map->bytes);
	map->base = NULL;
}

bool
port_map_read(PortMap *map, uint64_t offset, void *data, size_t size)
{
	uint64_t start;

	if (by_calls > 0)
	{
		by_calls--;
		return false;
	}
	if (port_guard_lost(&map->guard) != 0 || offset > map->bytes || size > map->bytes - offset)
		return false;
	start = port_now_us();
	memcpy(data, map->base + offset, size);
	if (port_now_us() - start > STALL_US)
		by_calls = READS_AFTER_STALL;
	return port_guard_lost(&map->guard) == 0;
}
