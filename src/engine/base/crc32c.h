/*
 * crc32c.h
 *	  CRC-32C (Castagnoli), by the processor's instruction where there is one.
 */
#ifndef NVMKV_BASE_CRC32C_H
#define NVMKV_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* crc of the concatenation of what "crc" covers (0 for nothing) and data[0..size). */
extern uint32_t crc32c_extend(uint32_t crc, const void *data, size_t size);

/* The same without special instructions where the processor has a choice: tests compare the two. */
extern uint32_t crc32c_extend_portable(uint32_t crc, const void *data, size_t size);

static inline uint32_t
crc32c(const void *data, size_t size)
{
	return crc32c_extend(0, data, size);
}

/* A stored crc is masked, so that a crc over bytes that contain crcs stays strong (LevelDB's log_format). */
static inline uint32_t
crc32c_mask(uint32_t crc)
{
	return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

static inline uint32_t
crc32c_unmask(uint32_t masked)
{
	uint32_t rot = masked - 0xa282ead8U;

	return (rot >> 17) | (rot << 15);
}

#endif
