/*
 * ikey.c
 *	  Which type bytes exist.
 */
#include "engine/base/ikey.h"

bool
ikey_type_is_valid(unsigned type)
{
	switch (type)
	{
		case NVMKV_TYPE_DELETION:
		case NVMKV_TYPE_VALUE:
		case NVMKV_TYPE_RANGE_DELETION:
		case NVMKV_TYPE_TAGGED_DELETION:
		case NVMKV_TYPE_TAGGED_VALUE:
		case NVMKV_TYPE_TAGGED_LOCK:
		case NVMKV_TYPE_TAGGED_RANGE_DELETION:
		case NVMKV_TYPE_COMMITTED_DELETION:
		case NVMKV_TYPE_COMMITTED_VALUE:
		case NVMKV_TYPE_COMMITTED_RANGE_DELETION:
			return true;
		default:
			return false;
	}
}

bool
ikey_type_is_valid_in_table(unsigned type)
{
	if ((type & NVMKV_TYPE_APART_BIT) != 0)
		return (type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_VALUE && ikey_type_is_valid(type & ~NVMKV_TYPE_APART_BIT);
	return ikey_type_is_valid(type);
}

NvmkvStatus
ikey_successor(NvmkvSlice key, NvmkvBuf *buf)
{
	static const uint8_t zero = 0;

	NVMKV_RETURN_IF(nvmkv_buf_set(buf, key));
	return nvmkv_buf_append(buf, &zero, 1);
}
