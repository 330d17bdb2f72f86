/*
 * outcome_file.h
 *	  A file of the outcome record (db/outcome.c): which of 2^20 consecutive
 *	  transactions have committed, a bit each.
 *
 * Written once, named by the version, replaced by a fuller one as long as the
 * segment grows.  Named <number>.xct; little-endian:
 *
 *	     0   8	magic "NVMKVXCT"
 *	     8   4	format, 1
 *	    12   4	pages, 1 .. 16
 *	    16   8	system identifier
 *	    24   8	number of the file
 *	    32   8	segment: its first transaction is segment * 2^20
 *	    40  64	masked CRC-32C of each page; 0 of those that are not there
 *	   104   4	masked CRC-32C of the 104 bytes before
 *	   108		zeros up to 4096
 *	  4096		pages of 8192 bytes; transaction segment * 2^20 + x has bit x % 8 of byte x / 8 of them all
 *
 * Transactions of pages that are not there have not committed.
 *
 * Example: segment 1, file 7, system 4711, in which only transaction 1048579 has committed: one page, 12288 bytes, and
 * byte 4096 is 08.
 */
#ifndef NVMKV_META_OUTCOME_FILE_H
#define NVMKV_META_OUTCOME_FILE_H

#include "engine/port/port.h"

#define OUTCOME_SEGMENT_SHIFT 20
#define OUTCOME_SEGMENT_XIDS (UINT64_C(1) << OUTCOME_SEGMENT_SHIFT)
#define OUTCOME_SEGMENT_BYTES (OUTCOME_SEGMENT_XIDS / 8)
#define OUTCOME_PAGE_BYTES 8192
#define OUTCOME_PAGE_XIDS (OUTCOME_PAGE_BYTES * 8)
#define OUTCOME_PAGES 16
#define OUTCOME_FILE_HEAD 4096

/* What is known of a file beforehand; anything else in it is CORRUPTION. */
typedef struct OutcomeFile
{
	uint64_t system_identifier;
	uint64_t number;
	uint64_t segment;
} OutcomeFile;

extern void outcome_file_path(const char *dir, uint64_t number, char *buf, size_t size);

/* Is this the name of such a file?  Then its number. */
extern bool outcome_file_parse(const char *name, uint64_t *number_out);

/* Writes the first so many pages of "bits", durably, its name included.  At failure there is no file. */
extern NvmkvStatus outcome_file_write(const char *dir, const OutcomeFile *file, const uint8_t *bits, unsigned pages);

/* One page; zeros where the file has none.  CORRUPTION: it is damaged, or the file is or is missing. */
extern NvmkvStatus outcome_file_read(const char *dir, const OutcomeFile *file, unsigned page, uint8_t *bits_out);

static inline unsigned
outcome_page_of(uint64_t fxid)
{
	return (unsigned) (fxid / OUTCOME_PAGE_XIDS % OUTCOME_PAGES);
}

static inline bool
outcome_bit(const uint8_t *bits, uint64_t index)
{
	return (port_load_relaxed(&bits[index / 8]) >> (index % 8) & 1) != 0;
}

#endif
