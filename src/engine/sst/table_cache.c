/*
 * table_cache.c
 *	  Open tables by file number: a hash table, and a list by last use.
 *
 * A table that falls out of the list is closed when its last iterator is
 * destroyed.  The host may allow fewer descriptors than tables_max: when any
 * file is to be opened and there is none, the least recently used table gives
 * up its file.
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/assert.h"
#include "engine/sst/table_cache.h"

#define DIR_BYTES_MAX 1024

typedef struct OpenTable
{
	uint64_t number;
	SstTable *table;
	bool is_values; /* opened as a value table, without its head */
	struct OpenTable *hash_next;
	struct OpenTable *newer;
	struct OpenTable *older;
} OpenTable;

struct TableCache
{
	char *dir;
	SstCache blocks;
	unsigned tables_max;
	OpenTable **buckets;
	size_t bucket_count; /* a power of two */
	OpenTable *newest;
	OpenTable *oldest;
	TableCacheStats stats;
	TableCache *next; /* of this thread's caches */
};

static _Thread_local TableCache *caches;

static bool give_up_file(void);

NvmkvStatus
sst_file_name(const char *dir, uint64_t number, char *buf, size_t buf_bytes)
{
	int n = snprintf(buf, buf_bytes, "%s/%06" PRIu64 ".sst", dir, number);

	if (n < 0 || (size_t) n >= buf_bytes)
		return NVMKV_FAIL(NVMKV_LIMIT, "path of file %06" PRIu64 ".sst does not fit in %zu bytes", number, buf_bytes);
	return NVMKV_OK;
}

NvmkvStatus
table_cache_file_name(const TableCache *cache, uint64_t number, char *buf, size_t buf_bytes)
{
	return sst_file_name(cache->dir, number, buf, buf_bytes);
}

NvmkvStatus
table_cache_create(const char *dir, unsigned tables_max, const SstCache *blocks, TableCache **cache_out)
{
	size_t dir_bytes = strlen(dir) + 1;
	TableCache *cache;

	*cache_out = NULL;
	if (dir_bytes > DIR_BYTES_MAX + 1 || tables_max == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "table cache for a directory name of %zu bytes and %u tables", dir_bytes - 1, tables_max);
	cache = port_alloc_zero(sizeof(*cache));
	if (cache == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for a table cache");
	cache->tables_max = tables_max;
	cache->bucket_count = 16;
	while (cache->bucket_count < tables_max)
		cache->bucket_count *= 2;
	cache->dir = port_alloc(dir_bytes);
	cache->buckets = port_alloc_zero(cache->bucket_count * sizeof(OpenTable *));
	if (cache->dir == NULL || cache->buckets == NULL)
	{
		table_cache_destroy(cache);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for a table cache");
	}
	if (blocks != NULL)
		sst_cache_attach(&cache->blocks, blocks->shm, &blocks->epochs);
	memcpy(cache->dir, dir, dir_bytes);
	cache->next = caches;
	caches = cache;
	port_store_relaxed(&port_fd_give_up, &give_up_file); /* threads say the same at the same time */
	*cache_out = cache;
	return NVMKV_OK;
}

static inline OpenTable **
bucket_of(const TableCache *cache, uint64_t number)
{
	return &cache->buckets[number & (cache->bucket_count - 1)];
}

static void
unlink_by_use(TableCache *cache, OpenTable *open)
{
	if (open->newer != NULL)
		open->newer->older = open->older;
	else
		cache->newest = open->older;
	if (open->older != NULL)
		open->older->newer = open->newer;
	else
		cache->oldest = open->newer;
}

static void
link_newest(TableCache *cache, OpenTable *open)
{
	open->newer = NULL;
	open->older = cache->newest;
	if (cache->newest != NULL)
		cache->newest->newer = open;
	else
		cache->oldest = open;
	cache->newest = open;
}

/* Takes the table out of the cache; its blocks stay. */
static void
give_up(TableCache *cache, OpenTable *open)
{
	OpenTable **link = bucket_of(cache, open->number);

	while (*link != open)
		link = &(*link)->hash_next;
	*link = open->hash_next;
	unlink_by_use(cache, open);
	cache->stats.open--;
	sst_table_unref(open->table);
	port_free(open);
}

/* For port_fd_give_up. */
static bool
give_up_file(void)
{
	TableCache *cache;
	OpenTable *open;

	for (cache = caches; cache != NULL; cache = cache->next)
		for (open = cache->oldest; open != NULL; open = open->newer)
			if (sst_table_close_file(open->table))
				return true;
	return false;
}

void
table_cache_destroy(TableCache *cache)
{
	TableCache **link = &caches;

	if (cache == NULL)
		return;
	while (*link != NULL && *link != cache)
		link = &(*link)->next;
	if (*link == cache)
		*link = cache->next;
	while (cache->newest != NULL)
		give_up(cache, cache->newest);
	sst_cache_detach(&cache->blocks);
	port_free(cache->buckets);
	port_free(cache->dir);
	port_free(cache);
}

static OpenTable *
find(const TableCache *cache, uint64_t number)
{
	OpenTable *open = *bucket_of(cache, number);

	while (open != NULL && open->number != number)
		open = open->hash_next;
	return open;
}

static NvmkvStatus
open_table(TableCache *cache, uint64_t number, bool is_values, uint64_t file_bytes, SstTable **table_out)
{
	char path[SST_PATH_BYTES_MAX];

	NVMKV_RETURN_IF(sst_file_name(cache->dir, number, path, sizeof(path)));
	if (is_values)
		return sst_table_open_values(path, number, &cache->blocks, table_out);
	return sst_table_open(path, number, file_bytes, &cache->blocks, table_out);
}

static NvmkvStatus
get(TableCache *cache, uint64_t number, bool is_values, uint64_t file_bytes, SstTable **table_out)
{
	OpenTable *open = find(cache, number);
	NvmkvStatus status;

	*table_out = NULL;
	/* Only a reference that is wrong has made another table one of values. */
	if (open != NULL && open->is_values && !is_values)
	{
		give_up(cache, open);
		open = NULL;
	}
	if (open != NULL)
	{
		cache->stats.hits++;
		if (cache->newest != open)
		{
			unlink_by_use(cache, open);
			link_newest(cache, open);
		}
		*table_out = open->table;
		return NVMKV_OK;
	}
	while (cache->stats.open >= cache->tables_max)
		give_up(cache, cache->oldest);
	open = port_alloc_zero(sizeof(*open));
	if (open == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to open file %06" PRIu64 ".sst", number);
	status = open_table(cache, number, is_values, file_bytes, &open->table);
	if (status != NVMKV_OK)
	{
		port_free(open);
		return status;
	}
	open->number = number;
	open->is_values = is_values;
	open->hash_next = *bucket_of(cache, number);
	*bucket_of(cache, number) = open;
	link_newest(cache, open);
	cache->stats.open++;
	cache->stats.opened++;
	*table_out = open->table;
	return NVMKV_OK;
}

NvmkvStatus
table_cache_get(TableCache *cache, uint64_t number, uint64_t file_bytes, SstTable **table_out)
{
	return get(cache, number, false, file_bytes, table_out);
}

NvmkvStatus
table_cache_get_values(TableCache *cache, uint64_t number, SstTable **table_out)
{
	return get(cache, number, true, 0, table_out);
}

SstTable *
table_cache_peek(const TableCache *cache, uint64_t number)
{
	const OpenTable *open = find(cache, number);

	return open != NULL && !open->is_values ? open->table : NULL;
}

void
table_cache_evict(TableCache *cache, uint64_t number)
{
	OpenTable *open = find(cache, number);

	if (open != NULL)
		give_up(cache, open);
}

void
table_cache_retain(TableCache *cache, bool (*keep)(void *ctx, uint64_t number), void *ctx)
{
	OpenTable *open = cache->newest;

	while (open != NULL)
	{
		OpenTable *older = open->older;

		if (!keep(ctx, open->number))
			table_cache_evict(cache, open->number);
		open = older;
	}
}

void
table_cache_stats(const TableCache *cache, TableCacheStats *stats_out)
{
	*stats_out = cache->stats;
}
