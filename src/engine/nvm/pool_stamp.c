/*
 * pool_stamp.c
 *	  See pool_stamp.h.
 */
#include "engine/nvm/pool_stamp.h"

#include <string.h>

#include "engine/base/coding.h"
#include "engine/base/crc32c.h"

#define STAMP_MAGIC UINT64_C(0x4d5453564b4d564e) /* "NVMKVSTM" */
#define OFFSET_NUMBER 8
#define OFFSET_GENERATION 16
#define OFFSET_POSITION 24
#define OFFSET_LAST_ROW 32
#define OFFSET_ZERO 40
#define OFFSET_CRC 60

_Static_assert(OFFSET_CRC + 4 == NVM_STAMP_BYTES, "the crc ends the stamp");
_Static_assert(NVM_POOL_HEAD_BYTES <= NVM_EXTENT_BYTES, "stamps are before the first extent");

static uint64_t
slot_offset(uint64_t number)
{
	return (number % 2 + 1) * NVM_POOL_PAGE_BYTES;
}

void
nvm_stamp_encode(const NvmPoolStamp *stamp, uint8_t bytes_out[NVM_STAMP_BYTES])
{
	memset(bytes_out, 0, NVM_STAMP_BYTES);
	put_u64(bytes_out, STAMP_MAGIC);
	put_u64(bytes_out + OFFSET_NUMBER, stamp->number);
	put_u64(bytes_out + OFFSET_GENERATION, stamp->generation);
	put_u64(bytes_out + OFFSET_POSITION, stamp->position);
	put_u64(bytes_out + OFFSET_LAST_ROW, stamp->last_row);
	put_u32(bytes_out + OFFSET_CRC, crc32c_mask(crc32c(bytes_out, OFFSET_CRC)));
}

bool
nvm_stamp_decode(const uint8_t bytes[NVM_STAMP_BYTES], NvmPoolStamp *stamp_out)
{
	memset(stamp_out, 0, sizeof(*stamp_out));
	if (get_u64(bytes) != STAMP_MAGIC || get_u32(bytes + OFFSET_CRC) != crc32c_mask(crc32c(bytes, OFFSET_CRC)) ||
		!nvm_pool_is_zero(bytes + OFFSET_ZERO, OFFSET_CRC - OFFSET_ZERO) || get_u64(bytes + OFFSET_NUMBER) == 0 ||
		get_u64(bytes + OFFSET_GENERATION) == 0)
		return false;
	stamp_out->number = get_u64(bytes + OFFSET_NUMBER);
	stamp_out->generation = get_u64(bytes + OFFSET_GENERATION);
	stamp_out->position = get_u64(bytes + OFFSET_POSITION);
	stamp_out->last_row = get_u64(bytes + OFFSET_LAST_ROW);
	return true;
}

void
nvm_stamp_read(const uint8_t *base, uint64_t bytes, NvmPoolStamp *stamp_out)
{
	NvmPoolStamp slot;
	unsigned i;

	memset(stamp_out, 0, sizeof(*stamp_out));
	if (bytes < NVM_POOL_HEAD_BYTES)
		return;
	for (i = 0; i < 2; i++)
		if (nvm_stamp_decode(base + slot_offset(i), &slot) && slot.number % 2 == i && slot.number > stamp_out->number)
			*stamp_out = slot;
}

NvmkvStatus
nvm_stamp_write(NvmDevice *dev, const NvmPoolStamp *stamp)
{
	uint8_t bytes[NVM_STAMP_BYTES];
	uint64_t at = slot_offset(stamp->number);

	nvm_stamp_encode(stamp, bytes);
	NVMKV_RETURN_IF(port_fault("pool.before_stamp"));
	dev->ops->copy(dev, at, bytes, sizeof(bytes));
	NVMKV_RETURN_IF(dev->ops->persist(dev, at, sizeof(bytes)));
	return port_fault("pool.stamped");
}

NvmkvStatus
nvm_stamp_clear(NvmDevice *dev)
{
	static const uint8_t nothing[NVM_POOL_HEAD_BYTES - NVM_POOL_PAGE_BYTES];

	dev->ops->copy(dev, NVM_POOL_PAGE_BYTES, nothing, sizeof(nothing));
	return dev->ops->persist(dev, NVM_POOL_PAGE_BYTES, sizeof(nothing));
}
