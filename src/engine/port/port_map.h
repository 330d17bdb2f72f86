/*
 * port_map.h
 *	  Files that are read through a map, without a call of the system.
 *
 * A page that is in the system's cache is read ten times as fast so.  One that is
 * not costs more: a fault for each page, where a call reads them all at once.
 * So a copy that takes long - it waited for the medium - makes the process go
 * back to calls for a while.
 *
 * A page that cannot be read is noted by its guard (port_guard.h); the copy then
 * fails, and the caller reads by a call, which says what is wrong.
 */
#ifndef NVMKV_PORT_PORT_MAP_H
#define NVMKV_PORT_PORT_MAP_H

#include "engine/port/port_guard.h"

/* Zero: no map.  Must stay where it is while there is one. */
typedef struct PortMap
{
	uint8_t *base;
	uint64_t bytes;
	PortGuard guard;
} PortMap;

/* false: it cannot be mapped, or nobody would catch a page that is gone. */
extern bool port_map_open(PortMap *map, PortFile *file, uint64_t bytes);
extern void port_map_close(PortMap *map);

/* Copies; false: read it by a call. */
extern bool port_map_read(PortMap *map, uint64_t offset, void *data, size_t size);

#endif
