/*
 * slice.h
 *	  A borrowed run of bytes, and a growing buffer that owns its bytes.
 */
#ifndef NVMKV_BASE_SLICE_H
#define NVMKV_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/status.h"

typedef struct NvmkvSlice
{
	const uint8_t *data;
	size_t size;
} NvmkvSlice;

static inline NvmkvSlice
nvmkv_slice(const void *data, size_t size)
{
	NvmkvSlice s = {(const uint8_t *) data, size};

	return s;
}

/* Keys of 8 to so many bytes are compared in line, by words: merges compare all the time, and most keys are short. */
#define SLICE_INLINE_BYTES 32

/* Eight bytes as a number that orders like them. */
static inline uint64_t
slice_word(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/* memcmp; the last word overlaps the one before, whose bytes are equal then. */
static inline int
slice_compare_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t i;

	if (n < 8 || n > SLICE_INLINE_BYTES)
		return n > 0 ? memcmp(a, b, n) : 0;
	for (i = 0;; i = i + 16 <= n ? i + 8 : n - 8)
	{
		uint64_t x = slice_word(a + i);
		uint64_t y = slice_word(b + i);

		if (x != y)
			return x < y ? -1 : 1;
		if (i + 8 == n)
			return 0;
	}
}

/* Order of user keys everywhere: bytes, then the shorter first. */
static inline int
slice_compare(NvmkvSlice a, NvmkvSlice b)
{
	int c = slice_compare_bytes(a.data, b.data, a.size < b.size ? a.size : b.size);

	if (c != 0)
		return c;
	return a.size < b.size ? -1 : (a.size > b.size ? 1 : 0);
}

static inline bool
slice_equal(NvmkvSlice a, NvmkvSlice b)
{
	return a.size == b.size && slice_compare_bytes(a.data, b.data, a.size) == 0;
}

static inline bool
slice_has_prefix(NvmkvSlice s, NvmkvSlice prefix)
{
	return s.size >= prefix.size && (prefix.size == 0 || memcmp(s.data, prefix.data, prefix.size) == 0);
}

/* Owned bytes.  Zero-initialise; release with nvmkv_buf_free. */
typedef struct NvmkvBuf
{
	uint8_t *data;
	size_t size;
	size_t capacity;
} NvmkvBuf;

extern NvmkvStatus nvmkv_buf_grow(NvmkvBuf *buf, size_t extra);
extern void nvmkv_buf_free(NvmkvBuf *buf);

/* Makes room for "extra" more bytes.  NO_MEMORY leaves the buffer as it was. */
static inline NvmkvStatus
nvmkv_buf_reserve(NvmkvBuf *buf, size_t extra)
{
	return extra <= buf->capacity - buf->size ? NVMKV_OK : nvmkv_buf_grow(buf, extra);
}

static inline NvmkvStatus
nvmkv_buf_append(NvmkvBuf *buf, const void *data, size_t size)
{
	if (size == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(buf, size));
	memcpy(buf->data + buf->size, data, size);
	buf->size += size;
	return NVMKV_OK;
}

static inline NvmkvStatus
nvmkv_buf_set(NvmkvBuf *buf, NvmkvSlice s)
{
	/* Room first: at failure the old bytes stay. */
	if (s.size > buf->capacity)
		NVMKV_RETURN_IF(nvmkv_buf_grow(buf, s.size - buf->size));
	buf->size = 0;
	return nvmkv_buf_append(buf, s.data, s.size);
}

static inline NvmkvSlice
nvmkv_buf_slice(const NvmkvBuf *buf)
{
	return nvmkv_slice(buf->data, buf->size);
}

#endif
