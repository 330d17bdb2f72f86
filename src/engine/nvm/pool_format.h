/*
 * pool_format.h
 *	  The first page of a pool.  Little-endian.
 *
 *	  offset	bytes
 *	   0		8		magic "NVMKVPOL"
 *	   8		4		format version, 1
 *	  12		4		extent bytes, 1048576
 *	  16		4		extent count when it was made
 *	  20		4		zero
 *	  24		8		system identifier
 *	  32		8		pool identifier, random, never 0
 *	  40		20		zero
 *	  60		4		masked crc32c of bytes 0..59
 *
 * Extent e occupies [(e + 1) * extent bytes, (e + 2) * extent bytes).
 * How many extents there are is told by the length of the file, of which what
 * is left over behind the last whole one is not used; on a device, by who uses it.
 * Two pages behind the first say who opened the pool last (pool_stamp.h); the rest
 * of the first extent-sized piece is not used.  A reader refuses
 * another version and bytes that are not zero where zero is said.  A file whose
 * first page is all zero was being created when something ended: it holds no
 * pool.
 *
 * Example, 8 MiB, system 0x0102030405060708, pool 0x1112131415161718:
 *	  4e 56 4d 4b 56 50 4f 4c  01 00 00 00  00 00 10 00  07 00 00 00  00 00 00 00
 *	  08 07 06 05 04 03 02 01  18 17 16 15 14 13 12 11  00 * 20  cc 86 f5 36
 *
 * A change of any of this is a new version number.
 */
#ifndef NVMKV_NVM_POOL_FORMAT_H
#define NVMKV_NVM_POOL_FORMAT_H

#include <stdbool.h>

#include "engine/base/status.h"

#define NVM_EXTENT_SHIFT 20
#define NVM_EXTENT_BYTES (UINT64_C(1) << NVM_EXTENT_SHIFT)
#define NVM_EXTENTS_MAX (1u << 20) /* 1 TiB; the bitmap of it is 128 KiB */

#define NVM_POOL_MAGIC UINT64_C(0x4c4f50564b4d564e) /* "NVMKVPOL" */
#define NVM_POOL_FORMAT 1

#define NVM_POOL_OFFSET_MAGIC 0
#define NVM_POOL_OFFSET_FORMAT 8
#define NVM_POOL_OFFSET_EXTENT_BYTES 12
#define NVM_POOL_OFFSET_EXTENT_COUNT 16
#define NVM_POOL_OFFSET_ZERO1 20
#define NVM_POOL_OFFSET_SYSTEM 24
#define NVM_POOL_OFFSET_POOL_ID 32
#define NVM_POOL_OFFSET_ZERO2 40
#define NVM_POOL_OFFSET_CRC 60
#define NVM_POOL_HEADER_BYTES 64
#define NVM_POOL_PAGE_BYTES 4096

_Static_assert(NVM_EXTENT_BYTES == 1048576, "extent bytes are part of the format");
_Static_assert(NVM_POOL_OFFSET_CRC + 4 == NVM_POOL_HEADER_BYTES, "the crc ends the header");
_Static_assert(NVM_POOL_PAGE_BYTES <= NVM_EXTENT_BYTES, "the header's page is inside the first piece");

typedef struct NvmPoolHeader
{
	uint32_t extent_count;
	uint64_t system_identifier;
	uint64_t pool_id;
} NvmPoolHeader;

extern void nvm_pool_header_encode(const NvmPoolHeader *header, uint8_t bytes_out[NVM_POOL_HEADER_BYTES]);

/* CORRUPTION or VERSION; "path" is for the message. */
extern NvmkvStatus nvm_pool_header_decode(const uint8_t *bytes, const char *path, NvmPoolHeader *header_out);

extern bool nvm_pool_is_zero(const uint8_t *p, size_t size);

#endif
