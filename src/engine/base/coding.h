/*
 * coding.h
 *	  Little-endian fixed-width and base-128 variable-width integers.
 */
#ifndef NVMKV_BASE_CODING_H
#define NVMKV_BASE_CODING_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#define NVMKV_LE16(x) __builtin_bswap16(x)
#define NVMKV_LE32(x) __builtin_bswap32(x)
#define NVMKV_LE64(x) __builtin_bswap64(x)
#define NVMKV_BE64(x) (x)
#else
#define NVMKV_LE16(x) (x)
#define NVMKV_LE32(x) (x)
#define NVMKV_LE64(x) (x)
#define NVMKV_BE64(x) __builtin_bswap64(x)
#endif

static inline void
put_u16(uint8_t *p, uint16_t v)
{
	v = NVMKV_LE16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void
put_u32(uint8_t *p, uint32_t v)
{
	v = NVMKV_LE32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void
put_u64(uint8_t *p, uint64_t v)
{
	v = NVMKV_LE64(v);
	memcpy(p, &v, sizeof(v));
}

static inline uint16_t
get_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return NVMKV_LE16(v);
}

static inline uint32_t
get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return NVMKV_LE32(v);
}

static inline uint64_t
get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return NVMKV_LE64(v);
}

/* Big-endian: the first bytes of a key as a number that orders like memcmp. */
static inline uint64_t
get_be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return NVMKV_BE64(v);
}

static inline void
put_be64(uint8_t *p, uint64_t v)
{
	v = NVMKV_BE64(v);
	memcpy(p, &v, sizeof(v));
}

#define VARINT32_BYTES_MAX 5
#define VARINT64_BYTES_MAX 10

/* Writes v at p (room for VARINT64_BYTES_MAX); returns the first byte after it. */
static inline uint8_t *
put_varint(uint8_t *p, uint64_t v)
{
	while (v >= 0x80)
	{
		*p++ = (uint8_t) (v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t) v;
	return p;
}

/* Reads a varint from [p, end); NULL when it is cut off or wider than 64 bits. */
static inline const uint8_t *
get_varint(const uint8_t *p, const uint8_t *end, uint64_t *v_out)
{
	uint64_t v = 0;
	unsigned shift;

	for (shift = 0; shift < 64 && p < end; shift += 7)
	{
		uint8_t b = *p++;

		if (shift == 63 && b > 1)
			return NULL;
		v |= (uint64_t) (b & 0x7f) << shift;
		if ((b & 0x80) == 0)
		{
			*v_out = v;
			return p;
		}
	}
	return NULL;
}

static inline const uint8_t *
get_varint32(const uint8_t *p, const uint8_t *end, uint32_t *v_out)
{
	uint64_t v;

	p = get_varint(p, end, &v);
	if (p == NULL || v > UINT32_MAX)
		return NULL;
	*v_out = (uint32_t) v;
	return p;
}

static inline unsigned
varint_bytes(uint64_t v)
{
	unsigned n = 1;

	while (v >= 0x80)
	{
		v >>= 7;
		n++;
	}
	return n;
}

#endif
