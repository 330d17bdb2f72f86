/*
 * crc32c.h
 *	  Stands in for the library of this name, so that LevelDB checks its blocks
 *	  by the processor's instruction, as the other engines of the benchmark do.
 */
#ifndef NVMKV_BENCH_CRC32C_H
#define NVMKV_BENCH_CRC32C_H

#include <nmmintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace crc32c
{

inline uint32_t
Extend(uint32_t crc, const uint8_t *data, size_t size)
{
	uint64_t reg = ~crc;

	for (; size >= 8; size -= 8, data += 8)
	{
		uint64_t word;

		memcpy(&word, data, sizeof(word));
		reg = _mm_crc32_u64(reg, word);
	}
	for (; size > 0; size--)
		reg = _mm_crc32_u8(static_cast<uint32_t>(reg), *data++);
	return ~static_cast<uint32_t>(reg);
}

} // namespace crc32c

#endif
