/*
 * sst_format.h
 *	  Bytes of an SSTable: a sorted, immutable file of entries.
 *
 * All integers are little-endian; "varint" is coding.h's.  An entry is (user
 * key, tag, payload) of ikey.h; order is key ascending, tag descending.
 *
 *	  file      := partition[1..n], block(top index), block(properties), footer
 *	  partition := block(data)[1..m], block(filter)?, block(index)
 *	  block     := bytes, trailer
 *
 * Blocks follow each other without gaps: a block's file range is its handle's
 * [offset, offset + size + SST_TRAILER_BYTES).  A partition's index block lists
 * its data blocks; its filter holds every user key with an entry in it.  The
 * top index lists the partitions, so that a point lookup reads one filter, one
 * index block and one data block, however large the file is.
 *
 * All versions of one user key are in one file (the caller's duty), but they
 * may span blocks and partitions.
 *
 *
 * Trailer, after every block:
 *	  0  crc    u32  masked crc32c of the block's bytes followed by trailer bytes 4..7
 *	  4  codec  u8   SST_CODEC_*; 0 = stored as is, else sst_codec.h; data blocks only
 *	  5  zero   u8[3], checked
 *
 * Entry block (data, index, top index):
 *	  entry[1..n], restart u32[1..r], r u32
 * A restart is the offset, from the block's start, of an entry that stores its
 * whole key; restart[0] is 0; offsets ascend.
 *
 *	  entry := varint shared, varint unshared, varint payload size,
 *			   u8[unshared] rest of the key, tag u64, u8[payload size] payload
 * "shared" is the length of the LONGEST common prefix with the key of the entry
 * before it, and 0 at a restart.  Search depends on its being the longest.
 *
 * Data blocks have a restart every "restart interval" entries; in index and top
 * index blocks every entry is a restart.
 *
 * Index entry: (key, tag) is a separator: >= every entry of the block it
 * describes, < every entry of the next one.  Where the user key changes
 * between them, it is a short key with tag 0 (sorts after all versions of that
 * key); within a user key, the last entry's key and tag; for the last block of
 * the file, the last user key with tag 0.
 *	  payload of an index entry     := varint offset, varint size          (data block)
 *	  payload of a top index entry  := varint offset, varint size          (index block)
 *									   varint offset, varint size          (filter; 0, 0 = none)
 *
 * Filter block: filter.h's bytes, a multiple of FILTER_LINE_BYTES, sized for
 * the partition's keys.  If the properties' prefix bytes are not 0, it also
 * holds filter_prefix_hash of the first so many bytes of every key in the
 * partition that has as many.  (Tables from before there were prefixes have a 0
 * there; a reader that knows of none finds the keys all the same.)
 *
 * Properties block: see SST_PROPS_*.  It ends with what the table refers to:
 *	  ( varint number, varint bytes )*    value tables by number; of the blocks, trailers included
 *
 *
 * Values apart.  A large value need not be written again each time that its key
 * moves down a level: it stands in a value table, and the key's entry, whose type
 * has NVMKV_TYPE_APART_BIT, has a reference for a value (WiscKey, Lu et al.,
 * FAST '16).
 *	  reference := varint number of the value table, varint offset, varint size     (data block)
 * A value table is an SSTable without filters, and each of its data blocks is one
 * entry: the key, its sequence with type VALUE, the value.  A reader goes to the
 * block at once and finds by the key that it is the right one.
 *
 * Footer: the last SST_FOOTER_BYTES of the file, see SST_FOOTER_*.
 *
 *
 * Reader's duty: every block's crc is checked when it is read from the file,
 * every length and offset before it is used.  The wrong magic or checksum is
 * CORRUPTION; a higher version, or an unknown codec, is VERSION.
 *
 * SST_FORMAT_VERSION goes up when an old reader could misread a new file.
 * Magic, version and checksum keep their places in the footer for ever.
 *
 *
 * Worked example (test/unit/sst_test.c builds and decodes it): one data block
 * with two versions of "ab" and one of "abc", no filter, restart interval 16:
 *
 *	    0  00 02 02 61 62 01 09 00 00 00 00 00 00 68 69
 *	         entry: shared 0, unshared 2, payload 2; "ab", sequence 9 VALUE, "hi"
 *	   15  02 00 00 00 04 00 00 00 00 00 00
 *	         entry: shared 2, unshared 0, payload 0; "ab", sequence 4 DELETION
 *	   26  02 01 01 63 01 07 00 00 00 00 00 00 21
 *	         entry: shared 2, unshared 1, payload 1; "abc", sequence 7 VALUE, "!"
 *	   39  00 00 00 00 01 00 00 00
 *	         restart 0; 1 restart
 *	   47  d5 1e cb 12 00 00 00 00
 *	         trailer
 *	   55  00 03 02 61 62 63 00 00 00 00 00 00 00 00 00 2f
 *	         index entry: "abc", tag 0; data block at 0, 47 bytes
 *	   71  00 00 00 00 01 00 00 00
 *	         restart 0; 1 restart
 *	   79  2e 34 d3 65 00 00 00 00
 *	         trailer
 *	   87  00 03 04 61 62 63 00 00 00 00 00 00 00 00 37 18
 *	  103  00 00
 *	         top index entry: "abc", tag 0; index block at 55, 24 bytes; no filter
 *	  105  00 00 00 00 01 00 00 00
 *	         restart 0; 1 restart
 *	  113  ac 80 91 ea 00 00 00 00
 *	         trailer
 *	  121  03 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00
 *	  137  01 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00
 *	  153  03 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
 *	  169  04 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00
 *	  185  00 00 00 00 00 00 00 00
 *	         properties: 3 entries, 2 keys, 1 deletion, 7 key bytes, 3 payload bytes,
 *	         1 data block, sequences 4 .. 9, nothing unresolved
 *	  193  01 00 00 00 00 10 00 00 10 00 00 00 00 00 00 00
 *	  209  02 00 00 00 03 00 00 00
 *	         1 partition, blocks of 4096 bytes, restart interval 16, no filters; keys of 2 and 3 bytes
 *	  217  61 62 61 62 63
 *	         smallest key "ab", largest "abc"
 *	  222  22 69 b2 b7 00 00 00 00
 *	         trailer
 *	  230  57 00 00 00 00 00 00 00 1a 00 00 00 00 00 00 00
 *	         footer: top index at 87, 26 bytes
 *	  246  79 00 00 00 00 00 00 00 65 00 00 00 00 00 00 00
 *	         properties at 121, 101 bytes
 *	  262  1e 01 00 00 00 00 00 00 01 00 00 00 e3 87 38 20
 *	         286 bytes in all; version 1; checksum
 *	  278  4e 56 4d 4b 56 53 54 31
 *	         magic
 */
#ifndef NVMKV_SST_FORMAT_H
#define NVMKV_SST_FORMAT_H

#include "engine/base/coding.h"
#include "engine/base/ikey.h"
#include "engine/base/options.h"

#define SST_FORMAT_VERSION 1
#define SST_MAGIC UINT64_C(0x315453564b4d564e) /* "NVMKVST1" */

/* ---- trailer ---- */
#define SST_TRAILER_CRC 0
#define SST_TRAILER_CODEC 4
#define SST_TRAILER_ZERO 5
#define SST_TRAILER_BYTES 8

#define SST_CODEC_NONE NVMKV_COMPRESSION_NONE
#define SST_CODEC_LZ4 NVMKV_COMPRESSION_LZ4
#define SST_CODEC_ZSTD NVMKV_COMPRESSION_ZSTD

/* ---- entry blocks ---- */
#define SST_ENTRY_HEADER_BYTES_MIN 3 /* three varints */
#define SST_ENTRY_BYTES_MIN (SST_ENTRY_HEADER_BYTES_MIN + 8)
#define SST_ENTRY_HEADER_BYTES_MAX (3 * VARINT32_BYTES_MAX)

#define SST_PAYLOAD_BYTES_MAX (NVMKV_VALUE_BYTES_MAX + NVMKV_TXN_TAG_BYTES)

/*
 * The largest block without its trailer.  A block that reached block_bytes (at
 * most 1 MiB) gets no further entry, so the largest is one entry alone: header,
 * key, tag, payload, one restart and the count.
 */
#define SST_BLOCK_BYTES_MAX (SST_PAYLOAD_BYTES_MAX + NVMKV_KEY_BYTES_MAX + 8 + SST_ENTRY_HEADER_BYTES_MAX + 8)

#define SST_RESTART_INTERVAL_MAX 128

/*
 * A partition ends with the data block that fills its filter or its index
 * block: the unit a cold point lookup reads, and what one cache entry holds.
 * The least number of blocks keeps the top index small when separators are
 * long: at 2 KiB a separator it is a 64th of the file.
 */
#define SST_FILTER_PARTITION_BYTES (16 * 1024)
#define SST_INDEX_BLOCK_BYTES (16 * 1024)
#define SST_INDEX_BLOCK_ENTRIES_MIN 64

/* ---- properties ---- */
#define SST_PROPS_ENTRIES 0				  /* u64 */
#define SST_PROPS_KEYS 8				  /* u64, distinct user keys */
#define SST_PROPS_DELETIONS 16			  /* u64, entries of kind deletion and range deletion */
#define SST_PROPS_KEY_BYTES 24			  /* u64, user keys of all entries, before prefix sharing */
#define SST_PROPS_PAYLOAD_BYTES 32		  /* u64 */
#define SST_PROPS_DATA_BLOCKS 40		  /* u64 */
#define SST_PROPS_MIN_SEQUENCE 48		  /* u64 */
#define SST_PROPS_MAX_SEQUENCE 56		  /* u64 */
#define SST_PROPS_MIN_UNRESOLVED_FXID 64  /* u64, of tagged entries without a stored outcome; 0 = there are none */
#define SST_PROPS_PARTITIONS 72			  /* u32 */
#define SST_PROPS_BLOCK_BYTES 76		  /* u32, as asked for */
#define SST_PROPS_RESTART_INTERVAL 80	  /* u32 */
#define SST_PROPS_BLOOM_BITS 84			  /* u16, bits a key; 0 = no filters */
#define SST_PROPS_PREFIX_BYTES 86		  /* u16, of the prefixes in the filters; 0 = none */
#define SST_PROPS_SMALLEST_BYTES 88		  /* u32 */
#define SST_PROPS_LARGEST_BYTES 92		  /* u32 */
#define SST_PROPS_FIXED_BYTES 96		  /* then the smallest and the largest user key, and references */

/* ---- footer ---- */
#define SST_FOOTER_TOP_OFFSET 0	   /* u64 */
#define SST_FOOTER_TOP_SIZE 8	   /* u64 */
#define SST_FOOTER_PROPS_OFFSET 16 /* u64 */
#define SST_FOOTER_PROPS_SIZE 24   /* u64 */
#define SST_FOOTER_FILE_BYTES 32   /* u64, of the whole file */
#define SST_FOOTER_VERSION 40	   /* u32 */
#define SST_FOOTER_CRC 44		   /* u32, masked crc32c of bytes 0..43 */
#define SST_FOOTER_MAGIC 48		   /* u64 */
#define SST_FOOTER_BYTES 56

_Static_assert(SST_TRAILER_CODEC == SST_TRAILER_CRC + 4, "trailer");
_Static_assert(SST_TRAILER_ZERO == SST_TRAILER_CODEC + 1, "trailer");
_Static_assert(SST_TRAILER_BYTES == SST_TRAILER_ZERO + 3, "trailer");
_Static_assert(SST_BLOCK_BYTES_MAX < INT32_MAX, "offsets inside a block are 32 bits wide");
_Static_assert(SST_PROPS_PARTITIONS == SST_PROPS_MIN_UNRESOLVED_FXID + 8, "properties");
_Static_assert(SST_PROPS_FIXED_BYTES == SST_PROPS_LARGEST_BYTES + 4, "properties");
_Static_assert(SST_FOOTER_VERSION == SST_FOOTER_FILE_BYTES + 8, "footer");
_Static_assert(SST_FOOTER_CRC == SST_FOOTER_VERSION + 4, "footer");
_Static_assert(SST_FOOTER_MAGIC == SST_FOOTER_CRC + 4, "footer");
_Static_assert(SST_FOOTER_BYTES == SST_FOOTER_MAGIC + 8, "footer");

/* Where a block is; size without the trailer.  size 0 = there is none. */
typedef struct SstHandle
{
	uint64_t offset;
	uint32_t size;
} SstHandle;

#define SST_HANDLE_BYTES_MAX (VARINT64_BYTES_MAX + VARINT32_BYTES_MAX)

typedef struct SstFooter
{
	SstHandle top;
	SstHandle props;
	uint64_t file_bytes;
} SstFooter;

/* The keys point into the decoded bytes, or into the builder. */
typedef struct SstProps
{
	uint64_t entries;
	uint64_t keys;
	uint64_t deletions;
	uint64_t key_bytes;
	uint64_t payload_bytes;
	uint64_t data_blocks;
	uint64_t min_sequence;
	uint64_t max_sequence;
	uint64_t min_unresolved_fxid;
	uint32_t partitions;
	uint32_t block_bytes;
	uint32_t restart_interval;
	uint16_t bloom_bits_per_key;
	uint16_t prefix_bytes; /* 0: the filters know of none */
	NvmkvSlice smallest;
	NvmkvSlice largest;
	NvmkvSlice references; /* a list of value_refs.h, found to be sound */
	uint64_t value_bytes;  /* of them all */
} SstProps;

/* Where a value apart is. */
typedef struct SstReference
{
	uint64_t number; /* of the value table */
	SstHandle block;
} SstReference;

#define SST_REFERENCE_BYTES_MAX (VARINT64_BYTES_MAX + SST_HANDLE_BYTES_MAX)

/* Fills the trailer of block[0..size), as it is stored. */
extern void sst_trailer_encode(const uint8_t *block, size_t size, unsigned codec, uint8_t trailer[SST_TRAILER_BYTES]);

/*
 * block[0..size) is followed by its trailer.  "path" and "offset" name it in the error text.  *codec_out: how it is
 * compressed; NULL: it is CORRUPTION if it is.
 */
extern NvmkvStatus sst_trailer_check(const uint8_t *block, size_t size, const char *path, uint64_t offset,
									 unsigned *codec_out);

extern uint8_t *sst_handle_encode(uint8_t *p, SstHandle handle);

/* NULL when malformed, or when the block would not lie below "limit" with its trailer. */
extern const uint8_t *sst_handle_decode(const uint8_t *p, const uint8_t *end, uint64_t limit, SstHandle *handle_out);

extern uint8_t *sst_reference_encode(uint8_t *p, SstReference reference);

/* CORRUPTION when it is malformed. */
extern NvmkvStatus sst_reference_decode(NvmkvSlice bytes, SstReference *reference_out);

/* What the value takes in its table. */
static inline uint64_t
sst_reference_bytes(SstReference reference)
{
	return (uint64_t) reference.block.size + SST_TRAILER_BYTES;
}

extern void sst_footer_encode(const SstFooter *footer, uint8_t bytes[SST_FOOTER_BYTES]);
extern NvmkvStatus sst_footer_decode(const uint8_t bytes[SST_FOOTER_BYTES], uint64_t file_bytes, const char *path,
									 SstFooter *footer_out);

/* Appends the properties block's bytes. */
extern NvmkvStatus sst_props_encode(const SstProps *props, NvmkvBuf *buf);
extern NvmkvStatus sst_props_decode(NvmkvSlice bytes, const char *path, SstProps *props_out);

/*
 * A short user key s with left <= s < right, written to "buf" (room for
 * left.size bytes); REQUIRES left < right.  Returns its size; at worst it is
 * left itself.
 */
extern size_t sst_separator(NvmkvSlice left, NvmkvSlice right, uint8_t *buf);

#endif
