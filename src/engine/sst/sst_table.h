/*
 * sst_table.h
 *	  An open SSTable of this process.
 *
 * A table holds its file open, and its top index and properties in memory; all
 * other blocks come through the block cache.  It is counted: the opener has one
 * reference, every iterator another.  Used by one thread.
 */
#ifndef NVMKV_SST_TABLE_H
#define NVMKV_SST_TABLE_H

#include "engine/port/port.h"
#include "engine/sst/sst_block.h"
#include "engine/sst/sst_cache.h"

typedef struct SstTable SstTable;

/*
 * Opens the file and checks footer, top index and properties.
 * number:     names its blocks in the cache; unique among the files the cache serves.
 * file_bytes: size of the finished file, as recorded when it was built.
 * cache:      NULL to read every block from the file; must outlive the table.
 * Returns OK, CORRUPTION (also: the file is missing or cut off), VERSION,
 * NOT_SUPPORTED, IO (also: no descriptor left), NO_MEMORY.
 */
extern NvmkvStatus sst_table_open(const char *path, uint64_t number, uint64_t file_bytes, SstCache *cache,
								  SstTable **table_out);

extern void sst_table_ref(SstTable *table);

/* Closes the file with the last reference. NULL is allowed. */
extern void sst_table_unref(SstTable *table);

extern uint64_t sst_table_number(const SstTable *table);
extern const char *sst_table_path(const SstTable *table);

/* Valid as long as the table. */
extern const SstProps *sst_table_props(const SstTable *table);

/* false: no version of this user key is in the table (hash = filter_hash(key)).  At failure true. */
extern NvmkvStatus sst_table_may_contain(SstTable *table, NvmkvSlice key, uint64_t hash, bool *may_out);

/* About how many of the file's bytes stand before "key": the offset of the data block where it would be. */
extern NvmkvStatus sst_table_offset_of(SstTable *table, NvmkvSlice key, uint64_t *offset_out);

/* ---- for the iterator and the verifier ---- */

/* A cursor over the top index, standing nowhere; valid as long as the table. */
extern SstBlockCursor sst_table_top_cursor(const SstTable *table);
extern PortFile *sst_table_file(const SstTable *table);
extern SstCache *sst_table_cache(const SstTable *table);

/* File offset behind the last partition: handles in the index must lie below. */
extern uint64_t sst_table_limit(const SstTable *table);

/* The block, checked and pinned; from the cache, or the file.  Release with sst_table_release_block. */
extern NvmkvStatus sst_table_block(SstTable *table, SstHandle handle, SstCachePriority priority,
								   SstCacheBlock **block_out);
extern void sst_table_release_block(SstTable *table, SstCacheBlock *block);

/* The handles in a top index entry's payload, and the handle in an index entry's. */
extern NvmkvStatus sst_table_top_handles(const SstTable *table, NvmkvSlice payload, SstHandle *index_out,
										 SstHandle *filter_out);
extern NvmkvStatus sst_table_data_handle(const SstTable *table, NvmkvSlice payload, SstHandle *data_out);

/* Probes a filter partition; true when there is none (size 0). */
extern NvmkvStatus sst_table_filter_probe(SstTable *table, SstHandle filter, uint64_t hash, bool *may_out);

/* The one text for a block whose entries are malformed though its checksum is right. */
extern NvmkvStatus sst_table_malformed(const SstTable *table, uint64_t offset);

#endif
