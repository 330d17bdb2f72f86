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
nvmkv_buf_grow(NvmkvBuf *buf, size_t extra)
{
	size_t capacity;
	uint8_t *data;

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

void
nvmkv_buf_free(NvmkvBuf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->size = 0;
	buf->capacity = 0;
}
