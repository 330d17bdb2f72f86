/*
 * value_refs.c
 *	  See value_refs.h.  A table refers to few value tables, mostly to the one it
 *	  referred to last.
 */
#include "engine/sst/value_refs.h"

#include "engine/base/coding.h"
#include "engine/port/port.h"

void
value_refs_free(ValueRefs *refs)
{
	port_free(refs->shares);
	memset(refs, 0, sizeof(*refs));
}

/* Where the number is, or would be. */
static uint32_t
position(const ValueRefs *refs, uint64_t number)
{
	uint32_t lo = 0;
	uint32_t hi = refs->count;

	while (lo < hi)
	{
		uint32_t mid = lo + (hi - lo) / 2;

		if (refs->shares[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

ValueShare *
value_refs_find(const ValueRefs *refs, uint64_t number)
{
	uint32_t at = position(refs, number);

	return at < refs->count && refs->shares[at].number == number ? &refs->shares[at] : NULL;
}

NvmkvStatus
value_refs_add(ValueRefs *refs, uint64_t number, uint64_t bytes)
{
	uint32_t at = position(refs, number);

	if (at < refs->count && refs->shares[at].number == number)
	{
		refs->shares[at].bytes += bytes;
		return NVMKV_OK;
	}
	if (refs->count == refs->capacity)
	{
		uint32_t grown = refs->capacity == 0 ? 16 : 2 * refs->capacity;
		ValueShare *shares = port_realloc(refs->shares, grown * sizeof(ValueShare));

		if (shares == NULL)
			return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for references to %u value tables", grown);
		refs->shares = shares;
		refs->capacity = grown;
	}
	memmove(refs->shares + at + 1, refs->shares + at, (refs->count - at) * sizeof(ValueShare));
	refs->shares[at].number = number;
	refs->shares[at].bytes = bytes;
	refs->count++;
	return NVMKV_OK;
}

NvmkvStatus
value_refs_encode(const ValueRefs *refs, NvmkvBuf *buf)
{
	uint8_t bytes[2 * VARINT64_BYTES_MAX];
	uint32_t i;

	for (i = 0; i < refs->count; i++)
	{
		uint8_t *end = put_varint(put_varint(bytes, refs->shares[i].number), refs->shares[i].bytes);

		NVMKV_RETURN_IF(nvmkv_buf_append(buf, bytes, (size_t) (end - bytes)));
	}
	return NVMKV_OK;
}

/* The share at *p; false: malformed. */
static bool
next_share(const uint8_t **p, const uint8_t *end, ValueShare *share_out)
{
	*p = get_varint(*p, end, &share_out->number);
	if (*p != NULL)
		*p = get_varint(*p, end, &share_out->bytes);
	return *p != NULL;
}

NvmkvStatus
value_refs_add_list(ValueRefs *refs, NvmkvSlice list)
{
	const uint8_t *p = list.data;
	const uint8_t *end = list.data + list.size;
	ValueShare share;

	while (p < end && next_share(&p, end, &share))
		NVMKV_RETURN_IF(value_refs_add(refs, share.number, share.bytes));
	return NVMKV_OK;
}

bool
value_refs_check(NvmkvSlice list, uint64_t *bytes_out)
{
	const uint8_t *p = list.data;
	const uint8_t *end = list.data + list.size;
	uint64_t last = 0;
	uint64_t bytes = 0;

	while (p < end)
	{
		ValueShare share;

		if (!next_share(&p, end, &share) || share.number <= last || share.bytes == 0 ||
			share.bytes > UINT64_MAX - bytes)
			return false;
		last = share.number;
		bytes += share.bytes;
	}
	*bytes_out = bytes;
	return true;
}
