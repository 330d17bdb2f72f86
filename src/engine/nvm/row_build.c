/*
 * row_build.c
 *	  Building a row from entries that come in order.
 *
 * Used by one flush in one process; the only shared thing it touches is the
 * pool's bitmap.  Data goes through a window of 256 KiB of process memory to
 * the medium while the entries come, so that the medium writes in large
 * pieces; extents are taken one by one as the data grows, and those of index
 * and filter at finish, all or nothing.  Elements, fences and hashes wait in
 * process memory, since their place is known only when the data ends.
 *
 * Hints are built by a cursor into the older row that moves forwards with the
 * entries: one merge.  They are an aid: when the older row cannot be read, the
 * new one is built without hints (older row identifier 0) rather than not at
 * all.
 *
 * Publishing, with what a crash after each step leaves:
 *	 1 data, index, directory, filter, list copied and persisted
 *	   ("row.data_persisted"): nothing names the extents, recovery finds them free
 *	 2 header copied and persisted ("row.header_persisted"): the same
 *	 3 the caller's manifest edit: the row exists, whole
 */
#include "engine/nvm/row_access.h"

#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/base/crc32c.h"
#include "engine/base/filter.h"
#include "engine/base/options.h"

#define WINDOW_BYTES (256 * 1024)
#define BLOCK_KEY_BYTES 8192 /* room for a block's keys to begin with */
#define HINT_STEPS 8         /* elements looked at one by one before a search */

_Static_assert(NVM_EXTENT_BYTES % WINDOW_BYTES == 0, "a window is within one extent");

/* A growing array in process memory. */
typedef struct Array
{
	uint8_t *data;
	uint64_t bytes;
	uint64_t capacity;
} Array;

typedef struct BlockPlan
{
	uint64_t fence_at; /* in fence_keys */
	uint64_t tag;
	uint32_t crc;
	uint16_t fence_bytes;
	uint16_t skip;
} BlockPlan;

struct NvmRowBuilder
{
	NvmPool *pool;
	unsigned bloom_bits_per_key;
	unsigned prefix_bytes; /* in the filter */
	NvmkvStatus failed; /* first failure; the row cannot be finished then */
	bool finished;
	bool kept;

	/* Hints. */
	bool has_older;
	NvmRowRef older;
	uint64_t older_index;

	/* Data: logical bytes [0, position) are decided, [flushed, position) are still in the window. */
	Array extents; /* uint32_t */
	uint8_t *window;
	uint64_t position;
	uint64_t flushed;

	/* Index. */
	Array elements;
	Array blocks;        /* BlockPlan */
	Array fence_keys;    /* bytes, back to back */
	Array hashes;        /* uint64_t, one a user key, one a run of equal prefixes */
	NvmkvBuf block_keys; /* keys of the block that is being filled */
	uint32_t block_key_ends[NVM_ROW_BLOCK_ENTRIES];
	uint64_t block_first_tag;
	NvmkvBuf before_block; /* last user key of the block before */
	NvmkvBuf last_key;
	uint64_t last_tag;

	NvmRowBuilt built;
};

/* ---- process memory ---- */

static NvmkvStatus
array_grow(Array *array, uint64_t extra)
{
	uint64_t capacity = array->capacity;
	uint8_t *data;

	if (array->capacity - array->bytes >= extra)
		return NVMKV_OK;
	if (capacity < 4096)
		capacity = 4096;
	while (capacity - array->bytes < extra)
		capacity *= 2;
	data = port_realloc(array->data, (size_t) capacity);
	if (data == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to build a row: %" PRIu64 " bytes", capacity);
	array->data = data;
	array->capacity = capacity;
	return NVMKV_OK;
}

static NvmkvStatus
array_append(Array *array, const void *data, size_t size)
{
	NVMKV_RETURN_IF(array_grow(array, size));
	if (size > 0)
		memcpy(array->data + array->bytes, data, size);
	array->bytes += size;
	return NVMKV_OK;
}

static uint32_t
extent_count(const NvmRowBuilder *b)
{
	return (uint32_t) (b->extents.bytes / sizeof(uint32_t));
}

static uint32_t *
extent_list(const NvmRowBuilder *b)
{
	return (uint32_t *) (void *) b->extents.data;
}

/* The memory is port_realloc's and so aligned for any type. */
static BlockPlan *
block_plan(const NvmRowBuilder *b, uint64_t block)
{
	return (BlockPlan *) (void *) b->blocks.data + block;
}

/* ---- to the medium ---- */

/* The row has at least "count" extents after this. */
static NvmkvStatus
ensure_extents(NvmRowBuilder *b, uint64_t count)
{
	uint32_t have = extent_count(b);
	uint32_t more;

	if (count <= have)
		return NVMKV_OK;
	if (count - have > b->pool->extent_count)
		return NVMKV_FAIL(NVMKV_NO_SPACE, "pool \"%s\" has %u extents, a row needs %" PRIu64, b->pool->dev->path, b->pool->extent_count, count);
	more = (uint32_t) (count - have);
	NVMKV_RETURN_IF(array_grow(&b->extents, (uint64_t) more * sizeof(uint32_t)));
	NVMKV_RETURN_IF(nvm_pool_take(b->pool, more, extent_list(b) + have));
	b->extents.bytes += (uint64_t) more * sizeof(uint32_t);
	return NVMKV_OK;
}

/* Copies to logical bytes that have their extents. */
static void
copy_in(NvmRowBuilder *b, uint64_t offset, const void *data, uint64_t size)
{
	const uint8_t *p = data;

	b->built.nvm_bytes += size;
	while (size > 0)
	{
		uint64_t piece = nvm_row_piece(offset, size);
		uint64_t at = nvm_extent_offset(extent_list(b)[offset >> NVM_EXTENT_SHIFT]) + (offset & (NVM_EXTENT_BYTES - 1));

		b->pool->dev->ops->copy(b->pool->dev, at, p, (size_t) piece);
		p += piece;
		offset += piece;
		size -= piece;
	}
}

/* What the window holds goes out; position stays. */
static NvmkvStatus
flush_window(NvmRowBuilder *b)
{
	if (b->flushed == b->position)
		return NVMKV_OK;
	NVMKV_RETURN_IF(ensure_extents(b, ((b->position - 1) >> NVM_EXTENT_SHIFT) + 1));
	copy_in(b, b->flushed, b->window + (b->flushed & (WINDOW_BYTES - 1)), b->position - b->flushed);
	b->flushed = b->position;
	return NVMKV_OK;
}

/* Appends to the data region; data NULL means zeros. */
static NvmkvStatus
put(NvmRowBuilder *b, const void *data, uint64_t size)
{
	const uint8_t *p = data;

	while (size > 0)
	{
		uint64_t at = b->position & (WINDOW_BYTES - 1);
		uint64_t piece = WINDOW_BYTES - at;

		if (piece > size)
			piece = size;
		if (p != NULL)
		{
			memcpy(b->window + at, p, (size_t) piece);
			p += piece;
		}
		else
			memset(b->window + at, 0, (size_t) piece);
		b->position += piece;
		size -= piece;
		if ((b->position & (WINDOW_BYTES - 1)) == 0)
			NVMKV_RETURN_IF(flush_window(b));
	}
	return NVMKV_OK;
}

/* Everything copied so far is durable on OK.  Neighbouring extents are one range. */
static NvmkvStatus
persist_extents(NvmRowBuilder *b, uint64_t row_bytes)
{
	const uint32_t *list = extent_list(b);
	uint32_t count = extent_count(b);
	uint32_t from = 0;

	while (from < count)
	{
		uint32_t to = from + 1;
		uint64_t bytes;

		while (to < count && list[to] == list[to - 1] + 1)
			to++;
		bytes = (uint64_t) (to - from) << NVM_EXTENT_SHIFT;
		if (to == count)
			bytes -= ((uint64_t) count << NVM_EXTENT_SHIFT) - row_bytes;
		NVMKV_RETURN_IF(b->pool->dev->ops->persist(b->pool->dev, nvm_extent_offset(list[from]), bytes));
		from = to;
	}
	return NVMKV_OK;
}

/* ---- hints ---- */

/* Moves the cursor to the first entry of the older row that is >= (key, tag). */
static NvmkvStatus
advance_hint(NvmRowBuilder *b, NvmkvSlice key, uint64_t tag)
{
	const NvmRowRef *older = &b->older;
	uint64_t left = b->older_index;
	uint64_t right = left + HINT_STEPS < older->entries ? left + HINT_STEPS : older->entries;

	/* Rows of equal size over the same keys move one or two steps an entry; others leap. */
	NVMKV_RETURN_IF(nvm_row_lower_bound(b->pool, older, key, tag, left, right, &b->older_index));
	if (b->older_index == right && right < older->entries)
		NVMKV_RETURN_IF(nvm_row_lower_bound(b->pool, older, key, tag, right, older->entries, &b->older_index));
	return NVMKV_OK;
}

static uint32_t
next_hint(NvmRowBuilder *b, NvmkvSlice key, uint64_t tag)
{
	uint64_t i;

	if (!b->has_older)
		return 0;
	if (advance_hint(b, key, tag) != NVMKV_OK)
	{
		port_log(PORT_LOG_WARNING, "row %" PRIu64 " is built without hints: %s", b->built.ref.row_id, nvmkv_error()->text);
		b->has_older = false;
		b->built.ref.older_row_id = 0;
		for (i = 0; i < b->built.ref.entries; i++)
			put_u32(b->elements.data + i * NVM_ROW_ELEMENT_BYTES + NVM_ROW_ELEMENT_HINT, 0);
		return 0;
	}
	return (uint32_t) b->older_index;
}

/* ---- index ---- */

static size_t
shared_bytes(NvmkvSlice a, NvmkvSlice b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	size_t i = 0;

	while (i < n && a.data[i] == b.data[i])
		i++;
	return i;
}

static NvmkvSlice
block_key(const NvmRowBuilder *b, uint64_t i)
{
	uint32_t from = i == 0 ? 0 : b->block_key_ends[i - 1];

	return nvmkv_slice(b->block_keys.data + from, b->block_key_ends[i] - from);
}

/* Settles skip, prefixes and fence of the block that ends with the last entry. */
static NvmkvStatus
close_block(NvmRowBuilder *b)
{
	uint64_t block = b->blocks.bytes / sizeof(BlockPlan);
	uint64_t first_index = block << NVM_ROW_BLOCK_SHIFT;
	uint64_t count = b->built.ref.entries - first_index;
	uint8_t *elements = b->elements.data + first_index * NVM_ROW_ELEMENT_BYTES;
	NvmkvSlice first = block_key(b, 0);
	NvmkvSlice before = nvmkv_buf_slice(&b->before_block);
	BlockPlan plan = {0};
	size_t skip = shared_bytes(first, block_key(b, count - 1));
	size_t fence_bytes = 0;
	uint64_t i;

	plan.tag = NVMKV_TAG_MAX;
	if (block > 0)
	{
		if (slice_equal(before, first))
		{
			plan.tag = b->block_first_tag;
			fence_bytes = first.size;
		}
		else
			fence_bytes = shared_bytes(before, first) + 1;
	}
	if (fence_bytes < skip)
		fence_bytes = skip;
	for (i = 0; i < count; i++)
	{
		NvmkvSlice key = block_key(b, i);

		put_u64(elements + i * NVM_ROW_ELEMENT_BYTES + NVM_ROW_ELEMENT_PREFIX,
				nvm_row_prefix(key.data, key.size, skip));
	}
	NVMKV_ASSERT(fence_bytes <= first.size && first.size <= UINT16_MAX);
	plan.skip = (uint16_t) skip;
	plan.fence_bytes = (uint16_t) fence_bytes;
	plan.fence_at = b->fence_keys.bytes;
	plan.crc = crc32c_mask(crc32c(elements, (size_t) (count * NVM_ROW_ELEMENT_BYTES)));
	NVMKV_RETURN_IF(array_append(&b->fence_keys, first.data, fence_bytes));
	NVMKV_RETURN_IF(array_append(&b->blocks, &plan, sizeof(plan)));
	NVMKV_RETURN_IF(nvmkv_buf_set(&b->before_block, block_key(b, count - 1)));
	b->block_keys.size = 0;
	return NVMKV_OK;
}

static NvmkvStatus
add_to_index(NvmRowBuilder *b, NvmkvSlice key, uint64_t tag, uint64_t offset, uint32_t hint)
{
	uint64_t slot = b->built.ref.entries & (NVM_ROW_BLOCK_ENTRIES - 1);
	uint8_t element[NVM_ROW_ELEMENT_BYTES] = {0};

	if (slot == 0)
		b->block_first_tag = tag;
	put_u32(element + NVM_ROW_ELEMENT_DATA, (uint32_t) offset);
	put_u32(element + NVM_ROW_ELEMENT_HINT, hint);
	NVMKV_RETURN_IF(array_append(&b->elements, element, sizeof(element)));
	NVMKV_RETURN_IF(nvmkv_buf_append(&b->block_keys, key.data, key.size));
	b->block_key_ends[slot] = (uint32_t) b->block_keys.size;
	b->built.ref.entries++;
	return slot == NVM_ROW_BLOCK_ENTRIES - 1 ? close_block(b) : NVMKV_OK;
}

/* ---- adding ---- */

static NvmkvStatus
put_entry(NvmRowBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice payload, uint64_t *offset_out)
{
	uint8_t head[NVM_ROW_ENTRY_HEAD_MAX];
	uint8_t *p = put_varint(put_varint(head + 4, key.size), payload.size);
	uint64_t bytes;
	uint64_t room;
	uint32_t crc;
	size_t head_bytes;

	put_u64(p, tag);
	head_bytes = (size_t) (p + 8 - head);
	bytes = head_bytes + key.size + payload.size;
	room = NVM_EXTENT_BYTES - (b->position & (NVM_EXTENT_BYTES - 1));
	if (bytes > room && bytes <= NVM_ROW_UNSPLIT_BYTES_MAX)
		NVMKV_RETURN_IF(put(b, NULL, room));
	if (b->position + bytes > UINT32_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "row %" PRIu64 " would pass 4 GiB", b->built.ref.row_id);

	crc = crc32c_extend(nvm_row_entry_seed(b->built.ref.row_id, b->position), head + 4, head_bytes - 4);
	crc = crc32c_extend(crc, key.data, key.size);
	crc = crc32c_extend(crc, payload.data, payload.size);
	put_u32(head, crc32c_mask(crc));
	*offset_out = b->position;
	NVMKV_RETURN_IF(put(b, head, head_bytes));
	NVMKV_RETURN_IF(put(b, key.data, key.size));
	return put(b, payload.data, payload.size);
}

static void
count_entry(NvmRowBuilt *built, NvmkvSlice key, uint64_t tag, const NvmkvTxnTag *txn, NvmkvSlice value)
{
	uint64_t sequence = ikey_sequence(tag);

	if (built->ref.entries == 0 || sequence < built->min_sequence)
		built->min_sequence = sequence;
	if (sequence > built->max_sequence)
		built->max_sequence = sequence;
	if (ikey_is_tagged(tag) && (tag & NVMKV_TYPE_COMMITTED_BIT) == 0 &&
		(built->min_unresolved_fxid == 0 || txn->fxid < built->min_unresolved_fxid))
		built->min_unresolved_fxid = txn->fxid;
	built->user_bytes += key.size + value.size;
}

/* Has the key, larger than the last, another prefix? */
static bool
begins_prefix(const NvmRowBuilder *b, NvmkvSlice key)
{
	return b->prefix_bytes > 0 && key.size >= b->prefix_bytes &&
		(b->last_key.size < b->prefix_bytes || memcmp(key.data, b->last_key.data, b->prefix_bytes) != 0);
}

static NvmkvStatus
add(NvmRowBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	bool first = b->built.ref.entries == 0;
	NvmkvSlice last = nvmkv_buf_slice(&b->last_key);
	int c = first ? -1 : slice_compare(last, key);
	NvmkvTxnTag txn = {0};
	NvmkvSlice value = {0};
	uint64_t offset = 0;

	if (c > 0 || (c == 0 && tag >= b->last_tag))
		return NVMKV_FAIL(NVMKV_INVALID, "row %" PRIu64 ": entry %" PRIu64 " is not after the one before", b->built.ref.row_id, b->built.ref.entries);
	if (key.size > NVMKV_KEY_BYTES_MAX || payload.size > NVMKV_VALUE_BYTES_MAX + NVMKV_TXN_TAG_BYTES)
		return NVMKV_FAIL(NVMKV_LIMIT, "row %" PRIu64 ": key of %zu bytes with %zu bytes of value", b->built.ref.row_id, key.size, payload.size);
	if (!ikey_type_is_valid(ikey_type(tag)))
		return NVMKV_FAIL(NVMKV_INVALID, "row %" PRIu64 ": no such entry type: %02x", b->built.ref.row_id, ikey_type(tag));
	if (b->built.ref.entries == UINT32_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "row %" PRIu64 " would have more than 2^32 - 1 entries", b->built.ref.row_id);
	NVMKV_RETURN_IF(ikey_split_payload(tag, payload, &txn, &value));

	if (c != 0)
	{
		if (b->bloom_bits_per_key > 0)
		{
			uint64_t hash = filter_hash(key);

			NVMKV_RETURN_IF(array_append(&b->hashes, &hash, sizeof(hash)));
			if (begins_prefix(b, key))
			{
				hash = filter_prefix_hash(nvmkv_slice(key.data, b->prefix_bytes));
				NVMKV_RETURN_IF(array_append(&b->hashes, &hash, sizeof(hash)));
			}
		}
		if (first)
			NVMKV_RETURN_IF(nvmkv_buf_set(&b->built.smallest, key));
		NVMKV_RETURN_IF(nvmkv_buf_set(&b->last_key, key));
	}
	b->last_tag = tag;
	NVMKV_RETURN_IF(put_entry(b, key, tag, payload, &offset));
	count_entry(&b->built, key, tag, &txn, value);
	return add_to_index(b, key, tag, offset, next_hint(b, key, tag));
}

NvmkvStatus
nvm_row_builder_add(NvmRowBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	NVMKV_ASSERT(!b->finished);
	if (b->failed == NVMKV_OK)
		b->failed = add(b, key, tag, payload);
	return b->failed;
}

/* ---- finishing ---- */

/* Directory and fences, ready to be copied to their place, which starts at directory_offset. */
static NvmkvStatus
build_directory(NvmRowBuilder *b, uint64_t data_bytes, size_t row_skip, Array *out)
{
	uint64_t entries = b->built.ref.entries;
	uint64_t directory_offset = nvm_row_directory_offset(data_bytes, entries);
	uint64_t records = nvm_row_records_offset(data_bytes, entries) - directory_offset;
	uint64_t crcs = nvm_row_crcs_offset(data_bytes, entries) - directory_offset;
	uint64_t fences = nvm_row_fence_offset(data_bytes, entries) - directory_offset;
	uint64_t i;

	NVMKV_RETURN_IF(array_grow(out, fences));
	memset(out->data, 0, (size_t) fences);
	out->bytes = fences;
	for (i = 0; i < nvm_row_blocks(entries); i++)
	{
		const BlockPlan *plan = block_plan(b, i);
		const uint8_t *key = plan->fence_bytes > 0 ? b->fence_keys.data + plan->fence_at : NULL;
		uint64_t room = NVM_EXTENT_BYTES - ((directory_offset + out->bytes) & (NVM_EXTENT_BYTES - 1));
		uint8_t *record;

		if (plan->fence_bytes > room)
		{
			NVMKV_RETURN_IF(array_grow(out, room));
			memset(out->data + out->bytes, 0, (size_t) room);
			out->bytes += room;
		}
		put_u64(out->data + i * 8, nvm_row_prefix(key, plan->fence_bytes, row_skip));
		put_u32(out->data + crcs + i * 4, plan->crc);
		record = out->data + records + i * NVM_ROW_RECORD_BYTES;
		put_u64(record + NVM_ROW_RECORD_TAG, plan->tag);
		put_u32(record + NVM_ROW_RECORD_FENCE, (uint32_t) (out->bytes - fences));
		put_u16(record + NVM_ROW_RECORD_FENCE_BYTES, plan->fence_bytes);
		put_u16(record + NVM_ROW_RECORD_SKIP, plan->skip);
		NVMKV_RETURN_IF(array_append(out, key, plan->fence_bytes));
	}
	return NVMKV_OK;
}

static NvmkvStatus
build_filter(const NvmRowBuilder *b, Array *out)
{
	uint64_t keys = b->hashes.bytes / sizeof(uint64_t);
	size_t bytes = filter_bytes(keys, b->bloom_bits_per_key);
	uint64_t lines = bytes / NVM_ROW_LINE_BYTES;
	uint64_t i;

	if (bytes == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(array_grow(out, bytes));
	memset(out->data, 0, bytes);
	out->bytes = bytes;
	for (i = 0; i < keys; i++)
	{
		uint64_t hash;

		memcpy(&hash, b->hashes.data + i * sizeof(hash), sizeof(hash));
		filter_add(out->data + ((hash >> 32) * lines >> 32) * NVM_ROW_LINE_BYTES, NVM_ROW_LINE_BYTES, hash);
	}
	return NVMKV_OK;
}

static uint32_t
masked_crc(const Array *array)
{
	return crc32c_mask(crc32c(array->data, (size_t) array->bytes));
}

/* Step 1; fills the header. */
static NvmkvStatus
write_regions(NvmRowBuilder *b, Array *directory, Array *filter, Array *list, uint8_t *header)
{
	NvmRowBuilt *built = &b->built;
	uint64_t data_bytes = b->position - NVM_ROW_HEADER_BYTES;
	uint64_t index_offset = nvm_row_index_offset(data_bytes);
	uint64_t directory_offset = nvm_row_directory_offset(data_bytes, built->ref.entries);
	size_t row_skip = shared_bytes(nvmkv_buf_slice(&built->smallest), nvmkv_buf_slice(&b->last_key));
	uint64_t filter_offset;
	uint64_t list_offset;
	uint64_t count;
	uint64_t fill;
	uint32_t i;

	NVMKV_RETURN_IF(put(b, NULL, index_offset - b->position));
	NVMKV_RETURN_IF(flush_window(b));
	NVMKV_RETURN_IF(build_directory(b, data_bytes, row_skip, directory));
	NVMKV_RETURN_IF(build_filter(b, filter));
	filter_offset = nvm_row_align(directory_offset + directory->bytes, NVM_ROW_LINE_BYTES);
	list_offset = filter_offset + filter->bytes;

	/* The list is in the row it lists. */
	count = (list_offset >> NVM_EXTENT_SHIFT) + 1;
	while (list_offset + count * 4 > count << NVM_EXTENT_SHIFT)
		count++;
	NVMKV_RETURN_IF(ensure_extents(b, count));
	count = extent_count(b);
	NVMKV_RETURN_IF(array_grow(list, count * 4));
	for (i = 0; i < count; i++)
		put_u32(list->data + (uint64_t) i * 4, extent_list(b)[i]);
	list->bytes = count * 4;

	fill = directory_offset - index_offset - b->elements.bytes;
	NVMKV_RETURN_IF(array_grow(&b->elements, fill));
	memset(b->elements.data + b->elements.bytes, 0, (size_t) fill);
	copy_in(b, index_offset, b->elements.data, b->elements.bytes + fill);
	copy_in(b, directory_offset, directory->data, directory->bytes);
	copy_in(b, filter_offset, filter->data, filter->bytes);
	copy_in(b, list_offset, list->data, list->bytes);
	NVMKV_RETURN_IF(nvm_pool_note_row(b->pool, built->ref.row_id));
	NVMKV_RETURN_IF(persist_extents(b, list_offset + list->bytes));

	built->ref.data_bytes = data_bytes;
	built->ref.extents = extent_list(b);
	built->ref.extent_count = (uint32_t) count;
	put_u64(header + NVM_ROW_OFFSET_MAGIC, NVM_ROW_MAGIC);
	put_u32(header + NVM_ROW_OFFSET_FORMAT, NVM_ROW_FORMAT);
	put_u16(header + NVM_ROW_OFFSET_SKIP, (uint16_t) row_skip);
	put_u16(header + NVM_ROW_OFFSET_PREFIX_BYTES, (uint16_t) b->prefix_bytes);
	put_u64(header + NVM_ROW_OFFSET_FILTER, filter_offset);
	put_u64(header + NVM_ROW_OFFSET_FILTER_BYTES, filter->bytes);
	put_u64(header + NVM_ROW_OFFSET_FENCE_BYTES,
			directory->bytes - (nvm_row_fence_offset(data_bytes, built->ref.entries) - directory_offset));
	put_u64(header + NVM_ROW_OFFSET_ROW_ID, built->ref.row_id);
	put_u64(header + NVM_ROW_OFFSET_POOL_ID, b->pool->pool_id);
	put_u64(header + NVM_ROW_OFFSET_ENTRIES, built->ref.entries);
	put_u64(header + NVM_ROW_OFFSET_DATA_BYTES, data_bytes);
	put_u64(header + NVM_ROW_OFFSET_OLDER_ROW_ID, built->ref.older_row_id);
	put_u64(header + NVM_ROW_OFFSET_MIN_SEQUENCE, built->min_sequence);
	put_u64(header + NVM_ROW_OFFSET_MAX_SEQUENCE, built->max_sequence);
	put_u64(header + NVM_ROW_OFFSET_MIN_FXID, built->min_unresolved_fxid);
	put_u64(header + NVM_ROW_OFFSET_USER_BYTES, built->user_bytes);
	put_u64(header + NVM_ROW_OFFSET_LIST, list_offset);
	put_u32(header + NVM_ROW_OFFSET_EXTENTS, (uint32_t) count);
	put_u32(header + NVM_ROW_OFFSET_DIRECTORY_CRC, masked_crc(directory));
	put_u32(header + NVM_ROW_OFFSET_FILTER_CRC, masked_crc(filter));
	put_u32(header + NVM_ROW_OFFSET_LIST_CRC, masked_crc(list));
	put_u32(header + NVM_ROW_OFFSET_CRC, crc32c_mask(crc32c(header, NVM_ROW_OFFSET_CRC)));
	return port_fault("row.data_persisted");
}

/* Step 2. */
static NvmkvStatus
write_header(NvmRowBuilder *b, const uint8_t *header)
{
	NvmDevice *dev = b->pool->dev;

	copy_in(b, 0, header, NVM_ROW_HEADER_BYTES);
	NVMKV_RETURN_IF(dev->ops->persist(dev, nvm_extent_offset(b->built.ref.extents[0]), NVM_ROW_HEADER_BYTES));
	return port_fault("row.header_persisted");
}

static NvmkvStatus
finish(NvmRowBuilder *b)
{
	uint8_t header[NVM_ROW_HEADER_BYTES] = {0};
	Array directory = {0};
	Array filter = {0};
	Array list = {0};
	NvmkvStatus status = NVMKV_OK;

	if (b->built.ref.entries == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "row %" PRIu64 " would be empty", b->built.ref.row_id);
	if ((b->built.ref.entries & (NVM_ROW_BLOCK_ENTRIES - 1)) != 0)
		status = close_block(b);
	if (status == NVMKV_OK)
		status = nvmkv_buf_set(&b->built.largest, nvmkv_buf_slice(&b->last_key));
	if (status == NVMKV_OK)
		status = write_regions(b, &directory, &filter, &list, header);
	if (status == NVMKV_OK)
		status = write_header(b, header);
	port_free(directory.data);
	port_free(filter.data);
	port_free(list.data);
	return status;
}

NvmkvStatus
nvm_row_builder_finish(NvmRowBuilder *b, const NvmRowBuilt **built_out)
{
	*built_out = NULL;
	NVMKV_ASSERT(!b->finished);
	if (b->failed == NVMKV_OK)
		b->failed = finish(b);
	if (b->failed != NVMKV_OK)
		return b->failed;
	b->finished = true;
	*built_out = &b->built;
	return NVMKV_OK;
}

/* ---- life ---- */

NvmkvStatus
nvm_row_builder_create(NvmPool *pool, uint64_t row_id, const NvmRowRef *older, unsigned bloom_bits_per_key,
					   unsigned prefix_bytes, NvmRowBuilder **builder_out)
{
	NvmRowBuilder *b;

	*builder_out = NULL;
	if (row_id == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "a row needs an identifier that is not 0");
	if (prefix_bytes > NVMKV_PREFIX_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_INVALID, "prefixes of %u bytes are not in 0 .. %d", prefix_bytes, NVMKV_PREFIX_BYTES_MAX);
	b = port_alloc_zero(sizeof(*b));
	if (b == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to build row %" PRIu64, row_id);
	b->pool = pool;
	b->window = port_alloc(WINDOW_BYTES);
	if (b->window == NULL || nvmkv_buf_reserve(&b->block_keys, BLOCK_KEY_BYTES) != NVMKV_OK)
	{
		nvm_row_builder_destroy(b);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to build row %" PRIu64, row_id);
	}
	b->bloom_bits_per_key = bloom_bits_per_key;
	b->prefix_bytes = bloom_bits_per_key == 0 ? 0 : prefix_bytes;
	b->position = NVM_ROW_HEADER_BYTES;
	b->flushed = NVM_ROW_HEADER_BYTES;
	b->built.ref.row_id = row_id;
	b->built.ref.first_extent_live = 1;
	if (older != NULL)
	{
		b->has_older = true;
		b->older = *older;
		b->older_index = older->first_live;
		b->built.ref.older_row_id = older->row_id;
	}
	*builder_out = b;
	return NVMKV_OK;
}

void
nvm_row_builder_keep(NvmRowBuilder *b)
{
	NVMKV_ASSERT(b->finished);
	b->kept = true;
}

void
nvm_row_builder_destroy(NvmRowBuilder *b)
{
	if (b == NULL)
		return;
	if (!b->kept && extent_count(b) > 0)
		nvm_pool_give(b->pool, extent_list(b), extent_count(b));
	port_free(b->window);
	port_free(b->extents.data);
	port_free(b->elements.data);
	port_free(b->blocks.data);
	port_free(b->fence_keys.data);
	port_free(b->hashes.data);
	nvmkv_buf_free(&b->block_keys);
	nvmkv_buf_free(&b->before_block);
	nvmkv_buf_free(&b->last_key);
	nvmkv_buf_free(&b->built.smallest);
	nvmkv_buf_free(&b->built.largest);
	port_free(b);
}
