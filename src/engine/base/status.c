/*
 * status.c
 *	  The thread's failure record.
 *
 * nvmkv_fail_at is the only writer, so one breakpoint there sees every
 * detection of every failure.  It allocates nothing and keeps errno, because a
 * caller may still want to look at it.
 */
#include "engine/base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local NvmkvError last_error;

const NvmkvError *
nvmkv_error(void)
{
	return &last_error;
}

const char *
nvmkv_status_name(NvmkvStatus status)
{
	switch (status)
	{
		case NVMKV_OK:
			return "ok";
		case NVMKV_NOT_FOUND:
			return "not found";
		case NVMKV_INVALID:
			return "invalid";
		case NVMKV_CORRUPTION:
			return "corruption";
		case NVMKV_VERSION:
			return "unknown format version";
		case NVMKV_IO:
			return "input/output error";
		case NVMKV_NO_SPACE:
			return "no space";
		case NVMKV_NO_MEMORY:
			return "no memory";
		case NVMKV_LIMIT:
			return "limit exceeded";
		case NVMKV_BUSY:
			return "busy";
		case NVMKV_CANCELLED:
			return "cancelled";
		case NVMKV_READ_ONLY:
			return "read only";
		case NVMKV_NOT_SUPPORTED:
			return "not supported";
	}
	return "unknown status";
}

NvmkvStatus
nvmkv_fail_at(NvmkvStatus status, int sys_errno, const char *file, int line, const char *fmt, ...)
{
	int saved_errno = errno;
	char text[NVMKV_ERROR_TEXT_MAX];
	va_list args;

	/* Through a local buffer: an argument may be the text of the record itself. */
	va_start(args, fmt);
	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		text[0] = '\0';
	va_end(args);

	last_error.status = status;
	last_error.sys_errno = sys_errno;
	last_error.file = file;
	last_error.line = line;
	memcpy(last_error.text, text, strlen(text) + 1);
	last_error.low_size = last_error.upper_size = 0;
	errno = saved_errno;
	return status;
}

static uint32_t
copy_key(uint8_t to[NVMKV_ERROR_KEY_BYTES], const uint8_t *key, size_t size)
{
	if (size > NVMKV_ERROR_KEY_BYTES)
		size = NVMKV_ERROR_KEY_BYTES;
	if (size > 0)
		memcpy(to, key, size);
	return (uint32_t) size;
}

void
nvmkv_fail_keys(const uint8_t *low, size_t low_size, const uint8_t *upper, size_t upper_size, uint64_t newest)
{
	last_error.low_size = copy_key(last_error.low, low, low_size);
	last_error.upper_size = copy_key(last_error.upper, upper, upper_size);
	last_error.newest = newest;
}
