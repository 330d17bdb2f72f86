/*
 * pool_stamp.h
 *	  What a pool says of the database that opened it last.
 *
 * The header never changes, and a file of another time, or one that somebody
 * else has used since, has the same.  So each opening gives the pool a generation,
 * a random number that the tree's manifest has, too, and each row leaves its
 * id before anybody knows of it.  A tree's pool is the one of the generation the
 * manifest names, and has seen the id of every row the manifest has: then it has
 * each of them, but for damage.
 *
 * Two slots, number % 2, each in a page of its own behind the header's: one is
 * at (number % 2 + 1) * 4096.  Little-endian:
 *	  offset	bytes
 *	   0		8		magic "NVMKVSTM"
 *	   8		8		number, from 1; the larger one counts
 *	  16		8		generation, never 0
 *	  24		8		log position up to which the tree had everything when it was opened
 *	  32		8		highest id of a row that was written, or was in the tree when it was opened
 *	  40		20		zero
 *	  60		4		masked crc32c of bytes 0..59
 * A slot whose crc is wrong, or of zeros, counts for nothing.
 *
 * Crash: a slot is written only while the other one is durable, so that one of
 * them is whole.  A write that is not known to have become durable is repeated in
 * its own slot.
 *
 * Example, first opening, generation 0x21, position 256, row 5:
 *	  4e 56 4d 4b 56 53 54 4d  01 00 ..  21 00 ..  00 01 00 ..  05 00 ..  00 * 20  crc
 */
#ifndef NVMKV_NVM_POOL_STAMP_H
#define NVMKV_NVM_POOL_STAMP_H

#include "engine/nvm/device.h"
#include "engine/nvm/pool_format.h"

#define NVM_STAMP_BYTES 64

/* What a pool begins with: all that is left of one that is given up. */
#define NVM_POOL_HEAD_BYTES (3 * NVM_POOL_PAGE_BYTES)

typedef struct NvmPoolStamp
{
	uint64_t number; /* 0: nobody has opened the pool yet, and the rest is 0, too */
	uint64_t generation, position, last_row;
} NvmPoolStamp;

/* The stamp of a pool whose first "bytes" are at "base". */
extern void nvm_stamp_read(const uint8_t *base, uint64_t bytes, NvmPoolStamp *stamp_out);

/*
 * Writes the stamp, durably.  REQUIRES that the one of number - 1 is durable, or that there is none.  The medium's
 * errors.
 */
extern NvmkvStatus nvm_stamp_write(NvmDevice *dev, const NvmPoolStamp *stamp);

/* Takes all stamps away: of a pool that is being made. */
extern NvmkvStatus nvm_stamp_clear(NvmDevice *dev);

/* ---- for tests ---- */
extern void nvm_stamp_encode(const NvmPoolStamp *stamp, uint8_t bytes_out[NVM_STAMP_BYTES]);
extern bool nvm_stamp_decode(const uint8_t bytes[NVM_STAMP_BYTES], NvmPoolStamp *stamp_out);

#endif
