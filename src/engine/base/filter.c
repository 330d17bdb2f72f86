/*
 * filter.c
 *	  Blocked bloom filter: six bits of one 64-byte line a key.
 *
 * Six probes are within a few percent of the best number for 6 to 14 bits a
 * key, and a fixed number lets every reader probe every filter without knowing
 * how densely it was built.  The hash is XXH64 (seed 0 for keys, 1 for
 * prefixes), written out here because its value is part of the file formats.
 */
#include "engine/base/filter.h"
#include "engine/base/coding.h"

#define FILTER_PROBES 6

#define PRIME64_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME64_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME64_3 UINT64_C(0x165667B19E3779F9)
#define PRIME64_4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME64_5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t
rotl64(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline uint64_t
hash_round(uint64_t acc, uint64_t lane)
{
	return rotl64(acc + lane * PRIME64_2, 31) * PRIME64_1;
}

static inline uint64_t
hash_merge(uint64_t h, uint64_t acc)
{
	return (h ^ hash_round(0, acc)) * PRIME64_1 + PRIME64_4;
}

static inline uint64_t
seeded_hash(NvmkvSlice key, uint64_t seed)
{
	const uint8_t *p = key.data;
	size_t left = key.size;
	uint64_t h;

	if (left >= 32)
	{
		uint64_t a = seed + PRIME64_1 + PRIME64_2;
		uint64_t b = seed + PRIME64_2;
		uint64_t c = seed;
		uint64_t d = seed - PRIME64_1;

		for (; left >= 32; left -= 32, p += 32)
		{
			a = hash_round(a, get_u64(p));
			b = hash_round(b, get_u64(p + 8));
			c = hash_round(c, get_u64(p + 16));
			d = hash_round(d, get_u64(p + 24));
		}
		h = rotl64(a, 1) + rotl64(b, 7) + rotl64(c, 12) + rotl64(d, 18);
		h = hash_merge(h, a);
		h = hash_merge(h, b);
		h = hash_merge(h, c);
		h = hash_merge(h, d);
	}
	else
		h = seed + PRIME64_5;

	h += (uint64_t) key.size;
	for (; left >= 8; left -= 8, p += 8)
		h = rotl64(h ^ hash_round(0, get_u64(p)), 27) * PRIME64_1 + PRIME64_4;
	if (left >= 4)
	{
		h = rotl64(h ^ (uint64_t) get_u32(p) * PRIME64_1, 23) * PRIME64_2 + PRIME64_3;
		left -= 4;
		p += 4;
	}
	for (; left > 0; left--)
		h = rotl64(h ^ (uint64_t) *p++ * PRIME64_5, 11) * PRIME64_1;

	h = (h ^ h >> 33) * PRIME64_2;
	h = (h ^ h >> 29) * PRIME64_3;
	return h ^ h >> 32;
}

uint64_t
filter_hash(NvmkvSlice key)
{
	return seeded_hash(key, 0);
}

uint64_t
filter_prefix_hash(NvmkvSlice prefix)
{
	return seeded_hash(prefix, 1);
}

size_t
filter_bytes(uint64_t keys, unsigned bits_per_key)
{
	uint64_t bytes;

	if (bits_per_key == 0)
		return 0;
	bytes = (keys * bits_per_key + 7) / 8;
	bytes = (bytes + FILTER_LINE_BYTES - 1) / FILTER_LINE_BYTES * FILTER_LINE_BYTES;
	return bytes < FILTER_LINE_BYTES ? FILTER_LINE_BYTES : (size_t) bytes;
}

/* Offset of the key's line: high half of the hash scaled to the number of lines. */
static inline size_t
line_offset(size_t bytes, uint64_t hash)
{
	return (size_t) ((hash >> 32) * (uint64_t) (bytes / FILTER_LINE_BYTES) >> 32) * FILTER_LINE_BYTES;
}

/* The next bit number (0..511) from the running low half. */
static inline unsigned
next_bit(uint32_t *low)
{
	unsigned bit = *low >> 23;

	*low = (uint32_t) ((uint64_t) *low * 0x9E3779B9U);
	return bit;
}

void
filter_add(uint8_t *filter, size_t bytes, uint64_t hash)
{
	uint8_t *line;
	uint32_t low = (uint32_t) hash;
	unsigned i;

	if (bytes == 0)
		return;
	line = filter + line_offset(bytes, hash);
	for (i = 0; i < FILTER_PROBES; i++)
	{
		unsigned bit = next_bit(&low);

		line[bit >> 3] = (uint8_t) (line[bit >> 3] | 1u << (bit & 7));
	}
}

void
filter_add_atomic(uint8_t *filter, size_t bytes, uint64_t hash)
{
	uint8_t *line;
	uint32_t low = (uint32_t) hash;
	unsigned i;

	if (bytes == 0)
		return;
	line = filter + line_offset(bytes, hash);
	for (i = 0; i < FILTER_PROBES; i++)
	{
		unsigned bit = next_bit(&low);
		uint8_t mask = (uint8_t) (1u << (bit & 7));

		/* A plain look first: repeated keys must not bounce the line between processors. */
		if ((__atomic_load_n(&line[bit >> 3], __ATOMIC_RELAXED) & mask) == 0)
			(void) __atomic_fetch_or(&line[bit >> 3], mask, __ATOMIC_RELEASE);
	}
}

/* All probes whatever they find: an early end is decided by chance, and a wrong guess of it costs more than they do. */
bool
filter_may_contain(const uint8_t *filter, size_t bytes, uint64_t hash)
{
	const uint8_t *line;
	uint32_t low = (uint32_t) hash;
	unsigned all = 1;
	unsigned i;

	if (bytes == 0)
		return true;
	line = filter + line_offset(bytes, hash);
	for (i = 0; i < FILTER_PROBES; i++)
	{
		unsigned bit = next_bit(&low);

		all &= (unsigned) __atomic_load_n(&line[bit >> 3], __ATOMIC_RELAXED) >> (bit & 7);
	}
	return all != 0;
}

void
filter_prefetch(const uint8_t *filter, size_t bytes, uint64_t hash)
{
	if (bytes > 0)
		__builtin_prefetch(filter + line_offset(bytes, hash));
}
