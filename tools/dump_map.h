/*
 * dump_map.h
 *	  A pool that is mapped for reading.
 *
 * The pool is mapped for reading, without the lock that keeps a second server
 * away.  The engine's functions that read rows need no more of a pool than
 * where it is mapped and how large it is.
 */
#ifndef NVMKV_TOOLS_DUMP_MAP_H
#define NVMKV_TOOLS_DUMP_MAP_H

#include "engine/meta/edit.h"
#include "engine/nvm/pool.h"
#include "engine/nvm/row.h"
#include "tools/dump.h"

extern NvmRowRef dump_row_ref(const MetaRow *row);

/* A pool mapped for reading. */
typedef struct DumpPool
{
	PortFile *file;
	void *map;
	NvmPoolHeader header;
	NvmPoolStamp stamp;
	NvmDevice device;
	NvmPool pool;
} DumpPool;

/* To be unmapped whatever it returns. */
extern NvmkvStatus dump_pool_map(const char *path, DumpPool *pool);
extern void dump_pool_unmap(DumpPool *pool);

#endif
