/*
 * log_format.h
 *	  The bytes of a log file: MANIFEST and the standalone write-ahead log.
 *
 * Little-endian.  The file is cut in blocks of 32 KiB; the first starts with
 * the file header.  A record (any number of bytes, also none) is stored as one
 * FULL fragment, or as FIRST, MIDDLE..., LAST.  No fragment crosses a block;
 * where fewer bytes than a fragment header are left in a block they are zero
 * and skipped.  A block is thus a point where a reader finds its feet again.
 *
 * File header, 32 bytes:
 *	   0..7	  magic "NVMKVLOG"
 *	   8..11  format version u32 (=1); others are refused
 *	  12..15  kind u32: LOG_KIND_...
 *	  16..23  log number u64, the one in the file's name
 *	  24..27  zero, checked
 *	  28..31  masked crc32c of bytes 0..27
 *
 * Fragment, 16 bytes and the payload:
 *	   0..3	  masked crc32c of bytes 4..15 and the payload
 *	   4..5	  payload length u16
 *	   6	  type u8
 *	   7	  zero, checked
 *	   8..11  log number u32 (low half)
 *	  12..15  synced u32: so many bytes of this file were durable when the fragment was made
 *
 * The log number makes a file recyclable: what an earlier use left behind the
 * end has another number and cannot come to life again.
 *
 * "synced" tells damage from an unfinished end.  After a crash anything past
 * the last sync may be missing, also in the middle, because the kernel writes
 * pages in any order.  So a bad fragment at offset X is the end of the log,
 * unless a good fragment behind it says that bytes beyond X had been durable:
 * then the medium has lost them, and that is corruption.
 *
 * A file can hold 4 GiB - 1 because of "synced"; logs are rotated long before.
 *
 * Example: log 7 of kind WAL with the record "abc", 51 bytes:
 *	  4e 56 4d 4b 56 4c 4f 47 01 00 00 00 02 00 00 00
 *	  07 00 00 00 00 00 00 00 00 00 00 00 51 4f be ae
 *	  8d 7f 27 f3 03 00 01 00 07 00 00 00 20 00 00 00
 *	  61 62 63
 */
#ifndef NVMKV_LOG_LOG_FORMAT_H
#define NVMKV_LOG_LOG_FORMAT_H

#include "engine/base/slice.h"

#define LOG_FORMAT_VERSION 1
#define LOG_BLOCK_BYTES 32768
#define LOG_FILE_HEADER_BYTES 32
#define LOG_FRAGMENT_HEADER_BYTES 16
#define LOG_FILE_BYTES_MAX UINT32_MAX

_Static_assert(LOG_BLOCK_BYTES - LOG_FRAGMENT_HEADER_BYTES <= UINT16_MAX, "a fragment's length has 16 bits");

/* On disk: never renumber. */
#define LOG_KIND_MANIFEST 1
#define LOG_KIND_WAL 2
#define LOG_KIND_KEPT 3

/* On disk: never renumber.  0 is what a preallocated file holds. */
#define LOG_FRAGMENT_FULL 1
#define LOG_FRAGMENT_FIRST 2
#define LOG_FRAGMENT_MIDDLE 3
#define LOG_FRAGMENT_LAST 4

/* "header" has LOG_FILE_HEADER_BYTES. */
extern void log_file_header_encode(uint8_t *header, uint32_t kind, uint64_t number);

/* CORRUPTION: no header at all, or damaged.  VERSION.  INVALID: another kind.  The number is the caller's to judge. */
extern NvmkvStatus log_file_header_decode(const uint8_t *header, uint32_t kind, uint64_t *number_out);

typedef struct LogFragment
{
	unsigned type;
	uint32_t synced;
	NvmkvSlice payload; /* points into the input */
} LogFragment;

/* Is there a good fragment of this log in the "size" bytes at p?  size ends at the block's end or before. */
extern bool log_fragment_decode(const uint8_t *p, size_t size, uint32_t number, LogFragment *fragment_out);

/* Where a record of "bytes" ends that is appended at file offset "offset". */
extern uint64_t log_record_end(uint64_t offset, uint64_t bytes);

/* Takes the framed bytes in order; a failure stops the framing. */
typedef NvmkvStatus (*LogSink)(void *ctx, const void *data, size_t size);

/* Frames the record parts[0] .. parts[nparts - 1] for file offset "offset": log_record_end - offset bytes to the sink. */
extern NvmkvStatus log_record_frame(uint64_t offset, uint32_t number, uint32_t synced,
									const NvmkvSlice *parts, unsigned nparts, LogSink sink, void *ctx);

#endif
