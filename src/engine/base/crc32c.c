/*
 * crc32c.c
 *	  CRC-32C: the processor's instruction, or eight tables.
 *
 * The instruction takes three cycles but can start in every one.  Long inputs
 * are therefore worked on in three lanes, whose registers are put together by a
 * carry-less multiplication.
 *
 * Reflected polynomial 0x82f63b78.  The way is chosen at the first call; the
 * choice and the tables are idempotent, so racing first calls are harmless.
 */
#include "engine/base/crc32c.h"
#include "engine/base/coding.h"

#include <stdbool.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#define CRC32C_HAVE_SSE42 1
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define CRC32C_HAVE_ARM 1
#endif

/* All ways work on the inverted register: init and final inversion are the caller's. */
typedef uint32_t (*Crc32cWay)(uint32_t crc, const uint8_t *p, size_t size);

#if defined(CRC32C_HAVE_SSE42)

__attribute__((target("sse4.2"))) static uint32_t
extend_sse42(uint32_t crc, const uint8_t *p, size_t size)
{
	uint64_t crc64 = crc;

	for (; size > 0 && ((uintptr_t) p & 7) != 0; size--)
		crc64 = _mm_crc32_u8((uint32_t) crc64, *p++);
	for (; size >= 32; size -= 32, p += 32)
	{
		crc64 = _mm_crc32_u64(crc64, get_u64(p));
		crc64 = _mm_crc32_u64(crc64, get_u64(p + 8));
		crc64 = _mm_crc32_u64(crc64, get_u64(p + 16));
		crc64 = _mm_crc32_u64(crc64, get_u64(p + 24));
	}
	for (; size >= 8; size -= 8, p += 8)
		crc64 = _mm_crc32_u64(crc64, get_u64(p));
	for (; size > 0; size--)
		crc64 = _mm_crc32_u8((uint32_t) crc64, *p++);
	return (uint32_t) crc64;
}

/*
 * A lane of n bytes.  x1, x2: x^(8n - 33) and x^(16n - 33) modulo the polynomial, reflected: the register 0x01000000
 * (x^7) after n - 5 and 2n - 5 zero bytes.
 */
typedef struct Lanes
{
	size_t bytes;
	uint64_t x1, x2;
} Lanes;

static const Lanes long_lanes = {1024, 0x170076fa, 0xa51b6135};
static const Lanes short_lanes = {128, 0x0d3b6092, 0xb9e02b86};

/*
 * Three lanes.  The first register has to pass the zeros of two lanes, the second those of one: the product of two
 * reflected 32-bit polynomials is one x too high for its 64-bit word, and the instruction multiplies by x^32.
 */
__attribute__((target("sse4.2,pclmul"))) static uint32_t
extend_lanes(uint32_t crc, const uint8_t *p, const Lanes *lanes)
{
	const uint8_t *end = p + lanes->bytes;
	uint64_t a = crc;
	uint64_t b = 0;
	uint64_t c = 0;
	__m128i a_shifted;
	__m128i b_shifted;

	for (; p < end; p += 8)
	{
		a = _mm_crc32_u64(a, get_u64(p));
		b = _mm_crc32_u64(b, get_u64(p + lanes->bytes));
		c = _mm_crc32_u64(c, get_u64(p + 2 * lanes->bytes));
	}
	a_shifted = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t) a), _mm_cvtsi64_si128((int64_t) lanes->x2), 0);
	b_shifted = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t) b), _mm_cvtsi64_si128((int64_t) lanes->x1), 0);
	return (uint32_t) (c ^ _mm_crc32_u64(0, (uint64_t) _mm_cvtsi128_si64(_mm_xor_si128(a_shifted, b_shifted))));
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t
extend_three(uint32_t crc, const uint8_t *p, size_t size)
{
	for (; size >= 3 * long_lanes.bytes; size -= 3 * long_lanes.bytes, p += 3 * long_lanes.bytes)
		crc = extend_lanes(crc, p, &long_lanes);
	for (; size >= 3 * short_lanes.bytes; size -= 3 * short_lanes.bytes, p += 3 * short_lanes.bytes)
		crc = extend_lanes(crc, p, &short_lanes);
	return extend_sse42(crc, p, size);
}

#endif

#if defined(CRC32C_HAVE_ARM)

static uint32_t
extend_arm(uint32_t crc, const uint8_t *p, size_t size)
{
	for (; size >= 8; size -= 8, p += 8)
		crc = __crc32cd(crc, get_u64(p));
	for (; size > 0; size--)
		crc = __crc32cb(crc, *p++);
	return crc;
}

#else

/* table[k][b]: the register after byte b and k zero bytes. */
static uint32_t table[8][256];
static bool table_ready;

static void
build_table(void)
{
	uint32_t b;
	unsigned k;

	for (b = 0; b < 256; b++)
	{
		uint32_t crc = b;

		for (k = 0; k < 8; k++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
		__atomic_store_n(&table[0][b], crc, __ATOMIC_RELAXED);
	}
	for (b = 0; b < 256; b++)
	{
		for (k = 1; k < 8; k++)
			__atomic_store_n(&table[k][b], (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xff], __ATOMIC_RELAXED);
	}
	__atomic_store_n(&table_ready, true, __ATOMIC_RELEASE);
}

static uint32_t
extend_table(uint32_t crc, const uint8_t *p, size_t size)
{
	if (!__atomic_load_n(&table_ready, __ATOMIC_ACQUIRE))
		build_table();
	for (; size >= 8; size -= 8, p += 8)
	{
		uint64_t v = get_u64(p) ^ crc;

		crc = table[7][v & 0xff] ^ table[6][(v >> 8) & 0xff] ^
			  table[5][(v >> 16) & 0xff] ^ table[4][(v >> 24) & 0xff] ^
			  table[3][(v >> 32) & 0xff] ^ table[2][(v >> 40) & 0xff] ^
			  table[1][(v >> 48) & 0xff] ^ table[0][v >> 56];
	}
	for (; size > 0; size--)
		crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xff];
	return crc;
}

#endif

static Crc32cWay
choose_way(void)
{
#if defined(CRC32C_HAVE_ARM)
	return extend_arm;
#else
#if defined(CRC32C_HAVE_SSE42)
	if (__builtin_cpu_supports("sse4.2"))
		return __builtin_cpu_supports("pclmul") ? extend_three : extend_sse42;
#endif
	return extend_table;
#endif
}

uint32_t
crc32c_extend(uint32_t crc, const void *data, size_t size)
{
	static Crc32cWay way;
	Crc32cWay w = __atomic_load_n(&way, __ATOMIC_RELAXED);

	if (w == NULL)
	{
		w = choose_way();
		__atomic_store_n(&way, w, __ATOMIC_RELAXED);
	}
	return ~w(~crc, data, size);
}

uint32_t
crc32c_extend_portable(uint32_t crc, const void *data, size_t size)
{
#if defined(CRC32C_HAVE_ARM)
	return crc32c_extend(crc, data, size);
#else
	return ~extend_table(~crc, data, size);
#endif
}
