/*
 * sst_table.c
 *	  Opening an SSTable and reading its blocks.
 *
 * Opening reads the file's tail in one piece; top index and properties are
 * usually in it.  They are put together as the table's head, which the cache
 * keeps for other processes as if it were a block where the file ends:
 *
 *	  head := limit u64, size of the top index u32, size of the properties u32,
 *			  top index, properties			(integers as the machine has them)
 *
 * Every block is checked against its checksum when it comes from the file; what
 * the cache holds has been checked.
 */
#include <errno.h>
#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/base/filter.h"
#include "engine/port/port_map.h"
#include "engine/sst/sst_codec.h"
#include "engine/sst/sst_table.h"

/* What opening reads at first: enough for the top index of a file of some hundred MiB. */
#define TAIL_BYTES (16 * 1024)

/* Small reads of a table by calls, before it is worth a map.  What is larger is read by a call in any case. */
#define READS_BEFORE_MAP 8
#define MAPPED_READ_BYTES_MAX (64 * 1024)

struct SstTable
{
	PortFile *file; /* NULL: not open */
	PortMap map;	/* none before so many small reads */
	unsigned small_reads;
	SstCache *cache;
	uint64_t number;
	uint64_t file_bytes;
	uint64_t limit; /* the partitions' end */
	uint64_t refs;
	SstBlockCursor top_start; /* opened over the head's top index, to be copied */
	NvmkvBuf head;
	SstProps props;
	char path[];
};

typedef struct Head
{
	uint64_t limit;
	uint32_t top_size;
	uint32_t props_size;
} Head;

const char *
sst_table_path(const SstTable *table)
{
	return table->path;
}

uint64_t
sst_table_number(const SstTable *table)
{
	return table->number;
}

const SstProps *
sst_table_props(const SstTable *table)
{
	return &table->props;
}

SstBlockCursor
sst_table_top_cursor(const SstTable *table)
{
	return table->top_start;
}

uint64_t
sst_table_limit(const SstTable *table)
{
	return table->limit;
}

NvmkvStatus
sst_table_malformed(const SstTable *table, uint64_t offset)
{
	return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: block at %" PRIu64 " is malformed though its checksum is right",
					  sst_table_path(table), offset);
}

void
sst_table_ref(SstTable *table)
{
	NVMKV_ASSERT(table->refs > 0);
	table->refs++;
}

bool
sst_table_has_file(const SstTable *table)
{
	return table->file != NULL;
}

bool
sst_table_close_file(SstTable *table)
{
	if (table->file == NULL)
		return false;
	port_files->close(table->file);
	table->file = NULL;
	return true;
}

static void
destroy_table(SstTable *table)
{
	port_map_close(&table->map);
	(void) sst_table_close_file(table);
	nvmkv_buf_free(&table->head);
	port_free(table);
}

void
sst_table_unref(SstTable *table)
{
	if (table == NULL)
		return;
	NVMKV_ASSERT(table->refs > 0);
	if (--table->refs == 0)
		destroy_table(table);
}

static NvmkvStatus
open_file(SstTable *table)
{
	NvmkvStatus status = port_files->open(table->path, PORT_FILE_READ, &table->file);

	/* NOT_FOUND would read as "no such key" further up. */
	if (status == NVMKV_NOT_FOUND)
		status = NVMKV_FAIL(NVMKV_CORRUPTION, "%s: the file is missing", table->path);
	if (status != NVMKV_OK)
		table->file = NULL;
	return status;
}

/* What is wrong with the file is found by who reads it. */
static void
map_file(SstTable *table)
{
	uint64_t bytes;

	if ((table->file != NULL || open_file(table) == NVMKV_OK) &&
		port_files->size(table->file, &bytes) == NVMKV_OK && bytes > 0)
		(void) port_map_open(&table->map, table->file, bytes);
}

/* Blocks are read through a map once there have been some.  One that has lost a page is not used any more. */
static bool
read_mapped(SstTable *table, uint64_t offset, void *data, size_t size)
{
	if (table->cache == NULL || size > MAPPED_READ_BYTES_MAX)
		return false;
	if (table->small_reads < READS_BEFORE_MAP && ++table->small_reads == READS_BEFORE_MAP)
		map_file(table);
	return table->map.base != NULL && port_map_read(&table->map, offset, data, size);
}

NvmkvStatus
sst_table_read(SstTable *table, uint64_t offset, void *data, size_t size)
{
	if (read_mapped(table, offset, data, size))
		return NVMKV_OK;
	if (table->file == NULL)
		NVMKV_RETURN_IF(open_file(table));
	return port_files->read(table->file, offset, data, size);
}

NvmkvStatus
sst_table_reread(SstTable *table, uint64_t offset, void *data, size_t size)
{
	port_map_close(&table->map);
	table->small_reads = READS_BEFORE_MAP;
	if (table->file == NULL)
		NVMKV_RETURN_IF(open_file(table));
	return port_files->read(table->file, offset, data, size);
}

NvmkvStatus
sst_table_judge(SstTable *table, NvmkvStatus status)
{
	const NvmkvError cause = *nvmkv_error();
	uint8_t footer[SST_FOOTER_BYTES];
	uint64_t bytes;

	if (status == NVMKV_OK)
		return NVMKV_OK;
	if (status == NVMKV_IO && cause.sys_errno == EIO && table->file != NULL &&
		port_files->size(table->file, &bytes) == NVMKV_OK && bytes >= sizeof(footer) &&
		sst_table_reread(table, bytes - sizeof(footer), footer, sizeof(footer)) == NVMKV_OK)
		status = NVMKV_CORRUPTION;
	return nvmkv_fail_at(status, cause.sys_errno, cause.file, cause.line, "%s", cause.text);
}

bool
sst_file_is_damaged(const char *path, uint64_t file_bytes, NvmkvStatus status)
{
	SstTable *table;
	PortFile *file;
	uint8_t first;

	if (status != NVMKV_CORRUPTION && status != NVMKV_IO)
		return false;
	status = sst_table_open(path, 0, file_bytes, NULL, &table);
	if (status == NVMKV_OK)
	{
		sst_table_unref(table);
		return false;
	}
	if (status != NVMKV_IO || nvmkv_error()->sys_errno != EIO)
		return status == NVMKV_CORRUPTION;
	if (port_files->open(path, PORT_FILE_READ, &file) != NVMKV_OK)
		return false;
	status = port_files->read(file, 0, &first, 1);
	port_files->close(file);
	return status == NVMKV_OK;
}

/* ---------------------------------------------------------------- opening */

/* Reads a block, and its trailer, to "room"; "tail" holds the file's bytes from tail_offset to its end. */
static NvmkvStatus
read_from_tail(SstTable *table, SstHandle handle, const uint8_t *tail, uint64_t tail_offset, uint8_t *room)
{
	size_t size = (size_t) handle.size + SST_TRAILER_BYTES;

	if (handle.offset >= tail_offset)
		memcpy(room, tail + (handle.offset - tail_offset), size);
	else
		NVMKV_RETURN_IF(sst_table_read(table, handle.offset, room, size));
	return sst_trailer_check(room, handle.size, table->path, handle.offset, NULL);
}

/* Makes the head from the file. */
static NvmkvStatus
read_head(SstTable *table, uint8_t *tail)
{
	size_t tail_bytes = table->file_bytes < TAIL_BYTES ? (size_t) table->file_bytes : TAIL_BYTES;
	uint64_t tail_offset = table->file_bytes - tail_bytes;
	SstFooter footer;
	size_t size;
	Head head;

	NVMKV_RETURN_IF(sst_table_read(table, tail_offset, tail, tail_bytes));
	NVMKV_RETURN_IF(sst_footer_decode(tail + tail_bytes - SST_FOOTER_BYTES, table->file_bytes, table->path, &footer));
	head.limit = footer.top.offset;
	head.top_size = footer.top.size;
	head.props_size = footer.props.size;
	size = sizeof(head) + head.top_size + head.props_size;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&table->head, size + SST_TRAILER_BYTES));
	memcpy(table->head.data, &head, sizeof(head));
	NVMKV_RETURN_IF(read_from_tail(table, footer.top, tail, tail_offset, table->head.data + sizeof(head)));
	NVMKV_RETURN_IF(read_from_tail(table, footer.props, tail, tail_offset,
								   table->head.data + sizeof(head) + head.top_size));
	table->head.size = size;
	return NVMKV_OK;
}

/* Fills in what the head says. */
static NvmkvStatus
use_head(SstTable *table)
{
	const uint8_t *top = table->head.data + sizeof(Head);
	Head head;

	memcpy(&head, table->head.data, sizeof(head));
	table->limit = head.limit;
	NVMKV_RETURN_IF(sst_props_decode(nvmkv_slice(top + head.top_size, head.props_size), table->path, &table->props));
	if (!sst_block_cursor_open(&table->top_start, top, head.top_size, NULL))
		return sst_table_malformed(table, head.limit);
	return NVMKV_OK;
}

static SstCacheKey
head_key(const SstTable *table)
{
	SstCacheKey key = {table->number, table->file_bytes, 0};

	return key;
}

/* The head as another process left it in the cache. */
static NvmkvStatus
find_head(SstTable *table, bool *found_out)
{
	SstCacheKey key = head_key(table);
	SstBlock block;

	*found_out = table->cache != NULL && sst_cache_get(table->cache, &key, &block);
	if (*found_out)
		NVMKV_RETURN_IF(nvmkv_buf_set(&table->head, nvmkv_slice(block.data, block.size)));
	return NVMKV_OK;
}

static void
leave_head(SstTable *table)
{
	SstCacheKey key = head_key(table);
	SstBlock block;
	uint8_t *room;

	if (table->cache == NULL || table->head.size > UINT32_MAX ||
		!sst_cache_reserve(table->cache, &key, (uint32_t) table->head.size, 0, &block, &room))
		return;
	memcpy(room, table->head.data, table->head.size);
	sst_cache_publish(table->cache, &key, SST_CACHE_HIGH, &block);
}

static NvmkvStatus
load_head(SstTable *table)
{
	NvmkvStatus status;
	uint8_t *tail;
	bool found;

	NVMKV_RETURN_IF(find_head(table, &found));
	if (found)
		return use_head(table);
	tail = port_alloc(TAIL_BYTES);
	if (tail == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "%s: no memory to open the table", table->path);
	status = read_head(table, tail);
	port_free(tail);
	if (status == NVMKV_OK)
		status = use_head(table);
	if (status == NVMKV_OK)
		leave_head(table);
	return status;
}

NvmkvStatus
sst_table_open_values(const char *path, uint64_t number, SstCache *cache, SstTable **table_out)
{
	size_t path_bytes = strlen(path) + 1;
	SstTable *table = port_alloc_zero(sizeof(*table) + path_bytes);

	*table_out = table;
	if (table == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "%s: no memory to open the table", path);
	memcpy(table->path, path, path_bytes);
	table->cache = cache;
	table->number = number;
	table->refs = 1;
	return NVMKV_OK;
}

NvmkvStatus
sst_table_open(const char *path, uint64_t number, uint64_t file_bytes, SstCache *cache, SstTable **table_out)
{
	NvmkvStatus status;
	SstTable *table;

	*table_out = NULL;
	if (file_bytes < SST_FOOTER_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: %" PRIu64 " bytes are too few for an SSTable", path, file_bytes);
	NVMKV_RETURN_IF(sst_table_open_values(path, number, cache, &table));
	table->file_bytes = file_bytes;
	status = load_head(table);
	if (status != NVMKV_OK)
	{
		destroy_table(table);
		return status;
	}
	*table_out = table;
	return NVMKV_OK;
}

/* ---------------------------------------------------------------- blocks */

/* Reads the block as it is stored to "room", which has room for the trailer, and checks it. */
static NvmkvStatus
read_stored(SstTable *table, SstHandle handle, uint8_t *room, unsigned *codec_out)
{
	NVMKV_RETURN_IF(sst_table_read(table, handle.offset, room, (size_t) handle.size + SST_TRAILER_BYTES));
	return sst_trailer_check(room, handle.size, table->path, handle.offset, codec_out);
}

/* Private memory for a block; the spare of the cache's handle if it will do. */
static NvmkvStatus
alloc_own(SstTable *table, size_t bytes, bool may_be_spare, SstBlock *block_out)
{
	SstCache *cache = table->cache;

	may_be_spare = may_be_spare && cache != NULL && bytes <= SST_SPARE_BYTES;
	if (may_be_spare && cache->spare != NULL)
	{
		block_out->own = cache->spare;
		cache->spare = NULL;
	}
	else
		block_out->own = port_alloc(may_be_spare ? SST_SPARE_BYTES : bytes);
	block_out->own_bytes = may_be_spare ? SST_SPARE_BYTES : (uint32_t) bytes;
	if (block_out->own == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "%s: no memory for a block of %zu bytes", table->path, bytes);
	return NVMKV_OK;
}

NvmkvStatus
sst_table_expand(SstTable *table, unsigned codec, NvmkvSlice stored, uint64_t offset, uint8_t *room, uint32_t bytes)
{
	void *context = NULL;
	NvmkvStatus status;

	if (table->cache != NULL)
		return sst_expand(codec, stored, room, bytes, &table->cache->expander, table->path, offset);
	status = sst_expand(codec, stored, room, bytes, &context, table->path, offset);
	sst_expander_free(context);
	return status;
}

/* A compressed block in private memory; *block_out is as it was at failure. */
static NvmkvStatus
expand_private(SstTable *table, unsigned codec, NvmkvSlice stored, uint64_t offset, SstBlock *block_out)
{
	SstBlock block = {0};
	NvmkvStatus status;
	uint32_t bytes;

	NVMKV_RETURN_IF(sst_expanded_bytes(stored, table->path, offset, &bytes));
	NVMKV_RETURN_IF(alloc_own(table, bytes, false, &block));
	status = sst_table_expand(table, codec, stored, offset, block.own, bytes);
	if (status != NVMKV_OK)
	{
		sst_table_release_block(table, &block);
		return status;
	}
	block.data = block.own;
	block.size = bytes;
	*block_out = block;
	return NVMKV_OK;
}

static NvmkvStatus
read_private(SstTable *table, SstHandle handle, SstBlockUse use, SstBlock *block_out)
{
	SstBlock block = {0};
	NvmkvStatus status;
	unsigned codec;

	NVMKV_RETURN_IF(alloc_own(table, (size_t) handle.size + SST_TRAILER_BYTES, use != SST_BLOCK_PRIVATE, &block));
	status = read_stored(table, handle, block.own, &codec);
	if (status == NVMKV_OK && codec == SST_CODEC_NONE)
	{
		block.data = block.own;
		block.size = handle.size;
		*block_out = block;
		return NVMKV_OK;
	}
	if (status == NVMKV_OK)
		status = expand_private(table, codec, nvmkv_slice(block.own, handle.size), handle.offset, block_out);
	sst_table_release_block(table, &block);
	return status;
}

/* A compressed block, in room of its own size in the cache if there is some. */
static NvmkvStatus
expand_to_cache(SstTable *table, const SstCacheKey *key, unsigned codec, NvmkvSlice stored, SstCachePriority priority,
				SstBlock *block_out)
{
	SstBlock block;
	NvmkvStatus status;
	uint8_t *room;
	uint32_t bytes;

	NVMKV_RETURN_IF(sst_expanded_bytes(stored, table->path, key->offset, &bytes));
	if (!sst_cache_reserve(table->cache, key, bytes, 0, &block, &room))
		return expand_private(table, codec, stored, key->offset, block_out);
	status = sst_table_expand(table, codec, stored, key->offset, room, bytes);
	if (status != NVMKV_OK)
	{
		sst_cache_cancel(table->cache, key, &block);
		return status;
	}
	sst_cache_publish(table->cache, key, priority, &block);
	*block_out = block;
	return NVMKV_OK;
}

/* Is the cache to keep a block it has not found? */
static bool
is_wanted(SstTable *table, const SstCacheKey *key, SstBlockUse use)
{
	return use == SST_BLOCK_INDEX || sst_cache_wants(table->cache, key);
}

bool
sst_table_find_block(SstTable *table, SstHandle handle, SstBlock *block_out)
{
	SstCacheKey key = {table->number, handle.offset, handle.size};

	memset(block_out, 0, sizeof(*block_out));
	return table->cache != NULL && sst_cache_get(table->cache, &key, block_out);
}

bool
sst_table_cache_has_room(const SstTable *table, SstHandle handle)
{
	SstCacheKey key = {table->number, handle.offset, handle.size};

	return table->cache != NULL && sst_cache_has_room(table->cache, &key);
}

NvmkvStatus
sst_table_load_block(SstTable *table, SstHandle handle, SstBlockUse use, SstBlock *block_out)
{
	SstCacheKey key = {table->number, handle.offset, handle.size};
	SstCachePriority priority = use == SST_BLOCK_INDEX ? SST_CACHE_HIGH : SST_CACHE_LOW;
	unsigned codec = SST_CODEC_NONE;
	NvmkvStatus status;
	SstBlock block;
	uint8_t *room;

	memset(block_out, 0, sizeof(*block_out));
	if (table->cache == NULL || use == SST_BLOCK_PRIVATE)
		return read_private(table, handle, use, block_out);
	if (!is_wanted(table, &key, use) ||
		!sst_cache_reserve(table->cache, &key, handle.size, SST_TRAILER_BYTES, &block, &room))
		return read_private(table, handle, use, block_out);
	status = read_stored(table, handle, room, &codec);
	if (status == NVMKV_OK && codec == SST_CODEC_NONE)
	{
		sst_cache_publish(table->cache, &key, priority, &block);
		*block_out = block;
		return NVMKV_OK;
	}
	if (status == NVMKV_OK)
		status = expand_to_cache(table, &key, codec, nvmkv_slice(room, handle.size), priority, block_out);
	sst_cache_cancel(table->cache, &key, &block);
	return status;
}

NvmkvStatus
sst_table_block(SstTable *table, SstHandle handle, SstBlockUse use, SstBlock *block_out)
{
	if (use != SST_BLOCK_PRIVATE && sst_table_find_block(table, handle, block_out))
		return NVMKV_OK;
	return sst_table_load_block(table, handle, use, block_out);
}

void
sst_table_release_block(SstTable *table, SstBlock *block)
{
	if (block->own != NULL)
	{
		if (table->cache != NULL && table->cache->spare == NULL && block->own_bytes == SST_SPARE_BYTES)
			table->cache->spare = block->own;
		else
			port_free(block->own);
	}
	memset(block, 0, sizeof(*block));
}

bool
sst_table_block_is_current(const SstTable *table, SstHandle handle, const SstBlock *block)
{
	SstCacheKey key = {table->number, handle.offset, handle.size};

	return block->data == NULL || block->own != NULL || sst_cache_still_has(table->cache, &key, block->data);
}

/* ---------------------------------------------------------------- searching */

NvmkvStatus
sst_table_top_handles(const SstTable *table, NvmkvSlice payload, SstHandle *index_out, SstHandle *filter_out)
{
	const uint8_t *end = payload.data + payload.size;
	const uint8_t *p;

	p = sst_handle_decode(payload.data, end, table->limit, index_out);
	if (p != NULL)
		p = sst_handle_decode(p, end, table->limit, filter_out);
	if (p != end || index_out->size == 0)
		return sst_table_malformed(table, table->limit);
	return NVMKV_OK;
}

NvmkvStatus
sst_table_data_handle(const SstTable *table, NvmkvSlice payload, SstHandle *data_out)
{
	const uint8_t *end = payload.data + payload.size;

	if (sst_handle_decode(payload.data, end, table->limit, data_out) != end || data_out->size == 0)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: an index entry does not name a block of the file", sst_table_path(table));
	return NVMKV_OK;
}

/* The partition where the newest version of "key" would be; *found_out false when key is above all. */
static NvmkvStatus
find_partition(SstTable *table, NvmkvSlice key, bool *found_out, SstHandle *index_out, SstHandle *filter_out)
{
	SstBlockCursor top = table->top_start;

	*found_out = sst_block_cursor_seek(&top, key, NVMKV_TAG_MAX);
	if (top.corrupt)
		return sst_table_malformed(table, table->limit);
	if (!*found_out)
		return NVMKV_OK;
	return sst_table_top_handles(table, top.payload, index_out, filter_out);
}

NvmkvStatus
sst_table_filter_probe(SstTable *table, SstHandle filter, uint64_t hash, bool *may_out)
{
	SstBlock block;
	NvmkvStatus status;

	*may_out = true;
	if (filter.size == 0 || filter.size % FILTER_LINE_BYTES != 0)
		return NVMKV_OK;
	status = sst_table_block(table, filter, SST_BLOCK_INDEX, &block);
	if (status != NVMKV_OK)
		return status == NVMKV_CORRUPTION ? NVMKV_OK : status;
	*may_out = filter_may_contain(block.data, block.size, hash);
	sst_table_release_block(table, &block);
	return NVMKV_OK;
}

NvmkvStatus
sst_table_may_contain(SstTable *table, NvmkvSlice key, uint64_t hash, bool *may_out)
{
	SstHandle index;
	SstHandle filter;
	bool found;

	*may_out = true;
	NVMKV_RETURN_IF(find_partition(table, key, &found, &index, &filter));
	if (!found)
	{
		*may_out = false;
		return NVMKV_OK;
	}
	return sst_table_filter_probe(table, filter, hash, may_out);
}

NvmkvStatus
sst_table_may_hold(SstTable *table, NvmkvSlice prefix, uint64_t hash, NvmkvSlice lower, NvmkvSlice upper,
				   bool *may_out)
{
	SstBlockCursor top = table->top_start;
	bool found;

	*may_out = true;
	if (prefix.size == 0 || table->props.prefix_bytes != prefix.size)
		return NVMKV_OK;

	/* A partition between two others that the range meets would be full of it: so these are few. */
	for (found = sst_block_cursor_seek(&top, lower, NVMKV_TAG_MAX); found; found = sst_block_cursor_next(&top))
	{
		SstHandle index;
		SstHandle filter;

		NVMKV_RETURN_IF(sst_table_top_handles(table, top.payload, &index, &filter));
		NVMKV_RETURN_IF(sst_table_filter_probe(table, filter, hash, may_out));
		if (*may_out)
			return NVMKV_OK;
		*may_out = true;
		if (upper.size > 0 && slice_compare(top.key, upper) >= 0)
			break;
	}
	if (top.corrupt)
		return sst_table_malformed(table, table->limit);
	*may_out = false;
	return NVMKV_OK;
}

void
sst_table_prefetch(SstTable *table, NvmkvSlice key, uint64_t hash)
{
	SstHandle index;
	SstHandle filter;
	SstBlock block;
	bool found;

	if (table->cache == NULL || find_partition(table, key, &found, &index, &filter) != NVMKV_OK || !found)
		return;
	if (filter.size != 0 && filter.size % FILTER_LINE_BYTES == 0)
	{
		SstCacheKey cache_key = {table->number, filter.offset, filter.size};

		if (sst_cache_peek(table->cache, &cache_key, &block))
			filter_prefetch(block.data, block.size, hash);
	}
}

NvmkvStatus
sst_table_offset_of(SstTable *table, NvmkvSlice key, uint64_t *offset_out)
{
	NvmkvStatus status = NVMKV_OK;
	SstBlockCursor cursor;
	SstBlock block;
	SstHandle index;
	SstHandle filter;
	SstHandle data;
	bool found;

	*offset_out = table->limit;
	NVMKV_RETURN_IF(find_partition(table, key, &found, &index, &filter));
	if (!found)
		return NVMKV_OK;
	NVMKV_RETURN_IF(sst_table_block(table, index, SST_BLOCK_INDEX, &block));
	if (!sst_block_cursor_open(&cursor, block.data, block.size, NULL) ||
		!sst_block_cursor_seek(&cursor, key, NVMKV_TAG_MAX))
		status = sst_table_malformed(table, index.offset);
	if (status == NVMKV_OK)
		status = sst_table_data_handle(table, cursor.payload, &data);
	if (status == NVMKV_OK)
		*offset_out = data.offset;
	sst_table_release_block(table, &block);
	return status;
}
