/*
 * buf.c
 *	  The growing buffer of slice.h.
 *
 * Growth doubles, so appending is linear in the bytes appended.
 */
#include "engine/base/slice.h"

#include <stdlib.h>

#define BUF_BYTES_MIN 64

NvmkvStatus
nvmkv_buf_reserve(NvmkvBuf *buf, size_t extra)
{
	size_t capacity;
	uint8_t *data;

	if (extra <= buf->capacity - buf->size)
		return NVMKV_OK;
	if (extra > SIZE_MAX / 2 - buf->size)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "buffer of %zu bytes cannot grow by %zu", buf->size, extra);
	capacity = buf->capacity * 2;
	if (capacity < buf->size + extra)
		capacity = buf->size + extra;
	if (capacity < BUF_BYTES_MIN)
		capacity = BUF_BYTES_MIN;
	data = realloc(buf->data, capacity);
	if (data == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for a buffer of %zu bytes", capacity);
	buf->data = data;
	buf->capacity = capacity;
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_buf_append(NvmkvBuf *buf, const void *data, size_t size)
{
	if (size == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(buf, size));
	memcpy(buf->data + buf->size, data, size);
	buf->size += size;
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_buf_set(NvmkvBuf *buf, NvmkvSlice s)
{
	/* Room first: at failure the old bytes stay. */
	if (s.size > buf->capacity)
		NVMKV_RETURN_IF(nvmkv_buf_reserve(buf, s.size - buf->size));
	buf->size = 0;
	return nvmkv_buf_append(buf, s.data, s.size);
}

void
nvmkv_buf_free(NvmkvBuf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->size = 0;
	buf->capacity = 0;
}
