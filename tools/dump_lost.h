/*
 * dump_lost.h
 *	  What transactions whose outcomes are lost have written, from files alone.
 */
#ifndef NVMKV_TOOLS_DUMP_LOST_H
#define NVMKV_TOOLS_DUMP_LOST_H

#include "engine/db/lost.h"
#include "engine/meta/draft.h"
#include "engine/nvm/row.h"
#include "engine/sst/sst_table.h"
#include "tools/dump.h"

/* What transactions whose outcomes are lost have written.  Zero-initialise. */
typedef struct DumpLost
{
	VersionXids *ranges; /* the transactions */
	uint32_t nranges;
	LostList list;
} DumpLost;

/* All transactions first, then tables and rows.  Damage of these is nobody's concern here.  NO_MEMORY. */
extern NvmkvStatus dump_lost_add(DumpLost *lost, uint64_t from, uint64_t to);
extern NvmkvStatus dump_lost_table(DumpLost *lost, SstTable *table);
extern NvmkvStatus dump_lost_row(DumpLost *lost, const NvmPool *pool, const NvmRowRef *row);

/* A finding on "err" for each storage; returns how many.  Frees. */
extern uint64_t dump_lost_end(Dump *dump, DumpLost *lost);

#endif
