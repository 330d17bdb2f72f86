/*
 * row_access.h
 *	  From logical offsets of a row to addresses; shared by the row's files.
 *
 * A ref comes from a checked manifest, but nothing else that is read is
 * trusted: an offset out of range gives NULL, never a wild pointer.
 */
#ifndef NVMKV_NVM_ROW_ACCESS_H
#define NVMKV_NVM_ROW_ACCESS_H

#include "engine/nvm/row.h"
#include "engine/nvm/row_format.h"

#define NVM_ROW_UNLIKELY(x) __builtin_expect((x), 0)

/* Address of the byte at "offset"; bytes up to the end of its extent follow it.  NULL out of range. */
static inline const uint8_t *
nvm_row_at(const NvmPool *pool, const NvmRowRef *row, uint64_t offset)
{
	uint64_t i = offset >> NVM_EXTENT_SHIFT;

	if (NVM_ROW_UNLIKELY(i >= row->extent_count || row->extents[i] >= pool->extent_count))
		return NULL;
	return pool->dev->base + nvm_extent_offset(row->extents[i]) + (offset & (NVM_EXTENT_BYTES - 1));
}

/* How many bytes of [offset, offset + size) are in the extent of "offset". */
static inline uint64_t
nvm_row_piece(uint64_t offset, uint64_t size)
{
	uint64_t left = NVM_EXTENT_BYTES - (offset & (NVM_EXTENT_BYTES - 1));

	return size < left ? size : left;
}

/* Address of [offset, offset + size) when it is one piece of the map, else NULL. */
extern const uint8_t *nvm_row_run(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, uint64_t size);

/* Copies a range piece by piece; false out of range. */
extern bool nvm_row_copy_out(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, uint64_t size, uint8_t *out);

/* crc32c_extend over a range piece by piece; false out of range. */
extern bool nvm_row_crc(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, uint64_t size, uint32_t *crc_inout);

/* Element "index" < entries, NULL out of range. */
static inline const uint8_t *
nvm_row_element(const NvmPool *pool, const NvmRowRef *row, uint64_t index)
{
	return nvm_row_at(pool, row, nvm_row_index_offset(row->data_bytes) + index * NVM_ROW_ELEMENT_BYTES);
}

/* The parts of an entry before key and payload. */
typedef struct NvmRowEntryHead
{
	uint64_t offset; /* of the entry */
	uint32_t crc;
	uint32_t head_bytes; /* the key follows */
	uint32_t key_bytes;
	uint32_t payload_bytes;
	uint64_t tag;
} NvmRowEntryHead;

static inline uint64_t
nvm_row_entry_bytes(const NvmRowEntryHead *head)
{
	return (uint64_t) head->head_bytes + head->key_bytes + head->payload_bytes;
}

/* Head of the live entry "index", bounds checked, crc not. */
extern NvmkvStatus nvm_row_read_head(const NvmPool *pool, const NvmRowRef *row, uint64_t index,
									 NvmRowEntryHead *head_out);

/* The same of an entry that is known by its offset; "index" is for the message. */
extern NvmkvStatus nvm_row_read_head_at(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, uint64_t index,
										NvmRowEntryHead *head_out);

/* Is the block of the index sound? */
extern NvmkvStatus nvm_row_check_block(const NvmPool *pool, const NvmRowRef *row, uint64_t block);

/* The entry with this head; CORRUPTION when its checksum is wrong. */
extern NvmkvStatus nvm_row_read_entry(const NvmPool *pool, const NvmRowRef *row, uint64_t index,
									  const NvmRowEntryHead *head, NvmkvBuf *scratch, NvmkvSlice *key_out,
									  uint64_t *tag_out, NvmkvSlice *payload_out);

/* CORRUPTION when the entry's checksum is wrong. */
extern NvmkvStatus nvm_row_check_entry(const NvmPool *pool, const NvmRowRef *row, uint64_t index,
									   const NvmRowEntryHead *head);

/* What a search reads of the directory: one block's record with its fence. */
typedef struct NvmRowFence
{
	const uint8_t *record;
	const uint8_t *key;
	size_t key_bytes;
	size_t skip;
} NvmRowFence;

/* CORRUPTION when the record does not make sense. */
extern NvmkvStatus nvm_row_fence(const NvmPool *pool, const NvmRowRef *row, uint64_t block, NvmRowFence *fence_out);

#endif
