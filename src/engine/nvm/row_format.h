/*
 * row_format.h
 *	  The bytes of a row.  Little-endian.
 *
 * A row is a list of extents seen as one logical byte range; logical offset o
 * is in extent number o / 1 MiB of the list.
 *
 *	  0				header, 256 bytes
 *	  256			data region: entries in internal-key order
 *	  align 4096	index region: elements of 16 bytes, in blocks of 256
 *	  align 64		directory, by block: prefixes of 8 bytes; align 64, records of 16; crcs of 4
 *	  				fences: key bytes the directory points at
 *	  align 64		filter: lines of 64 bytes
 *	  				extent list: u32 an extent
 *
 * So extents [1, k) hold nothing but data for every k up to the one the index
 * region starts in, and can be given back once their entries are drained,
 * while the header and all that follows the data stay.
 *
 * Entry (crc: masked, of the other bytes of the entry, started with
 * nvm_row_entry_seed(row id, logical offset of the entry), so that an entry of
 * an older row in a reused extent, or one that is read by a wrong offset,
 * fails too):
 *	  crc u32, varint key bytes, varint payload bytes, tag u64, key, payload
 * An entry of up to NVM_ROW_UNSPLIT_BYTES_MAX bytes lies in one extent; zeros
 * fill what it leaves of the one before (at most 1.6 % of the extent).  A larger
 * one goes on in the next extent of the list.
 * Example, row 5, offset 256, key "key", tag of sequence 7 and VALUE, "value":
 *	  69 b6 bd 65  03  05  01 07 00 00 00 00 00 00  6b 65 79  76 61 6c 75 65
 *
 * Index element i:
 *	   0  8		key bytes [skip, skip + 8), first byte most significant, zeros past the key's end; skip is the block's
 *	   8  4		logical offset of the entry (so the data of a row ends below 4 GiB)
 *	  12  4		hint: the first index in the older row whose entry is >= this one, the older row's count if
 *				none; 0 without older row
 * Within a block all keys share their first "skip" bytes, so elements order
 * like keys as far as 8 bytes can tell; ties are decided by the entries.
 *
 * Directory, block b: a prefix, a record and a crc, in arrays of their own so
 * that a search keeps no more than the prefixes in cache.
 * Prefix: fence key bytes [row skip, row skip + 8), as above; row skip is the
 * header's.  Crc: masked crc32c of the block's elements.  Record:
 *	   0  8		fence tag
 *	   8  4		offset of the fence key in the fences
 *	  12  2		bytes of the fence key
 *	  14  2		skip of the block: its keys share the first skip bytes of the fence key
 * The fence (key, tag) is greater than every entry before the block and not
 * greater than its first: a shortened first key with tag 2^64-1, or, when the
 * last entry before has the same user key, that key with the first entry's
 * tag.  A fence key never crosses an extent boundary (zeros before it).
 *
 * Filter line of a key with hash h: (h >> 32) * lines >> 32; its bits are
 * base/filter.h's.  If the header's prefix bytes are not 0, the filter also
 * has, by filter_prefix_hash, the first so many bytes of every key that has as
 * many.
 *
 * Header:
 *	   0  8		magic "NVMKVROW"
 *	   8  4		format version, 1
 *	  12  2		row skip: bytes all keys of the row share
 *	  14  2		bytes of the prefixes in the filter, 0 none
 *	  16  8		logical offset of the filter
 *	  24  8		bytes of the filter
 *	  32  8		bytes of the fences
 *	  40  8		row identifier
 *	  48  8		pool identifier
 *	  56  8		entries
 *	  64  8		data bytes, fill included
 *	  72  8		older row identifier, 0 none
 *	  80  8		smallest sequence
 *	  88  8		largest sequence
 *	  96  8		smallest fxid whose outcome is not stored, 0 none
 *	 104  8		bytes of keys and values without transaction tags
 *	 112  8		logical offset of the extent list
 *	 120  4		extents
 *	 124  4		masked crc32c of directory and fences
 *	 128  4		masked crc32c of the filter
 *	 132  4		masked crc32c of the extent list
 *	 136  116	zero
 *	 252  4		masked crc32c of bytes 0..251
 *
 * A change of any of this is a new version number, unless older readers find
 * in the new rows what they look for, as with the prefix bytes: they were zero.
 */
#ifndef NVMKV_NVM_ROW_FORMAT_H
#define NVMKV_NVM_ROW_FORMAT_H

#include "engine/base/coding.h"
#include "engine/nvm/pool.h"

#define NVM_ROW_MAGIC UINT64_C(0x574f52564b4d564e) /* "NVMKVROW" */
#define NVM_ROW_FORMAT 1

#define NVM_ROW_OFFSET_MAGIC 0
#define NVM_ROW_OFFSET_FORMAT 8
#define NVM_ROW_OFFSET_SKIP 12
#define NVM_ROW_OFFSET_PREFIX_BYTES 14
#define NVM_ROW_OFFSET_FILTER 16
#define NVM_ROW_OFFSET_FILTER_BYTES 24
#define NVM_ROW_OFFSET_FENCE_BYTES 32
#define NVM_ROW_OFFSET_ROW_ID 40
#define NVM_ROW_OFFSET_POOL_ID 48
#define NVM_ROW_OFFSET_ENTRIES 56
#define NVM_ROW_OFFSET_DATA_BYTES 64
#define NVM_ROW_OFFSET_OLDER_ROW_ID 72
#define NVM_ROW_OFFSET_MIN_SEQUENCE 80
#define NVM_ROW_OFFSET_MAX_SEQUENCE 88
#define NVM_ROW_OFFSET_MIN_FXID 96
#define NVM_ROW_OFFSET_USER_BYTES 104
#define NVM_ROW_OFFSET_LIST 112
#define NVM_ROW_OFFSET_EXTENTS 120
#define NVM_ROW_OFFSET_DIRECTORY_CRC 124
#define NVM_ROW_OFFSET_FILTER_CRC 128
#define NVM_ROW_OFFSET_LIST_CRC 132
#define NVM_ROW_OFFSET_ZERO2 136
#define NVM_ROW_OFFSET_CRC 252
#define NVM_ROW_HEADER_BYTES 256

#define NVM_ROW_ELEMENT_PREFIX 0
#define NVM_ROW_ELEMENT_DATA 8
#define NVM_ROW_ELEMENT_HINT 12
#define NVM_ROW_ELEMENT_BYTES 16

#define NVM_ROW_BLOCK_SHIFT 8
#define NVM_ROW_BLOCK_ENTRIES (UINT64_C(1) << NVM_ROW_BLOCK_SHIFT)
#define NVM_ROW_BLOCK_BYTES (NVM_ROW_BLOCK_ENTRIES * NVM_ROW_ELEMENT_BYTES)

#define NVM_ROW_RECORD_TAG 0
#define NVM_ROW_RECORD_FENCE 8
#define NVM_ROW_RECORD_FENCE_BYTES 12
#define NVM_ROW_RECORD_SKIP 14
#define NVM_ROW_RECORD_BYTES 16

#define NVM_ROW_ENTRY_HEAD_MIN (4 + 1 + 1 + 8)
#define NVM_ROW_ENTRY_HEAD_MAX (4 + VARINT32_BYTES_MAX + VARINT32_BYTES_MAX + 8)
#define NVM_ROW_UNSPLIT_BYTES_MAX (16 * 1024)
#define NVM_ROW_LINE_BYTES 64

_Static_assert(NVM_ROW_OFFSET_CRC + 4 == NVM_ROW_HEADER_BYTES, "the crc ends the header");
_Static_assert(NVM_ROW_OFFSET_FENCE_BYTES + 8 <= 64, "what every search reads is in the header's first cache line");
_Static_assert(NVM_EXTENT_BYTES % NVM_ROW_BLOCK_BYTES == 0, "a block of the index never crosses an extent");
_Static_assert(NVM_ROW_BLOCK_BYTES == 4096, "a block is a page");
_Static_assert(NVM_ROW_RECORD_SKIP + 2 == NVM_ROW_RECORD_BYTES && NVM_EXTENT_BYTES % NVM_ROW_RECORD_BYTES == 0, "records never cross an extent");
_Static_assert(NVM_EXTENT_BYTES % NVM_ROW_LINE_BYTES == 0, "filter lines never cross an extent");

/* Where the crc of the entry at "offset" starts. */
static inline uint32_t
nvm_row_entry_seed(uint64_t row_id, uint64_t offset)
{
	return (uint32_t) ((row_id * UINT64_C(0x9E3779B97F4A7C15) + offset) * UINT64_C(0xC2B2AE3D27D4EB4F) >> 32);
}

/* Eight bytes of a key from "skip" on as a number that orders like them. */
static inline uint64_t
nvm_row_prefix(const uint8_t *key, size_t size, size_t skip)
{
	uint8_t bytes[8] = {0};

	if (size >= skip + 8)
		return get_be64(key + skip);
	if (size > skip)
		memcpy(bytes, key + skip, size - skip);
	return get_be64(bytes);
}

static inline uint64_t
nvm_row_align(uint64_t offset, uint64_t to)
{
	return (offset + to - 1) & ~(to - 1);
}

static inline uint64_t
nvm_row_data_end(uint64_t data_bytes)
{
	return NVM_ROW_HEADER_BYTES + data_bytes;
}

static inline uint64_t
nvm_row_index_offset(uint64_t data_bytes)
{
	return nvm_row_align(nvm_row_data_end(data_bytes), NVM_ROW_BLOCK_BYTES);
}

static inline uint64_t
nvm_row_blocks(uint64_t entries)
{
	return (entries + NVM_ROW_BLOCK_ENTRIES - 1) >> NVM_ROW_BLOCK_SHIFT;
}

static inline uint64_t
nvm_row_directory_offset(uint64_t data_bytes, uint64_t entries)
{
	return nvm_row_align(nvm_row_index_offset(data_bytes) + entries * NVM_ROW_ELEMENT_BYTES, NVM_ROW_LINE_BYTES);
}

static inline uint64_t
nvm_row_records_offset(uint64_t data_bytes, uint64_t entries)
{
	return nvm_row_align(nvm_row_directory_offset(data_bytes, entries) + nvm_row_blocks(entries) * 8,
						 NVM_ROW_LINE_BYTES);
}

static inline uint64_t
nvm_row_crcs_offset(uint64_t data_bytes, uint64_t entries)
{
	return nvm_row_records_offset(data_bytes, entries) + nvm_row_blocks(entries) * NVM_ROW_RECORD_BYTES;
}

static inline uint64_t
nvm_row_fence_offset(uint64_t data_bytes, uint64_t entries)
{
	return nvm_row_crcs_offset(data_bytes, entries) + nvm_row_blocks(entries) * 4;
}

#endif
