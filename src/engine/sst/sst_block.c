/*
 * sst_block.c
 *	  Building entry blocks and searching in them.
 *
 * A search finds its restart interval by bisection over whole keys, then walks
 * the interval without putting keys together: as long as only the common
 * prefix length m of the entry before and the target is known, an entry that
 * shares more than m bytes with its predecessor is on the same side of the
 * target, one that shares less is beyond it, and one that shares exactly m
 * is decided by its own bytes.  The key found starts with the target's first
 * bytes.
 */

#include "engine/base/assert.h"
#include "engine/sst/sst_block.h"

void
sst_block_builder_init(SstBlockBuilder *b, unsigned restart_interval)
{
	NVMKV_ASSERT(restart_interval >= 1 && restart_interval <= SST_RESTART_INTERVAL_MAX);
	b->restart_interval = restart_interval;
	sst_block_builder_reset(b);
}

void
sst_block_builder_free(SstBlockBuilder *b)
{
	nvmkv_buf_free(&b->bytes);
	nvmkv_buf_free(&b->restarts);
}

void
sst_block_builder_reset(SstBlockBuilder *b)
{
	b->bytes.size = 0;
	b->restarts.size = 0;
	b->since_restart = 0;
	b->entries = 0;
}

size_t
sst_block_builder_bytes(const SstBlockBuilder *b)
{
	return b->bytes.size + b->restarts.size + sizeof(uint32_t);
}

NvmkvStatus
sst_block_builder_add(SstBlockBuilder *b, NvmkvSlice key, size_t shared, uint64_t tag, NvmkvSlice payload)
{
	bool restart = b->entries == 0 || b->since_restart >= b->restart_interval;
	size_t unshared;
	uint8_t *start;
	uint8_t *p;

	NVMKV_ASSERT(shared <= key.size && (b->entries > 0 || shared == 0));
	if (restart)
		shared = 0;
	unshared = key.size - shared;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&b->bytes, SST_ENTRY_HEADER_BYTES_MAX + unshared + 8 + payload.size));
	if (restart)
	{
		uint8_t offset[4];

		put_u32(offset, (uint32_t) b->bytes.size);
		NVMKV_RETURN_IF(nvmkv_buf_append(&b->restarts, offset, sizeof(offset)));
		b->since_restart = 0;
	}
	start = p = b->bytes.data + b->bytes.size;
	p = put_varint(p, shared);
	p = put_varint(p, unshared);
	p = put_varint(p, payload.size);
	if (unshared > 0)
		memcpy(p, key.data + shared, unshared);
	p += unshared;
	put_u64(p, tag);
	p += 8;
	if (payload.size > 0)
		memcpy(p, payload.data, payload.size);
	p += payload.size;
	b->bytes.size += (size_t) (p - start);
	b->since_restart++;
	b->entries++;
	return NVMKV_OK;
}

NvmkvStatus
sst_block_builder_finish(SstBlockBuilder *b, NvmkvSlice *block_out)
{
	uint8_t count[4];

	NVMKV_ASSERT(b->entries > 0);
	put_u32(count, (uint32_t) (b->restarts.size / 4));
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&b->bytes, b->restarts.size + sizeof(count)));
	NVMKV_RETURN_IF(nvmkv_buf_append(&b->bytes, b->restarts.data, b->restarts.size));
	NVMKV_RETURN_IF(nvmkv_buf_append(&b->bytes, count, sizeof(count)));
	*block_out = nvmkv_buf_slice(&b->bytes);
	return NVMKV_OK;
}

/* Blocks with at most so many restarts have all of them fetched before bisection. */
#define RESTARTS_PREFETCHED 8

static inline uint32_t
restart_offset(const SstBlockCursor *c, uint32_t index)
{
	return get_u32(c->data + c->limit + (size_t) index * 4);
}

static bool
corrupt(SstBlockCursor *c)
{
	c->corrupt = true;
	return false;
}

bool
sst_block_cursor_open(SstBlockCursor *c, const uint8_t *data, uint32_t size, uint8_t *buffer)
{
	uint32_t count;

	c->data = NULL;
	c->corrupt = false;
	if (size < SST_ENTRY_BYTES_MIN + 8)
		return false;
	count = get_u32(data + size - 4);
	if (count == 0 || count > (size - 4 - SST_ENTRY_BYTES_MIN) / 4)
		return false;
	c->data = data;
	c->buffer = buffer;
	c->limit = size - 4 - count * 4;
	c->restart_count = count;
	c->at = c->next = c->limit;
	c->key.size = 0;
	if (restart_offset(c, 0) != 0)
	{
		c->data = NULL;
		return false;
	}
	return true;
}

/* Stands on the restart "index". */
static bool
go_to_restart(SstBlockCursor *c, uint32_t index)
{
	c->next = restart_offset(c, index);
	c->key.size = 0; /* so that only a whole key is accepted */
	if (c->next >= c->limit)
		return corrupt(c);
	return sst_block_cursor_next(c);
}

/* Key and tag stored at a restart. */
static inline bool
restart_key(const SstBlockCursor *c, uint32_t index, NvmkvSlice *key_out, uint64_t *tag_out)
{
	uint32_t offset = restart_offset(c, index);
	const uint8_t *p;
	uint32_t shared;
	uint32_t unshared;
	uint32_t payload;

	if (offset >= c->limit)
		return false;
	p = sst_entry_header(c->data + offset, c->data + c->limit, &shared, &unshared, &payload);
	if (p == NULL || shared != 0)
		return false;
	*key_out = nvmkv_slice(p, unshared);
	*tag_out = get_u64(p + unshared);
	return true;
}

/* The first restart >= (key, tag), restart_count when there is none. */
static bool
bisect_restarts(SstBlockCursor *c, NvmkvSlice key, uint64_t tag, uint32_t *index_out)
{
	uint32_t low = 0;
	uint32_t high = c->restart_count;

	/* A few cache misses at once instead of one after the other. */
	if (high <= RESTARTS_PREFETCHED)
	{
		uint32_t i;

		for (i = 0; i < high; i++)
			__builtin_prefetch(c->data + restart_offset(c, i));
	}
	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;
		NvmkvSlice at_key;
		uint64_t at_tag;

		if (!restart_key(c, middle, &at_key, &at_tag))
			return corrupt(c);
		if (ikey_compare(at_key, at_tag, key, tag) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*index_out = low;
	return true;
}

static inline size_t
common_prefix(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t i = 0;

	while (i + 8 <= n)
	{
		uint64_t x = get_u64(a + i) ^ get_u64(b + i);

		if (x != 0)
			return i + (size_t) (__builtin_ctzll(x) >> 3);
		i += 8;
	}
	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/*
 * Walks from restart "index", which is < (key, tag), to the first entry that is
 * not; "stop" is an entry's offset that is known to be none, or the limit.
 */
static bool
walk_interval(SstBlockCursor *c, uint32_t index, uint32_t stop, NvmkvSlice key, uint64_t tag)
{
	const uint8_t *end = c->data + c->limit;
	size_t before; /* size of the key before */
	size_t match;  /* what it has in common with the target */
	uint32_t offset;

	if (!go_to_restart(c, index))
		return false;
	before = c->key.size;
	match = common_prefix(c->key.data, key.data, before < key.size ? before : key.size);
	for (offset = c->next; offset < stop; offset = c->next)
	{
		uint32_t shared;
		uint32_t unshared;
		uint32_t payload;
		const uint8_t *p = sst_entry_header(c->data + offset, end, &shared, &unshared, &payload);
		uint64_t at_tag;

		if (p == NULL || shared > before)
			return corrupt(c);
		at_tag = get_u64(p + unshared);
		c->next = (uint32_t) (p - c->data) + unshared + 8 + payload;
		before = shared + unshared;
		if (shared > match)
			continue;
		if (shared == match)
		{
			size_t rest = key.size - match;
			size_t n = common_prefix(p, key.data + match, unshared < rest ? unshared : rest);

			if (n == unshared && (n < rest || at_tag > tag))
			{
				match += n;
				continue;
			}
			if (n < unshared && n < rest && p[n] < key.data[match + n])
			{
				match += n;
				continue;
			}
		}
		c->at = offset;
		if (shared == 0)
			c->key.data = p;
		else
		{
			memcpy(c->buffer, key.data, shared);
			memcpy(c->buffer + shared, p, unshared);
			c->key.data = c->buffer;
		}
		c->key.size = before;
		c->tag = at_tag;
		c->payload = nvmkv_slice(p + unshared + 8, payload);
		return true;
	}
	if (stop == c->limit)
		return false;
	c->next = stop;
	c->key.size = 0;
	return sst_block_cursor_next(c);
}

bool
sst_block_cursor_seek(SstBlockCursor *c, NvmkvSlice key, uint64_t tag)
{
	uint32_t index;

	c->corrupt = false;
	if (!bisect_restarts(c, key, tag, &index))
		return false;
	if (index == 0)
		return go_to_restart(c, 0);
	if (c->buffer == NULL)
		return index < c->restart_count && go_to_restart(c, index);
	return walk_interval(c, index - 1, index < c->restart_count ? restart_offset(c, index) : c->limit, key, tag);
}

bool
sst_block_cursor_first(SstBlockCursor *c)
{
	c->corrupt = false;
	return go_to_restart(c, 0);
}

/* Stands on the last entry before offset "end", from restart "index" on. */
static bool
go_to_last_before(SstBlockCursor *c, uint32_t index, uint32_t end)
{
	if (!go_to_restart(c, index))
		return false;
	while (c->next < end)
	{
		if (!sst_block_cursor_next(c))
			return false;
	}
	return true;
}

bool
sst_block_cursor_last(SstBlockCursor *c)
{
	c->corrupt = false;
	return go_to_last_before(c, c->restart_count - 1, c->limit);
}

bool
sst_block_cursor_prev(SstBlockCursor *c)
{
	uint32_t end = c->at;
	uint32_t low = 0;
	uint32_t high = c->restart_count;

	c->corrupt = false;
	if (end == 0)
		return false;

	/* The last restart below the entry: restart[0] is 0, which is. */
	while (high - low > 1)
	{
		uint32_t middle = low + (high - low) / 2;

		if (restart_offset(c, middle) < end)
			low = middle;
		else
			high = middle;
	}
	return go_to_last_before(c, low, end);
}
