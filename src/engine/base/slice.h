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

/* Order of user keys everywhere: bytes, then the shorter first. */
static inline int
slice_compare(NvmkvSlice a, NvmkvSlice b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int c = n > 0 ? memcmp(a.data, b.data, n) : 0;

	if (c != 0)
		return c;
	return a.size < b.size ? -1 : (a.size > b.size ? 1 : 0);
}

static inline bool
slice_equal(NvmkvSlice a, NvmkvSlice b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
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
