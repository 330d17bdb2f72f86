/*
 * row_read.c
 *	  Searching a row and reading its entries, in place.
 *
 * Called by every reader in every process; takes no lock, writes nothing,
 * allocates nothing but the caller's scratch.  A search reads the header's
 * first line, prefixes of fences (8 bytes a block of 256 entries: they stay in
 * cache), one fence, one page of elements and, where eight key bytes do not
 * decide, entries.
 *
 * Checksums: an entry is checked whenever it is returned, and whenever a
 * search passes over it.  "Entry >= target" needs no check during the search:
 * either it is the result, then the caller reads it, or an earlier one is.
 * Header, directory and filter of a row, and each block of its index, are
 * checked once a process, when they are first used; then they are taken for
 * sound, like blocks in a cache.  Their values are bounds-checked all the same,
 * for a pool may be opened without that (NvmPool.checked).  So damage ends in
 * CORRUPTION, never in a wild access, and never in a missed entry.
 *
 * Pages of the map may get lost (port_guard.h) and read as zeros then: each
 * function asks after its last look, and says so instead of what it saw.
 */
#include "engine/nvm/row_access.h"

#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/base/crc32c.h"
#include "engine/base/filter.h"
#include "engine/base/options.h"

#define LINE_ELEMENTS (NVM_ROW_LINE_BYTES / NVM_ROW_ELEMENT_BYTES)
#define COARSE_STRIDE 32

/* What a search looks for: the first entry >= (key, tag), or with "past" the first after all versions of key. */
typedef struct SearchTarget
{
	NvmkvSlice key;
	uint64_t tag;
	bool past;
} SearchTarget;

static NvmkvStatus
damaged(const NvmPool *pool, const NvmRowRef *row, const char *what, uint64_t number)
{
	return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" row %" PRIu64 ": %s %" PRIu64, pool->dev->path, row->row_id, what, number);
}

/* Has this process lost a page of the row? */
static bool
row_is_lost(const NvmPool *pool, const NvmRowRef *row)
{
	uint32_t i;

	for (i = 0; i < row->extent_count; i++)
		if ((i == 0 || i >= row->first_extent_live) &&
			port_guard_lost_in(&pool->dev->guard, nvm_extent_offset(row->extents[i]), NVM_EXTENT_BYTES))
			return true;
	return false;
}

static inline bool
is_lost(const NvmPool *pool, const NvmRowRef *row)
{
	return NVM_ROW_UNLIKELY(port_guard_lost(&pool->dev->guard) != 0) && row_is_lost(pool, row);
}

/* The status of what was just read. */
static inline NvmkvStatus
settled(const NvmPool *pool, const NvmRowRef *row, NvmkvStatus status)
{
	return is_lost(pool, row) ? nvm_device_lost(pool->dev) : status;
}

/* ---- ranges ---- */

const uint8_t *
nvm_row_run(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, uint64_t size)
{
	const uint8_t *p = nvm_row_at(pool, row, offset);
	uint64_t i = offset >> NVM_EXTENT_SHIFT;
	uint64_t done = nvm_row_piece(offset, size);

	if (p == NULL)
		return NULL;
	while (NVM_ROW_UNLIKELY(done < size))
	{
		i++;
		if (i >= row->extent_count || row->extents[i] != row->extents[i - 1] + 1 ||
			row->extents[i] >= pool->extent_count)
			return NULL;
		done += size - done < NVM_EXTENT_BYTES ? size - done : NVM_EXTENT_BYTES;
	}
	return p;
}

bool
nvm_row_copy_out(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, uint64_t size, uint8_t *out)
{
	while (size > 0)
	{
		uint64_t piece = nvm_row_piece(offset, size);
		const uint8_t *p = nvm_row_at(pool, row, offset);

		if (p == NULL)
			return false;
		memcpy(out, p, (size_t) piece);
		out += piece;
		offset += piece;
		size -= piece;
	}
	return true;
}

bool
nvm_row_crc(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, uint64_t size, uint32_t *crc_inout)
{
	while (size > 0)
	{
		uint64_t piece = nvm_row_piece(offset, size);
		const uint8_t *p = nvm_row_at(pool, row, offset);

		if (p == NULL)
			return false;
		*crc_inout = crc32c_extend(*crc_inout, p, (size_t) piece);
		offset += piece;
		size -= piece;
	}
	return true;
}

/* ---- what was found sound ---- */

static inline bool
is_checked(const NvmPool *pool, const NvmRowRef *row, uint32_t extent, uint64_t page)
{
	const NvmChecked *c = &pool->checked[extent];

	return port_load_acquire(&c->row_id) == row->row_id &&
		   (port_load_relaxed(&c->pages[page / 64]) >> (page % 64) & 1) != 0;
}

static void
note_checked(const NvmPool *pool, const NvmRowRef *row, uint32_t extent, uint64_t page)
{
	NvmChecked *c = &pool->checked[extent];
	unsigned i;

	/* The extent had another row: nobody reads that any more. */
	if (port_load_acquire(&c->row_id) != row->row_id)
	{
		for (i = 0; i < NVM_CHECKED_WORDS; i++)
			port_store_relaxed(&c->pages[i], 0);
		port_store_release(&c->row_id, row->row_id);
	}
	(void) __atomic_fetch_or(&c->pages[page / 64], UINT64_C(1) << (page % 64), __ATOMIC_RELEASE);
}

static NvmkvStatus
check_block(const NvmPool *pool, const NvmRowRef *row, uint64_t block)
{
	uint64_t count = row->entries - (block << NVM_ROW_BLOCK_SHIFT);
	const uint8_t *elements = nvm_row_element(pool, row, block << NVM_ROW_BLOCK_SHIFT);
	const uint8_t *stored = nvm_row_at(pool, row, nvm_row_crcs_offset(row->data_bytes, row->entries) + block * 4);
	uint32_t crc;

	if (elements == NULL || stored == NULL)
		return damaged(pool, row, "no extent for block", block);
	if (count > NVM_ROW_BLOCK_ENTRIES)
		count = NVM_ROW_BLOCK_ENTRIES;
	crc = crc32c_mask(crc32c(elements, (size_t) (count * NVM_ROW_ELEMENT_BYTES)));
	if (crc != get_u32(stored))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" row %" PRIu64 ": block %" PRIu64 " of the index at %" PRIu64 " has crc %08x, expected %08x",
						  pool->dev->path, row->row_id, block,
						  nvm_row_index_offset(row->data_bytes) + block * NVM_ROW_BLOCK_BYTES, crc, get_u32(stored));
	return NVMKV_OK;
}

/* Is the block of the index, below the row's number of blocks, sound? */
static inline NvmkvStatus
block_is_sound(const NvmPool *pool, const NvmRowRef *row, uint64_t block)
{
	uint64_t offset = nvm_row_index_offset(row->data_bytes) + block * NVM_ROW_BLOCK_BYTES;
	uint64_t i = offset >> NVM_EXTENT_SHIFT;
	uint64_t page = (offset & (NVM_EXTENT_BYTES - 1)) / NVM_ROW_BLOCK_BYTES;

	if (pool->checked == NULL)
		return NVMKV_OK;
	if (NVM_ROW_UNLIKELY(i >= row->extent_count || row->extents[i] >= pool->extent_count))
		return damaged(pool, row, "no extent for block", block);
	if (NVM_ROW_UNLIKELY(!is_checked(pool, row, row->extents[i], page)))
	{
		NVMKV_RETURN_IF(check_block(pool, row, block));
		note_checked(pool, row, row->extents[i], page);
	}
	return NVMKV_OK;
}

static NvmkvStatus check_header(const NvmPool *pool, const NvmRowRef *row);
static NvmkvStatus check_filter(const NvmPool *pool, const NvmRowRef *row);

/*
 * Are header and directory sound, and *filter_out: the filter?  Page 0 of the row's extent 0 stands for all that: the
 * header is there, so no block of the index is.
 */
static NvmkvStatus
check_row(const NvmPool *pool, const NvmRowRef *row, bool *filter_out)
{
	*filter_out = false;
	NVMKV_RETURN_IF(check_header(pool, row));
	*filter_out = check_filter(pool, row) == NVMKV_OK;
	if (*filter_out)
		note_checked(pool, row, row->extents[0], 0);
	return NVMKV_OK;
}

static inline NvmkvStatus
row_is_sound(const NvmPool *pool, const NvmRowRef *row, bool *filter_out)
{
	*filter_out = true;
	if (pool->checked == NULL)
		return NVMKV_OK;
	if (NVM_ROW_UNLIKELY(row->extent_count == 0 || row->extents[0] >= pool->extent_count))
		return damaged(pool, row, "has no extents, or one out of range; extents:", row->extent_count);
	return is_checked(pool, row, row->extents[0], 0) ? NVMKV_OK : check_row(pool, row, filter_out);
}

/* ---- entries ---- */

/* Logical offset of entry "index"; the end of the data for entries.  0 out of range. */
static inline uint64_t
data_offset(const NvmPool *pool, const NvmRowRef *row, uint64_t index)
{
	const uint8_t *element;

	if (index >= row->entries)
		return nvm_row_data_end(row->data_bytes);
	element = nvm_row_element(pool, row, index);
	return NVM_ROW_UNLIKELY(element == NULL) ? 0 : get_u32(element + NVM_ROW_ELEMENT_DATA);
}

NvmkvStatus
nvm_row_check_block(const NvmPool *pool, const NvmRowRef *row, uint64_t block)
{
	return check_block(pool, row, block);
}

NvmkvStatus
nvm_row_read_head_at(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, uint64_t index,
					 NvmRowEntryHead *head_out)
{
	uint8_t copy[NVM_ROW_ENTRY_HEAD_MAX];
	uint64_t data_end = nvm_row_data_end(row->data_bytes);
	const uint8_t *start;
	const uint8_t *end;
	const uint8_t *p;
	uint64_t room;

	if (NVM_ROW_UNLIKELY(offset < NVM_ROW_HEADER_BYTES || offset >= data_end ||
						 data_end - offset < NVM_ROW_ENTRY_HEAD_MIN))
		return damaged(pool, row, "index has a wrong offset for entry", index);
	room = data_end - offset;
	if (room > NVM_ROW_ENTRY_HEAD_MAX)
		room = NVM_ROW_ENTRY_HEAD_MAX;
	start = nvm_row_at(pool, row, offset);
	if (NVM_ROW_UNLIKELY(start == NULL || nvm_row_piece(offset, room) < room))
	{
		if (!nvm_row_copy_out(pool, row, offset, room, copy))
			return damaged(pool, row, "no extent for entry", index);
		start = copy;
	}
	end = start + room;
	p = get_varint32(start + 4, end, &head_out->key_bytes);
	if (p != NULL)
		p = get_varint32(p, end, &head_out->payload_bytes);
	if (NVM_ROW_UNLIKELY(p == NULL || end - p < 8))
		return damaged(pool, row, "malformed head of entry", index);
	head_out->offset = offset;
	head_out->crc = get_u32(start);
	head_out->tag = get_u64(p);
	head_out->head_bytes = (uint32_t) (p + 8 - start);
	if (NVM_ROW_UNLIKELY(head_out->key_bytes > NVMKV_KEY_BYTES_MAX ||
						 nvm_row_entry_bytes(head_out) > data_end - offset))
		return damaged(pool, row, "wrong lengths in entry", index);
	return NVMKV_OK;
}

NvmkvStatus
nvm_row_read_head(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmRowEntryHead *head_out)
{
	NvmkvStatus sound = index < row->entries ? block_is_sound(pool, row, index >> NVM_ROW_BLOCK_SHIFT) : NVMKV_OK;

	NVMKV_RETURN_IF(sound);
	return nvm_row_read_head_at(pool, row, data_offset(pool, row, index), index, head_out);
}

static NvmkvStatus
wrong_crc(const NvmPool *pool, const NvmRowRef *row, uint64_t index, const NvmRowEntryHead *head, uint32_t crc)
{
	return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" row %" PRIu64 ": entry %" PRIu64 " at %" PRIu64 " has crc %08x, expected %08x",
					  pool->dev->path, row->row_id, index, head->offset, head->crc, crc);
}

NvmkvStatus
nvm_row_check_entry(const NvmPool *pool, const NvmRowRef *row, uint64_t index, const NvmRowEntryHead *head)
{
	uint32_t crc = nvm_row_entry_seed(row->row_id, head->offset);

	if (!nvm_row_crc(pool, row, head->offset + 4, nvm_row_entry_bytes(head) - 4, &crc))
		return damaged(pool, row, "no extent for entry", index);
	crc = crc32c_mask(crc);
	if (NVM_ROW_UNLIKELY(crc != head->crc))
		return wrong_crc(pool, row, index, head, crc);
	return NVMKV_OK;
}

NvmkvStatus
nvm_row_read_entry(const NvmPool *pool, const NvmRowRef *row, uint64_t index, const NvmRowEntryHead *head,
				   NvmkvBuf *scratch, NvmkvSlice *key_out, uint64_t *tag_out, NvmkvSlice *payload_out)
{
	uint64_t bytes = nvm_row_entry_bytes(head);
	const uint8_t *p = nvm_row_run(pool, row, head->offset, bytes);
	uint32_t crc;

	if (NVM_ROW_UNLIKELY(p == NULL))
	{
		scratch->size = 0;
		NVMKV_RETURN_IF(nvmkv_buf_reserve(scratch, (size_t) bytes));
		if (!nvm_row_copy_out(pool, row, head->offset, bytes, scratch->data))
			return damaged(pool, row, "no extent for entry", index);
		scratch->size = (size_t) bytes;
		p = scratch->data;
	}
	crc = crc32c_mask(crc32c_extend(nvm_row_entry_seed(row->row_id, head->offset), p + 4, (size_t) bytes - 4));
	if (NVM_ROW_UNLIKELY(crc != head->crc))
		return wrong_crc(pool, row, index, head, crc);
	*key_out = nvmkv_slice(p + head->head_bytes, head->key_bytes);
	*tag_out = head->tag;
	*payload_out = nvmkv_slice(p + head->head_bytes + head->key_bytes, head->payload_bytes);
	return NVMKV_OK;
}

static NvmkvStatus
read_entry(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvBuf *scratch, NvmkvSlice *key_out,
		   uint64_t *tag_out, NvmkvSlice *payload_out)
{
	NvmRowEntryHead head;

	*key_out = nvmkv_slice(NULL, 0);
	*payload_out = nvmkv_slice(NULL, 0);
	*tag_out = 0;
	if (index < row->first_live || index >= row->entries)
		return NVMKV_FAIL(NVMKV_INVALID, "row %" PRIu64 ": entry %" PRIu64 " is not in [%" PRIu64 ", %" PRIu64 ")",
						  row->row_id, index, row->first_live, row->entries);
	NVMKV_RETURN_IF(nvm_row_read_head(pool, row, index, &head));
	return nvm_row_read_entry(pool, row, index, &head, scratch, key_out, tag_out, payload_out);
}

NvmkvStatus
nvm_row_entry_at(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, NvmkvBuf *scratch, NvmkvSlice *key_out,
				 uint64_t *tag_out, NvmkvSlice *payload_out)
{
	NvmRowEntryHead head;
	NvmkvStatus st = nvm_row_read_head_at(pool, row, offset, row->entries, &head);

	if (st == NVMKV_OK)
		st = nvm_row_read_entry(pool, row, row->entries, &head, scratch, key_out, tag_out, payload_out);
	return settled(pool, row, st);
}

NvmkvStatus
nvm_row_entry(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvBuf *scratch, NvmkvSlice *key_out,
			  uint64_t *tag_out, NvmkvSlice *payload_out)
{
	return settled(pool, row, read_entry(pool, row, index, scratch, key_out, tag_out, payload_out));
}

/* All keys of the block share "skip" bytes of the fence, and the element has eight more, with zeros past a key's end. */
static NvmkvStatus
key_bounds(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvBuf *low, NvmkvBuf *upper)
{
	uint64_t block = index >> NVM_ROW_BLOCK_SHIFT;
	const uint8_t *element = nvm_row_element(pool, row, index);
	uint8_t prefix[8];
	NvmRowFence fence;
	uint64_t word;
	unsigned i;
	bool filter;

	if (row_is_sound(pool, row, &filter) != NVMKV_OK || block_is_sound(pool, row, block) != NVMKV_OK ||
		element == NULL || nvm_row_fence(pool, row, block, &fence) != NVMKV_OK)
		return NVMKV_OK;
	word = get_u64(element + NVM_ROW_ELEMENT_PREFIX);
	for (i = 0; i < 8; i++)
		prefix[i] = (uint8_t) (word >> (56 - 8 * i));
	NVMKV_RETURN_IF(nvmkv_buf_append(low, fence.key, fence.skip));
	NVMKV_RETURN_IF(nvmkv_buf_append(low, prefix, sizeof(prefix)));
	NVMKV_RETURN_IF(nvmkv_buf_set(upper, nvmkv_buf_slice(low)));
	for (i = 0; i < 8 && low->data[low->size - 1] == 0; i++)
		low->size--;
	while (upper->size > 0 && upper->data[upper->size - 1] == UINT8_MAX)
		upper->size--;
	if (upper->size > 0)
		upper->data[upper->size - 1]++;
	return NVMKV_OK;
}

NvmkvStatus
nvm_row_key_bounds(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvBuf *low, NvmkvBuf *upper)
{
	low->size = 0;
	upper->size = 0;
	return settled(pool, row, key_bounds(pool, row, index, low, upper));
}

uint64_t
nvm_row_bytes_between(const NvmPool *pool, const NvmRowRef *row, uint64_t from, uint64_t to)
{
	uint64_t start = data_offset(pool, row, from);
	uint64_t end = data_offset(pool, row, to);

	return end > start ? end - start : 0;
}

uint64_t
nvm_row_bytes_from(const NvmPool *pool, const NvmRowRef *row, uint64_t from)
{
	uint64_t data_end = nvm_row_data_end(row->data_bytes);
	NvmRowEntryHead head;

	if (from >= row->entries)
		return 0;
	if (block_is_sound(pool, row, from >> NVM_ROW_BLOCK_SHIFT) != NVMKV_OK && from > row->first_live &&
		nvm_row_read_head(pool, row, from - 1, &head) == NVMKV_OK &&
		nvm_row_check_entry(pool, row, from - 1, &head) == NVMKV_OK)
		return data_end - (head.offset + nvm_row_entry_bytes(&head));
	return nvm_row_bytes_between(pool, row, from, row->entries);
}

uint32_t
nvm_row_extents_below(const NvmPool *pool, const NvmRowRef *row, uint64_t first_live)
{
	uint32_t already = row->first_extent_live > 1 ? row->first_extent_live : 1;
	uint64_t offset = nvm_row_data_end(row->data_bytes);
	uint64_t below;

	/* Extents are given away by this answer: believe the index only if a sound entry stands where it points. */
	if (first_live < row->entries)
	{
		NvmRowEntryHead head;

		if (nvm_row_read_head(pool, row, first_live, &head) != NVMKV_OK ||
			nvm_row_check_entry(pool, row, first_live, &head) != NVMKV_OK)
			return already;
		offset = head.offset;
	}
	below = offset >> NVM_EXTENT_SHIFT;
	NVMKV_ASSERT(below < row->extent_count);
	return below > already ? (uint32_t) below : already;
}

/* ---- search ---- */

NvmkvStatus
nvm_row_fence(const NvmPool *pool, const NvmRowRef *row, uint64_t block, NvmRowFence *fence_out)
{
	const uint8_t *header = nvm_row_at(pool, row, 0);
	uint64_t record_offset = nvm_row_records_offset(row->data_bytes, row->entries) + block * NVM_ROW_RECORD_BYTES;
	const uint8_t *record = nvm_row_at(pool, row, record_offset);
	uint64_t fences = nvm_row_fence_offset(row->data_bytes, row->entries);
	uint64_t at;

	if (NVM_ROW_UNLIKELY(header == NULL || record == NULL))
		return damaged(pool, row, "no extent for block", block);
	at = get_u32(record + NVM_ROW_RECORD_FENCE);
	fence_out->record = record;
	fence_out->key_bytes = get_u16(record + NVM_ROW_RECORD_FENCE_BYTES);
	fence_out->skip = get_u16(record + NVM_ROW_RECORD_SKIP);
	fence_out->key = nvm_row_at(pool, row, fences + at);
	if (NVM_ROW_UNLIKELY(fence_out->key == NULL || fence_out->skip > fence_out->key_bytes ||
						 at + fence_out->key_bytes > get_u64(header + NVM_ROW_OFFSET_FENCE_BYTES) ||
						 nvm_row_piece(fences + at, fence_out->key_bytes) < fence_out->key_bytes))
		return damaged(pool, row, "damaged directory record", block);
	return NVMKV_OK;
}

/* Order of the key's first "size" bytes against "shared"; a shorter key that agrees is less. */
static inline int
compare_shared(NvmkvSlice key, const uint8_t *shared, size_t size)
{
	size_t n = key.size < size ? key.size : size;
	int c = n > 0 ? memcmp(key.data, shared, n) : 0;

	return c != 0 ? c : (key.size < size ? -1 : 0);
}

/* The last block in [first, last] whose fence is not greater than the target; "first" when there is none. */
static NvmkvStatus
find_block(const NvmPool *pool, const NvmRowRef *row, const SearchTarget *target, uint64_t first, uint64_t last,
		   uint64_t *block_out)
{
	const uint8_t *header = nvm_row_at(pool, row, 0);
	uint64_t directory = nvm_row_directory_offset(row->data_bytes, row->entries);
	NvmRowFence fence;
	uint64_t prefix;
	size_t skip;
	int c;

	*block_out = first;
	NVMKV_RETURN_IF(nvm_row_fence(pool, row, first, &fence));
	skip = get_u16(header + NVM_ROW_OFFSET_SKIP);
	if (NVM_ROW_UNLIKELY(skip > fence.key_bytes))
		return damaged(pool, row, "damaged directory record", first);
	c = compare_shared(target->key, fence.key, skip);
	if (c != 0)
	{
		*block_out = c < 0 ? first : last;
		return NVMKV_OK;
	}
	prefix = nvm_row_prefix(target->key.data, target->key.size, skip);
	while (first < last)
	{
		uint64_t middle = first + (last - first + 1) / 2;
		const uint8_t *at = nvm_row_at(pool, row, directory + middle * 8);
		uint64_t fence_prefix;
		bool not_greater;

		if (NVM_ROW_UNLIKELY(at == NULL))
			return damaged(pool, row, "no extent for block", middle);
		fence_prefix = get_u64(at);
		if (fence_prefix != prefix)
			not_greater = fence_prefix < prefix;
		else
		{
			NVMKV_RETURN_IF(nvm_row_fence(pool, row, middle, &fence));
			c = slice_compare(nvmkv_slice(fence.key, fence.key_bytes), target->key);
			not_greater =
				c < 0 || (c == 0 && (target->past || get_u64(fence.record + NVM_ROW_RECORD_TAG) >= target->tag));
		}
		if (not_greater)
			first = middle;
		else
			last = middle - 1;
	}
	*block_out = first;
	return NVMKV_OK;
}

static inline uint64_t
element_prefix(const uint8_t *elements, uint64_t i)
{
	return get_u64(elements + i * NVM_ROW_ELEMENT_BYTES + NVM_ROW_ELEMENT_PREFIX);
}

/* Asks for every stride-th element of [from, to) at once: a search then waits once and not at every step. */
static inline void
prefetch_elements(const uint8_t *elements, uint64_t from, uint64_t to, uint64_t stride)
{
	for (; from < to; from += stride)
		__builtin_prefetch(elements + from * NVM_ROW_ELEMENT_BYTES);
}

/* First of elements [from, to) whose prefix is >= "prefix". */
static inline uint64_t
find_prefix(const uint8_t *elements, uint64_t from, uint64_t to, uint64_t prefix)
{
	uint64_t count = to - from;

	while (count > 0)
	{
		uint64_t half = count / 2;
		bool less = element_prefix(elements, from + half) < prefix;

		from = less ? from + half + 1 : from;
		count = less ? count - half - 1 : half;
	}
	return from;
}

/*
 * The same of a whole block, which is not in cache: coarse steps over lines already asked for, then the lines between
 * two of them.
 */
static inline uint64_t
find_prefix_cold(const uint8_t *elements, uint64_t from, uint64_t to, uint64_t prefix)
{
	while (to - from > COARSE_STRIDE && element_prefix(elements, from + COARSE_STRIDE) < prefix)
		from += COARSE_STRIDE;
	if (to - from > COARSE_STRIDE)
		to = from + COARSE_STRIDE;
	prefetch_elements(elements, from, to, LINE_ELEMENTS);
	return find_prefix(elements, from, to, prefix);
}

/* Is the entry before the target?  A "yes" is given for sound entries only. */
static NvmkvStatus
entry_is_before(const NvmPool *pool, const NvmRowRef *row, uint64_t index, const SearchTarget *target, bool *before_out)
{
	uint8_t copy[NVMKV_KEY_BYTES_MAX];
	NvmRowEntryHead head;
	const uint8_t *key;
	int c;

	NVMKV_RETURN_IF(nvm_row_read_head(pool, row, index, &head));
	key = nvm_row_run(pool, row, head.offset + head.head_bytes, head.key_bytes);
	if (NVM_ROW_UNLIKELY(key == NULL))
	{
		if (!nvm_row_copy_out(pool, row, head.offset + head.head_bytes, head.key_bytes, copy))
			return damaged(pool, row, "no extent for entry", index);
		key = copy;
	}
	c = slice_compare(nvmkv_slice(key, head.key_bytes), target->key);
	*before_out = c < 0 || (c == 0 && (target->past || head.tag > target->tag));
	if (*before_out)
		return nvm_row_check_entry(pool, row, index, &head);
	return NVMKV_OK;
}

/* First index in [left, right] of one block that is not before the target. */
static NvmkvStatus
search_block(const NvmPool *pool, const NvmRowRef *row, const SearchTarget *target, uint64_t block, uint64_t left,
			 uint64_t right, uint64_t *index_out)
{
	uint64_t block_start = block << NVM_ROW_BLOCK_SHIFT;
	uint64_t from = left - block_start;
	uint64_t to = right - block_start;
	const uint8_t *elements;
	NvmRowFence fence;
	uint64_t prefix;
	int c;

	elements = nvm_row_element(pool, row, block_start);
	if (NVM_ROW_UNLIKELY(elements == NULL))
		return damaged(pool, row, "no extent for block", block);
	prefetch_elements(elements, from + COARSE_STRIDE, to, COARSE_STRIDE);
	NVMKV_RETURN_IF(nvm_row_fence(pool, row, block, &fence));
	c = compare_shared(target->key, fence.key, fence.skip);
	if (c != 0)
	{
		*index_out = c < 0 ? left : right;
		return NVMKV_OK;
	}
	prefix = nvm_row_prefix(target->key.data, target->key.size, fence.skip);
	from = find_prefix_cold(elements, from, to, prefix);

	/* Only entries with the same eight bytes are left to doubt; most often there is one. */
	if (from < to && element_prefix(elements, from) == prefix)
	{
		uint64_t tie_end = from + 1;

		if (tie_end < to && element_prefix(elements, tie_end) == prefix)
			tie_end = prefix == UINT64_MAX ? to : find_prefix(elements, tie_end, to, prefix + 1);
		while (from < tie_end)
		{
			uint64_t middle = from + (tie_end - from) / 2;
			bool before;

			NVMKV_RETURN_IF(entry_is_before(pool, row, block_start + middle, target, &before));
			if (before)
				from = middle + 1;
			else
				tie_end = middle;
		}
	}
	*index_out = block_start + from;
	return NVMKV_OK;
}

/* May the entry at index be one of this key, or, if that is not "whole", of one that begins so? */
static NvmkvStatus
may_be(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvSlice key, bool whole, bool *may_out)
{
	uint64_t block = index >> NVM_ROW_BLOCK_SHIFT;
	const uint8_t *element;
	NvmRowFence fence;
	uint64_t differing;
	size_t shared;

	*may_out = true;
	NVMKV_RETURN_IF(block_is_sound(pool, row, block));
	element = nvm_row_element(pool, row, index);
	if (NVM_ROW_UNLIKELY(element == NULL))
		return damaged(pool, row, "no extent for block", block);
	NVMKV_RETURN_IF(nvm_row_fence(pool, row, block, &fence));
	shared = whole || key.size > fence.skip ? fence.skip : key.size;
	if (compare_shared(key, fence.key, shared) != 0)
	{
		*may_out = false;
		return NVMKV_OK;
	}
	differing = element_prefix(element, 0) ^ nvm_row_prefix(key.data, key.size, fence.skip);
	if (!whole && key.size <= fence.skip)
		differing = 0;
	else if (!whole && key.size < fence.skip + sizeof(differing))
		differing >>= 8 * (fence.skip + sizeof(differing) - key.size);
	*may_out = differing == 0;
	return NVMKV_OK;
}

static NvmkvStatus
check_live(const NvmRowRef *row, uint64_t index)
{
	if (index < row->first_live || index >= row->entries)
		return NVMKV_FAIL(NVMKV_INVALID, "row %" PRIu64 ": entry %" PRIu64 " is not in [%" PRIu64 ", %" PRIu64 ")",
						  row->row_id, index, row->first_live, row->entries);
	return NVMKV_OK;
}

NvmkvStatus
nvm_row_may_be(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvSlice key, bool *may_out)
{
	NVMKV_RETURN_IF(check_live(row, index));
	return settled(pool, row, may_be(pool, row, index, key, true, may_out));
}

NvmkvStatus
nvm_row_may_begin(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvSlice prefix, bool *may_out)
{
	NVMKV_RETURN_IF(check_live(row, index));
	return settled(pool, row, may_be(pool, row, index, prefix, false, may_out));
}

static NvmkvStatus
search(const NvmPool *pool, const NvmRowRef *row, const SearchTarget *target, uint64_t left, uint64_t right,
	   uint64_t *index_out)
{
	uint64_t first;
	uint64_t last;
	uint64_t block_end;
	bool filter;

	*index_out = row->entries;
	NVMKV_RETURN_IF(row_is_sound(pool, row, &filter));
	if (right > row->entries)
		right = row->entries;
	if (left < row->first_live)
		left = row->first_live;
	if (left >= right)
	{
		*index_out = left < row->entries ? left : row->entries;
		return NVMKV_OK;
	}
	*index_out = row->entries;
	first = left >> NVM_ROW_BLOCK_SHIFT;
	last = (right - 1) >> NVM_ROW_BLOCK_SHIFT;
	if (first < last)
	{
		NVMKV_RETURN_IF(find_block(pool, row, target, first, last, &first));
		if (left < first << NVM_ROW_BLOCK_SHIFT)
			left = first << NVM_ROW_BLOCK_SHIFT;
		block_end = (first + 1) << NVM_ROW_BLOCK_SHIFT;
		if (right > block_end)
			right = block_end;
	}
	NVMKV_RETURN_IF(block_is_sound(pool, row, first));
	return search_block(pool, row, target, first, left, right, index_out);
}

NvmkvStatus
nvm_row_lower_bound(const NvmPool *pool, const NvmRowRef *row, NvmkvSlice key, uint64_t tag, uint64_t left,
					uint64_t right, uint64_t *index_out)
{
	SearchTarget target = {key, tag, false};

	return settled(pool, row, search(pool, row, &target, left, right, index_out));
}

NvmkvStatus
nvm_row_upper_bound(const NvmPool *pool, const NvmRowRef *row, NvmkvSlice key, uint64_t left, uint64_t right,
					uint64_t *index_out)
{
	SearchTarget target = {key, 0, true};

	return settled(pool, row, search(pool, row, &target, left, right, index_out));
}

/*
 * Let t be the target and i its lower bound in the row: entry i - 1 < t <= entry i.  So lower_bound(older, entry i -
 * 1) <= lower_bound(older, t) <= lower_bound(older, entry i), and those are the hints.  At first_live nothing is
 * known of the entry before.
 */
void
nvm_row_hint_window(const NvmPool *pool, const NvmRowRef *row, uint64_t index, const NvmRowRef *older,
					uint64_t *left_out, uint64_t *right_out)
{
	uint64_t left = older->first_live;
	uint64_t right = older->entries;
	const uint8_t *element;

	if (row->older_row_id == older->row_id)
	{
		if (index > row->first_live && index <= row->entries &&
			block_is_sound(pool, row, (index - 1) >> NVM_ROW_BLOCK_SHIFT) == NVMKV_OK)
		{
			element = nvm_row_element(pool, row, index - 1);
			if (element != NULL && get_u32(element + NVM_ROW_ELEMENT_HINT) > left)
				left = get_u32(element + NVM_ROW_ELEMENT_HINT);
		}
		if (index < row->entries && block_is_sound(pool, row, index >> NVM_ROW_BLOCK_SHIFT) == NVMKV_OK)
		{
			element = nvm_row_element(pool, row, index);
			if (element != NULL && get_u32(element + NVM_ROW_ELEMENT_HINT) < right)
				right = get_u32(element + NVM_ROW_ELEMENT_HINT);
		}
		if (right < older->first_live)
			right = older->first_live;
		if (left > right || is_lost(pool, row))
		{
			/* Damage: a hint only narrows, so without it the search is slower and right. */
			left = older->first_live;
			right = older->entries;
		}
	}
	*left_out = left;
	*right_out = right;
}

/* ---- filter and header ---- */

/* The line of the filter where the key would be; NULL when there is none. */
static inline const uint8_t *
filter_line(const NvmPool *pool, const NvmRowRef *row, const uint8_t *header, uint64_t key_hash)
{
	uint64_t offset = get_u64(header + NVM_ROW_OFFSET_FILTER);
	uint64_t lines = get_u64(header + NVM_ROW_OFFSET_FILTER_BYTES) / NVM_ROW_LINE_BYTES;

	/* A line that is not aligned could run over the end of its extent. */
	if (NVM_ROW_UNLIKELY(lines == 0 || lines > UINT32_MAX || offset % NVM_ROW_LINE_BYTES != 0))
		return NULL;
	return nvm_row_at(pool, row, offset + ((key_hash >> 32) * lines >> 32) * NVM_ROW_LINE_BYTES);
}

void
nvm_row_prefetch(const NvmPool *pool, const NvmRowRef *row, uint64_t key_hash)
{
	const uint8_t *header = nvm_row_at(pool, row, 0);
	const uint8_t *line;

	/* What nobody has checked yet may be anything, and whether it has to be checked is not known here. */
	if (NVM_ROW_UNLIKELY(header == NULL || (pool->checked != NULL && !is_checked(pool, row, row->extents[0], 0))))
		return;
	line = filter_line(pool, row, header, key_hash);
	if (line != NULL)
		__builtin_prefetch(line);
}

bool
nvm_row_may_contain(const NvmPool *pool, const NvmRowRef *row, uint64_t key_hash)
{
	const uint8_t *header = nvm_row_at(pool, row, 0);
	const uint8_t *line;
	bool filter;

	/* Where the filter is damaged the search decides, and says what is wrong if more is. */
	if (NVM_ROW_UNLIKELY(header == NULL || row_is_sound(pool, row, &filter) != NVMKV_OK || !filter))
		return true;
	line = filter_line(pool, row, header, key_hash);
	/* What is lost is not absent: the search that follows says so. */
	return line == NULL || filter_may_contain(line, NVM_ROW_LINE_BYTES, key_hash) || is_lost(pool, row);
}

bool
nvm_row_may_hold(const NvmPool *pool, const NvmRowRef *row, unsigned prefix_bytes, uint64_t prefix_hash)
{
	const uint8_t *header = nvm_row_at(pool, row, 0);

	/* Not yet checked here; but a wrong length says "may", and with the right one the rest finds out. */
	return prefix_bytes == 0 || header == NULL || get_u16(header + NVM_ROW_OFFSET_PREFIX_BYTES) != prefix_bytes ||
		nvm_row_may_contain(pool, row, prefix_hash);
}

static NvmkvStatus
check_range_crc(const NvmPool *pool, const NvmRowRef *row, const char *what, uint64_t offset, uint64_t size,
				uint32_t expected)
{
	uint32_t crc = 0;

	if (!nvm_row_crc(pool, row, offset, size, &crc) || crc32c_mask(crc) != expected)
		return damaged(pool, row, what, row->row_id);
	return NVMKV_OK;
}

static NvmkvStatus
check_filter(const NvmPool *pool, const NvmRowRef *row)
{
	const uint8_t *h = nvm_row_at(pool, row, 0);

	return check_range_crc(pool, row, "filter has a wrong crc, row", get_u64(h + NVM_ROW_OFFSET_FILTER),
						   get_u64(h + NVM_ROW_OFFSET_FILTER_BYTES), get_u32(h + NVM_ROW_OFFSET_FILTER_CRC));
}

static NvmkvStatus
check_header(const NvmPool *pool, const NvmRowRef *row)
{
	const uint8_t *h = nvm_row_at(pool, row, 0);
	uint64_t fences;
	uint64_t list;
	uint64_t row_end = (uint64_t) row->extent_count << NVM_EXTENT_SHIFT;
	uint32_t i;

	if (h == NULL)
		return damaged(pool, row, "has no extents, or one out of range; extents:", row->extent_count);
	if (get_u64(h + NVM_ROW_OFFSET_MAGIC) != NVM_ROW_MAGIC)
		return damaged(pool, row, "there is no row in extent", row->extents[0]);
	if (get_u32(h + NVM_ROW_OFFSET_CRC) != crc32c_mask(crc32c(h, NVM_ROW_OFFSET_CRC)))
		return damaged(pool, row, "header has a wrong crc, in extent", row->extents[0]);
	if (get_u32(h + NVM_ROW_OFFSET_FORMAT) != NVM_ROW_FORMAT)
		return NVMKV_FAIL(NVMKV_VERSION, "pool \"%s\" row %" PRIu64 " has format %u, this version reads %d" NVMKV_USE_NEWER,
						  pool->dev->path, row->row_id, get_u32(h + NVM_ROW_OFFSET_FORMAT), NVM_ROW_FORMAT);
	if (get_u64(h + NVM_ROW_OFFSET_ROW_ID) != row->row_id)
		return damaged(pool, row, "the manifest's extent holds row", get_u64(h + NVM_ROW_OFFSET_ROW_ID));
	if (get_u64(h + NVM_ROW_OFFSET_POOL_ID) != pool->pool_id)
		return damaged(pool, row, "header names pool", get_u64(h + NVM_ROW_OFFSET_POOL_ID));
	if (get_u64(h + NVM_ROW_OFFSET_ENTRIES) != row->entries)
		return damaged(pool, row, "manifest and header disagree about the number of entries, header:", get_u64(h + NVM_ROW_OFFSET_ENTRIES));
	if (get_u64(h + NVM_ROW_OFFSET_DATA_BYTES) != row->data_bytes)
		return damaged(pool, row, "manifest and header disagree about the data bytes, header:", get_u64(h + NVM_ROW_OFFSET_DATA_BYTES));
	if (get_u64(h + NVM_ROW_OFFSET_OLDER_ROW_ID) != row->older_row_id)
		return damaged(pool, row, "manifest and header disagree about the older row, header:", get_u64(h + NVM_ROW_OFFSET_OLDER_ROW_ID));
	if (get_u32(h + NVM_ROW_OFFSET_EXTENTS) != row->extent_count)
		return damaged(pool, row, "manifest and header disagree about the number of extents, header:", get_u32(h + NVM_ROW_OFFSET_EXTENTS));
	if (row->entries == 0 || row->entries > UINT32_MAX || nvm_row_data_end(row->data_bytes) > UINT32_MAX ||
		row->first_live > row->entries)
		return damaged(pool, row, "counts are out of range; entries:", row->entries);

	/* Every offset below is from a header whose crc is right: out of range is our bug, but still an error. */
	fences = nvm_row_fence_offset(row->data_bytes, row->entries);
	list = get_u64(h + NVM_ROW_OFFSET_LIST);
	if (get_u64(h + NVM_ROW_OFFSET_FENCE_BYTES) > row_end || fences > row_end || list > row_end ||
		get_u64(h + NVM_ROW_OFFSET_FILTER) > row_end || get_u64(h + NVM_ROW_OFFSET_FILTER_BYTES) > row_end ||
		get_u64(h + NVM_ROW_OFFSET_FILTER) % NVM_ROW_LINE_BYTES != 0 || list % sizeof(uint32_t) != 0)
		return damaged(pool, row, "header offsets are out of range; row bytes:", row_end);
	NVMKV_RETURN_IF(check_range_crc(
		pool, row, "directory has a wrong crc, row", nvm_row_directory_offset(row->data_bytes, row->entries),
		fences - nvm_row_directory_offset(row->data_bytes, row->entries) + get_u64(h + NVM_ROW_OFFSET_FENCE_BYTES),
		get_u32(h + NVM_ROW_OFFSET_DIRECTORY_CRC)));
	NVMKV_RETURN_IF(check_range_crc(pool, row, "extent list has a wrong crc, row",
									list, (uint64_t) row->extent_count * 4, get_u32(h + NVM_ROW_OFFSET_LIST_CRC)));
	for (i = 0; i < row->extent_count; i++)
	{
		if (i >= 1 && i < row->first_extent_live)
			continue; /* given back: the manifest need not remember which it was */
		if (get_u32(nvm_row_at(pool, row, list + (uint64_t) i * 4)) != row->extents[i])
			return damaged(pool, row, "manifest and header disagree about extent", i);
	}
	return NVMKV_OK;
}

NvmkvStatus
nvm_row_check_header(const NvmPool *pool, const NvmRowRef *row)
{
	return settled(pool, row, check_header(pool, row));
}

/* Is the entry there?  Its checksum is of this row only. */
static bool
has_entry(const NvmPool *pool, const NvmRowRef *row, uint64_t index)
{
	NvmRowEntryHead head;

	return nvm_row_read_head(pool, row, index, &head) == NVMKV_OK &&
		nvm_row_check_entry(pool, row, index, &head) == NVMKV_OK;
}

/* Is there nothing but zeros? */
static bool
is_blank(const NvmPool *pool, const NvmRowRef *row)
{
	uint32_t i;

	for (i = 0; i < row->extent_count; i++)
		if ((i == 0 || i >= row->first_extent_live) &&
			!nvm_pool_is_zero(nvm_row_at(pool, row, (uint64_t) i << NVM_EXTENT_SHIFT), NVM_EXTENT_BYTES))
			return false;
	return true;
}

bool
nvm_row_is_replaced(const NvmPool *pool, const NvmRowRef *row)
{
	const uint8_t *h = nvm_row_at(pool, row, 0);
	uint64_t index;

	if (h != NULL && get_u64(h + NVM_ROW_OFFSET_MAGIC) == NVM_ROW_MAGIC &&
		get_u32(h + NVM_ROW_OFFSET_CRC) == crc32c_mask(crc32c(h, NVM_ROW_OFFSET_CRC)) &&
		get_u64(h + NVM_ROW_OFFSET_ROW_ID) != row->row_id)
		return !is_lost(pool, row);
	/* The last entry of each block of the index, and the last of all. */
	for (index = row->first_live; index < row->entries; index = (index | (NVM_ROW_BLOCK_ENTRIES - 1)) + 1)
	{
		uint64_t last = index | (NVM_ROW_BLOCK_ENTRIES - 1);

		if (has_entry(pool, row, index) || has_entry(pool, row, last < row->entries ? last : row->entries - 1))
			return false;
	}
	return h != NULL && !is_blank(pool, row) && !is_lost(pool, row);
}
