/*
 * level.h
 *	  One iterator over the disjoint tables of a level (or a run of them).
 *
 * Opens one table at a time, through the process's table cache.  With a sink it
 * goes round damaged tables, and blocks of tables, forwards (base/iter.h).
 */
#ifndef NVMKV_ITER_LEVEL_H
#define NVMKV_ITER_LEVEL_H

#include "engine/meta/version.h"
#include "engine/sst/sst_iter.h"
#include "engine/sst/table_cache.h"

typedef struct LevelIter
{
	NvmkvIter base;
	TableCache *tables;
	const VersionImage *version;
	uint32_t first, end; /* files [first, end) of the image, of one level >= 1 */
	uint32_t at;		 /* the file "table" is on */
	bool open;
	SstIterMode mode;
	NvmkvDamageSink *sink; /* set by the owner after level_iter_init; NULL: damage is a failure */
	SstIter table;
} LevelIter;

/* The image must stay as long as the iterator is used; destroy gives the open table back and needs no image. */
extern void level_iter_init(LevelIter *it, TableCache *tables, const VersionImage *version, uint32_t first,
							uint32_t end, SstIterMode mode);

/* next within the data block, as sst_iter_step is; the table's iterator, whose position nobody reads, is not told. */
static inline bool
level_iter_step(LevelIter *it)
{
	SstBlockCursor *data = &it->table.data;

	if (!sst_block_cursor_next(data))
		return false;
	it->base.key = data->key;
	it->base.tag = data->tag;
	it->base.payload = data->payload;
	return true;
}

/* See sst_iter_renew. */
extern bool level_iter_renew(LevelIter *it);

#endif
