/*
 * row_verify.c
 *	  Says everything that is wrong with a row.
 *
 * Used by the database's check and by tests; reads only, in any process, and
 * goes on after a finding so that one run shows the extent of a damage.
 * Drained entries are not looked at: their extents may be others' by now.
 */
#include "engine/nvm/row_access.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/crc32c.h"
#include "engine/base/filter.h"

#define ENTRIES_BETWEEN_INTERRUPT_CHECKS 1024

typedef struct Verify
{
	const NvmPool *pool;
	const NvmRowRef *row;
	const NvmRowRef *older; /* NULL: hints are not compared */
	void (*problem)(void *ctx, const char *text);
	void *ctx;
} Verify;

__attribute__((format(printf, 2, 3))) static void
report(const Verify *v, const char *fmt, ...)
{
	char text[NVMKV_ERROR_TEXT_MAX];
	int n = snprintf(text, sizeof(text), "pool \"%s\" row %" PRIu64 ": ", v->pool->dev->path, v->row->row_id);
	va_list args;

	if (n < 0 || (size_t) n >= sizeof(text))
		n = 0;
	va_start(args, fmt);
	(void) vsnprintf(text + n, sizeof(text) - (size_t) n, fmt, args);
	va_end(args);
	v->problem(v->ctx, text);
}

/* Skip, fence and crc of one block against its elements. */
static void
verify_block(const Verify *v, uint64_t block)
{
	uint64_t first = block << NVM_ROW_BLOCK_SHIFT;
	uint64_t count = v->row->entries - first;
	const uint8_t *elements = nvm_row_element(v->pool, v->row, first);
	const uint8_t *stored =
		nvm_row_at(v->pool, v->row, nvm_row_crcs_offset(v->row->data_bytes, v->row->entries) + block * 4);
	NvmRowFence fence;
	uint32_t crc;
	uint64_t i;

	if (nvm_row_fence(v->pool, v->row, block, &fence) != NVMKV_OK || elements == NULL || stored == NULL)
	{
		report(v, "directory record %" PRIu64 " is damaged", block);
		return;
	}
	if (count > NVM_ROW_BLOCK_ENTRIES)
		count = NVM_ROW_BLOCK_ENTRIES;
	crc = crc32c_mask(crc32c(elements, (size_t) (count * NVM_ROW_ELEMENT_BYTES)));
	if (crc != get_u32(stored))
		report(v, "block %" PRIu64 " of the index has crc %08x, expected %08x", block, get_u32(stored), crc);
	for (i = 1; i < count; i++)
	{
		const uint8_t *element = elements + i * NVM_ROW_ELEMENT_BYTES;
		const uint8_t *before = element - NVM_ROW_ELEMENT_BYTES;

		if (get_u64(element + NVM_ROW_ELEMENT_PREFIX) < get_u64(before + NVM_ROW_ELEMENT_PREFIX))
			report(v, "prefix of element %" PRIu64 " is below the one before", first + i);
		if (get_u32(element + NVM_ROW_ELEMENT_HINT) < get_u32(before + NVM_ROW_ELEMENT_HINT))
			report(v, "hint of element %" PRIu64 " is below the one before", first + i);
	}
}

/* The first live entry of a block against the fence: fence <= entry, and greater than the entry before the block. */
static void
verify_fence(const Verify *v, uint64_t index, NvmkvSlice before, bool have_before, NvmkvSlice key, uint64_t tag)
{
	uint64_t block = index >> NVM_ROW_BLOCK_SHIFT;
	NvmRowFence fence;
	NvmkvSlice fence_key;
	uint64_t fence_tag;

	if (nvm_row_fence(v->pool, v->row, block, &fence) != NVMKV_OK)
		return; /* reported by verify_block */
	fence_key = nvmkv_slice(fence.key, fence.key_bytes);
	fence_tag = get_u64(fence.record + NVM_ROW_RECORD_TAG);
	if (ikey_compare(fence_key, fence_tag, key, tag) > 0)
		report(v, "fence of block %" PRIu64 " is greater than entry %" PRIu64, block, index);
	if (have_before && block > 0 && (index & (NVM_ROW_BLOCK_ENTRIES - 1)) == 0 && slice_compare(before, fence_key) > 0)
		report(v, "fence of block %" PRIu64 " is not greater than the entries before", block);
}

static void
verify_element(const Verify *v, uint64_t index, NvmkvSlice key, uint64_t tag)
{
	const uint8_t *element = nvm_row_element(v->pool, v->row, index);
	NvmRowFence fence;
	uint64_t hint = get_u32(element + NVM_ROW_ELEMENT_HINT);
	uint64_t expected;

	if (nvm_row_fence(v->pool, v->row, index >> NVM_ROW_BLOCK_SHIFT, &fence) == NVMKV_OK)
	{
		if (key.size < fence.skip || (fence.skip > 0 && memcmp(key.data, fence.key, fence.skip) != 0))
			report(v, "entry %" PRIu64 " does not share the %zu bytes of its block", index, fence.skip);
		else if (get_u64(element + NVM_ROW_ELEMENT_PREFIX) != nvm_row_prefix(key.data, key.size, fence.skip))
			report(v, "element %" PRIu64 " has a wrong prefix", index);
	}
	if (v->row->older_row_id == 0)
	{
		if (hint != 0)
			report(v, "element %" PRIu64 " has a hint, but the row has no older one", index);
	}
	else if (v->older != NULL)
	{
		/* The older row may have been drained further since: both sides are clamped to what is live in it. */
		if (nvm_row_lower_bound(v->pool, v->older, key, tag, 0, v->older->entries, &expected) != NVMKV_OK)
			return; /* the older row's own check says why */
		if (hint < v->older->first_live)
			hint = v->older->first_live;
		if (hint != expected)
			report(v, "element %" PRIu64 " has hint %" PRIu64 ", expected %" PRIu64, index, hint, expected);
	}
}

/* Fill between the end of one entry and the start of the next must be zero. */
static void
verify_fill(const Verify *v, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
	{
		const uint8_t *p = nvm_row_at(v->pool, v->row, from);

		if (p == NULL || *p != 0)
		{
			report(v, "fill at %" PRIu64 " is not zero", from);
			return;
		}
	}
}

static NvmkvStatus
verify_entries(const Verify *v)
{
	const NvmRowRef *row = v->row;
	unsigned prefix_bytes = get_u16(nvm_row_at(v->pool, row, 0) + NVM_ROW_OFFSET_PREFIX_BYTES);
	NvmkvBuf scratch = {0};
	NvmkvBuf last_key = {0};
	uint64_t last_tag = 0;
	uint64_t last_end = 0; /* 0: the entry before was not readable */
	bool have_last = false;
	NvmkvStatus status = NVMKV_OK;
	uint64_t i;

	for (i = row->first_live; i < row->entries && status == NVMKV_OK; i++)
	{
		NvmkvSlice key;
		NvmkvSlice payload;
		NvmkvTxnTag txn;
		NvmkvSlice value;
		NvmRowEntryHead head = {0};
		uint64_t tag;

		if ((i & (ENTRIES_BETWEEN_INTERRUPT_CHECKS - 1)) == 0 && port_interrupted())
		{
			status = NVMKV_FAIL(NVMKV_CANCELLED, "check of row %" PRIu64 " was stopped", row->row_id);
			break;
		}
		status = nvm_row_entry(v->pool, row, i, &scratch, &key, &tag, &payload);
		if (status == NVMKV_CORRUPTION)
		{
			report(v, "entry %" PRIu64 " cannot be read: %s", i, nvmkv_error()->text);
			last_end = 0;
			status = NVMKV_OK;
			continue;
		}
		if (status == NVMKV_IO)
		{
			/* A page is gone: so would be all the rest. */
			v->problem(v->ctx, nvmkv_error()->text);
			last_end = 0;
			status = NVMKV_OK;
			break;
		}
		if (status != NVMKV_OK)
			break;
		(void) nvm_row_read_head(v->pool, row, i, &head); /* the same bytes as just now */
		if (last_end != 0 && head.offset < last_end)
			report(v, "entry %" PRIu64 " overlaps the one before", i);
		else if (last_end != 0 && head.offset - last_end > NVM_ROW_UNSPLIT_BYTES_MAX)
			report(v, "there is a hole before entry %" PRIu64, i);
		else if (last_end != 0)
			verify_fill(v, last_end, head.offset);
		last_end = head.offset + nvm_row_entry_bytes(&head);

		if (have_last && ikey_compare(nvmkv_buf_slice(&last_key), last_tag, key, tag) >= 0)
			report(v, "entry %" PRIu64 " is not after the one before", i);
		if (!ikey_type_is_valid(ikey_type(tag)))
			report(v, "entry %" PRIu64 " has type %02x", i, ikey_type(tag));
		else if (ikey_split_payload(tag, payload, &txn, &value) != NVMKV_OK)
			report(v, "entry %" PRIu64 " has no transaction tag", i);
		if (i == row->first_live || (i & (NVM_ROW_BLOCK_ENTRIES - 1)) == 0)
			verify_fence(v, i, nvmkv_buf_slice(&last_key), have_last, key, tag);
		verify_element(v, i, key, tag);
		if (!nvm_row_may_contain(v->pool, row, filter_hash(key)))
			report(v, "the filter does not know the key of entry %" PRIu64, i);
		if (prefix_bytes > 0 && key.size >= prefix_bytes &&
			!nvm_row_may_hold(v->pool, row, prefix_bytes, filter_prefix_hash(nvmkv_slice(key.data, prefix_bytes))))
			report(v, "the filter does not know the prefix of entry %" PRIu64, i);

		status = nvmkv_buf_set(&last_key, key);
		last_tag = tag;
		have_last = true;
	}
	if (status == NVMKV_OK && last_end != 0 && last_end != nvm_row_data_end(row->data_bytes))
		report(v, "the data ends at %" PRIu64 ", expected %" PRIu64, last_end, nvm_row_data_end(row->data_bytes));
	nvmkv_buf_free(&scratch);
	nvmkv_buf_free(&last_key);
	return status;
}

NvmkvStatus
nvm_row_verify(const NvmPool *pool, const NvmRowRef *row, const NvmRowRef *older,
			   void (*problem)(void *ctx, const char *text), void *ctx)
{
	Verify v = {pool, row, NULL, problem, ctx};
	const uint8_t *header;
	uint32_t crc = 0;
	uint64_t block;

	if (older != NULL && older->row_id == row->older_row_id)
		v.older = older;

	/* Without a sound header nothing else can be found. */
	if (nvm_row_check_header(pool, row) != NVMKV_OK)
	{
		problem(ctx, nvmkv_error()->text);
		return NVMKV_OK;
	}
	header = nvm_row_at(pool, row, 0);
	if (!nvm_row_crc(pool, row, get_u64(header + NVM_ROW_OFFSET_FILTER), get_u64(header + NVM_ROW_OFFSET_FILTER_BYTES),
					 &crc) ||
		crc32c_mask(crc) != get_u32(header + NVM_ROW_OFFSET_FILTER_CRC))
		report(&v, "the filter has a wrong crc");
	for (block = 0; block < nvm_row_blocks(row->entries); block++)
		verify_block(&v, block);
	return verify_entries(&v);
}
