/*
 * salvage_source.h
 *	  Sorted sources of entries - table files, rows of the container, kept WAL - and their merge, around whatever is
 *	  damaged.
 */
#ifndef NVMKV_TOOLS_SALVAGE_SOURCE_H
#define NVMKV_TOOLS_SALVAGE_SOURCE_H

#include "engine/nvm/row.h"
#include "engine/sst/sst_table.h"
#include "tools/dump.h"

/* An entry in memory, of kept WAL. */
typedef struct SalvageEntry
{
	NvmkvSlice key, payload;
	uint64_t tag;
} SalvageEntry;

typedef struct SalvageSource
{
	Dump *dump;
	/* what it is: a table file, a row, or entries in memory */
	char path[512];
	uint64_t number, bytes;
	const NvmPool *pool;
	NvmRowRef row;
	const SalvageEntry *entries;
	size_t nentries;
	/* where it is */
	bool open, valid;
	NvmkvSlice key, payload;
	uint64_t tag;
	uint64_t at; /* of a row, or of entries */
	SstTable *table;
	SstBlock index_block, data_block;
	bool has_index, has_data;
	SstBlockCursor top, index, data;
	uint8_t buffer[SST_KEY_BUFFER_BYTES];
	NvmkvBuf scratch; /* a row's key; of a table file the last separator */
} SalvageSource;

/* Stands on the first readable entry at or above lower; what it passes over is reported.  Closes itself at its end. */
extern void salvage_source_seek(SalvageSource *s, NvmkvSlice lower);
extern void salvage_source_next(SalvageSource *s);
extern void salvage_source_close(SalvageSource *s);

/* The source with the smallest entry, NULL when there is none; "heap" orders pointers to all sources. */
typedef struct SalvageMerge
{
	SalvageSource **heap;
	size_t count;
} SalvageMerge;

extern void salvage_merge_start(SalvageMerge *m);
extern SalvageSource *salvage_merge_top(SalvageMerge *m);
extern void salvage_merge_next(SalvageMerge *m);

#endif
