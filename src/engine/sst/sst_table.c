/*
 * sst_table.c
 *	  Opening an SSTable and reading its blocks.
 *
 * Opening reads the file's tail in one piece; top index and properties are
 * usually in it.  Every block is checked against its checksum when it comes
 * from the file; what the cache holds has been checked.
 */
#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/base/filter.h"
#include "engine/sst/sst_table.h"

/* What opening reads at first: enough for the top index of a file of some hundred MiB. */
#define TAIL_BYTES (16 * 1024)

struct SstTable
{
	PortFile *file;
	SstCache *cache;
	uint64_t number;
	uint64_t file_bytes;
	uint64_t limit; /* the partitions' end */
	uint64_t refs;
	SstBlockCursor top_start; /* opened over "top", to be copied */
	NvmkvBuf top;
	NvmkvBuf props_bytes;
	SstProps props;
};

uint64_t
sst_table_number(const SstTable *table)
{
	return table->number;
}

const char *
sst_table_path(const SstTable *table)
{
	return port_file_path(table->file);
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

PortFile *
sst_table_file(const SstTable *table)
{
	return table->file;
}

SstCache *
sst_table_cache(const SstTable *table)
{
	return table->cache;
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

static void
destroy_table(SstTable *table)
{
	if (table->file != NULL)
		port_files->close(table->file);
	nvmkv_buf_free(&table->top);
	nvmkv_buf_free(&table->props_bytes);
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

/* A block kept for the table's life; "tail" holds the file's bytes from tail_offset to its end. */
static NvmkvStatus
read_resident(SstTable *table, SstHandle handle, const uint8_t *tail, uint64_t tail_offset, NvmkvBuf *block_out)
{
	size_t size = (size_t) handle.size + SST_TRAILER_BYTES;

	NVMKV_RETURN_IF(nvmkv_buf_reserve(block_out, size));
	if (handle.offset >= tail_offset)
		memcpy(block_out->data, tail + (handle.offset - tail_offset), size);
	else
		NVMKV_RETURN_IF(port_files->read(table->file, handle.offset, block_out->data, size));
	NVMKV_RETURN_IF(sst_trailer_check(block_out->data, handle.size, sst_table_path(table), handle.offset));
	block_out->size = handle.size;
	return NVMKV_OK;
}

static NvmkvStatus
load_tail(SstTable *table, uint8_t *tail)
{
	const char *path = sst_table_path(table);
	size_t tail_bytes = table->file_bytes < TAIL_BYTES ? (size_t) table->file_bytes : TAIL_BYTES;
	uint64_t tail_offset = table->file_bytes - tail_bytes;
	SstFooter footer;

	NVMKV_RETURN_IF(port_files->read(table->file, tail_offset, tail, tail_bytes));
	NVMKV_RETURN_IF(sst_footer_decode(tail + tail_bytes - SST_FOOTER_BYTES, table->file_bytes, path, &footer));
	NVMKV_RETURN_IF(read_resident(table, footer.top, tail, tail_offset, &table->top));
	NVMKV_RETURN_IF(read_resident(table, footer.props, tail, tail_offset, &table->props_bytes));
	NVMKV_RETURN_IF(sst_props_decode(nvmkv_buf_slice(&table->props_bytes), path, &table->props));
	if (!sst_block_cursor_open(&table->top_start, table->top.data, (uint32_t) table->top.size, NULL))
		return sst_table_malformed(table, footer.top.offset);
	table->limit = footer.top.offset;
	return NVMKV_OK;
}

NvmkvStatus
sst_table_open(const char *path, uint64_t number, uint64_t file_bytes, SstCache *cache, SstTable **table_out)
{
	NvmkvStatus status;
	SstTable *table;
	uint8_t *tail;

	*table_out = NULL;
	if (file_bytes < SST_FOOTER_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: %" PRIu64 " bytes are too few for an SSTable", path, file_bytes);
	table = port_alloc_zero(sizeof(*table));
	tail = port_alloc(TAIL_BYTES);
	if (table == NULL || tail == NULL)
	{
		port_free(table);
		port_free(tail);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "%s: no memory to open the table", path);
	}
	table->cache = cache;
	table->number = number;
	table->file_bytes = file_bytes;
	table->refs = 1;
	status = port_files->open(path, PORT_FILE_READ, &table->file);

	/* NOT_FOUND would read as "no such key" further up. */
	if (status == NVMKV_NOT_FOUND)
		status = NVMKV_FAIL(NVMKV_CORRUPTION, "%s: the file is missing", path);
	if (status == NVMKV_OK)
		status = load_tail(table, tail);
	port_free(tail);
	if (status != NVMKV_OK)
	{
		destroy_table(table);
		return status;
	}
	*table_out = table;
	return NVMKV_OK;
}

/* Without a cache a block is an allocation of its own. */
static NvmkvStatus
alloc_block(SstTable *table, uint32_t size, SstCacheBlock **block_out, uint8_t **room_out)
{
	SstCacheBlock *block;

	if (table->cache != NULL)
		return sst_cache_alloc(table->cache, size, SST_TRAILER_BYTES, block_out, room_out);
	*block_out = NULL;
	block = port_alloc(sizeof(*block) + size + SST_TRAILER_BYTES);
	if (block == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "%s: no memory for a block of %u bytes", sst_table_path(table), (unsigned) size);
	*room_out = (uint8_t *) (block + 1);
	block->data = *room_out;
	block->size = size;
	*block_out = block;
	return NVMKV_OK;
}

void
sst_table_release_block(SstTable *table, SstCacheBlock *block)
{
	if (table->cache != NULL)
		sst_cache_unpin(table->cache, block);
	else
		port_free(block);
}

NvmkvStatus
sst_table_block(SstTable *table, SstHandle handle, SstCachePriority priority, SstCacheBlock **block_out)
{
	NvmkvStatus status;
	SstCacheBlock *block = NULL;
	uint8_t *room;

	*block_out = NULL;
	if (table->cache != NULL)
		block = sst_cache_get(table->cache, table->number, handle.offset);
	if (block != NULL)
	{
		if (block->size != handle.size)
		{
			sst_table_release_block(table, block);
			return NVMKV_FAIL(NVMKV_CORRUPTION, "%s: the index names the block at %" PRIu64 " with different sizes",
							  sst_table_path(table), handle.offset);
		}
		*block_out = block;
		return NVMKV_OK;
	}
	NVMKV_RETURN_IF(alloc_block(table, handle.size, &block, &room));
	status = port_files->read(table->file, handle.offset, room, (size_t) handle.size + SST_TRAILER_BYTES);
	if (status == NVMKV_OK)
		status = sst_trailer_check(room, handle.size, sst_table_path(table), handle.offset);
	if (status != NVMKV_OK)
	{
		sst_table_release_block(table, block);
		return status;
	}
	if (table->cache != NULL)
		block = sst_cache_insert(table->cache, block, table->number, handle.offset, priority);
	*block_out = block;
	return NVMKV_OK;
}

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
	SstCacheBlock *block;

	*may_out = true;
	if (filter.size == 0)
		return NVMKV_OK;
	if (filter.size % FILTER_LINE_BYTES != 0)
		return sst_table_malformed(table, filter.offset);
	NVMKV_RETURN_IF(sst_table_block(table, filter, SST_CACHE_HIGH, &block));
	*may_out = filter_may_contain(block->data, block->size, hash);
	sst_table_release_block(table, block);
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
sst_table_offset_of(SstTable *table, NvmkvSlice key, uint64_t *offset_out)
{
	NvmkvStatus status = NVMKV_OK;
	SstBlockCursor cursor;
	SstCacheBlock *block;
	SstHandle index;
	SstHandle filter;
	SstHandle data;
	bool found;

	*offset_out = table->limit;
	NVMKV_RETURN_IF(find_partition(table, key, &found, &index, &filter));
	if (!found)
		return NVMKV_OK;
	NVMKV_RETURN_IF(sst_table_block(table, index, SST_CACHE_HIGH, &block));
	if (!sst_block_cursor_open(&cursor, block->data, block->size, NULL) ||
		!sst_block_cursor_seek(&cursor, key, NVMKV_TAG_MAX))
		status = sst_table_malformed(table, index.offset);
	if (status == NVMKV_OK)
		status = sst_table_data_handle(table, cursor.payload, &data);
	if (status == NVMKV_OK)
		*offset_out = data.offset;
	sst_table_release_block(table, block);
	return status;
}
