/*
 * table_cache.h
 *	  The SSTables this process uses.
 *
 * One for each open database and process; made, used and destroyed by one thread.  Their blocks are
 * in the block cache of all processes.
 */
#ifndef NVMKV_SST_TABLE_CACHE_H
#define NVMKV_SST_TABLE_CACHE_H

#include "engine/sst/sst_table.h"

#define TABLE_CACHE_TABLES_DEFAULT 1024

/* Room for the path of any file the cache opens. */
#define SST_PATH_BYTES_MAX 1100

typedef struct TableCache TableCache;

typedef struct TableCacheStats
{
	uint64_t open;	 /* tables in the cache */
	uint64_t hits;
	uint64_t opened; /* since the cache was created */
} TableCacheStats;

/*
 * dir: where the files are, at most 1024 bytes.  tables_max: how many stay open, at least 1.  blocks: copied; NULL:
 * none.
 */
extern NvmkvStatus table_cache_create(const char *dir, unsigned tables_max, const SstCache *blocks,
									  TableCache **cache_out);

/* REQUIRES that no iterator is left. */
extern void table_cache_destroy(TableCache *cache);

/*
 * The open table of file "number", which is "file_bytes" long.  It is the
 * cache's: valid until the next call for this cache, unless an iterator was made
 * for it or sst_table_ref was called.
 * Returns OK or what sst_table_open says.
 */
extern NvmkvStatus table_cache_get(TableCache *cache, uint64_t number, uint64_t file_bytes, SstTable **table_out);

/* The same for a value table, as sst_table_open_values opens it. */
extern NvmkvStatus table_cache_get_values(TableCache *cache, uint64_t number, SstTable **table_out);

/* The same if it is open already, else NULL. */
extern SstTable *table_cache_peek(const TableCache *cache, uint64_t number);

/* Closes the table: the file is gone, or will be. */
extern void table_cache_evict(TableCache *cache, uint64_t number);

/* Evicts every table for which "keep" says false. */
extern void table_cache_retain(TableCache *cache, bool (*keep)(void *ctx, uint64_t number), void *ctx);

extern void table_cache_stats(const TableCache *cache, TableCacheStats *stats_out);

/* The file of a table. */
extern NvmkvStatus table_cache_file_name(const TableCache *cache, uint64_t number, char *buf, size_t buf_bytes);

/* "<dir>/<number, at least six digits>.sst"; LIMIT when it does not fit. */
extern NvmkvStatus sst_file_name(const char *dir, uint64_t number, char *buf, size_t buf_bytes);

#endif
