/*
 * keynumber.h
 *	  Key bytes of numbers and times: keyvalue.h tells them.  For keyvalue.c.
 */
#ifndef NVMKV_FDW_KEYNUMBER_H
#define NVMKV_FDW_KEYNUMBER_H

#include "port/pg_bswap.h"

#include "lib/stringinfo.h"

#include "fdw/key/keyreader.h"

/* Big-endian. */
static inline void
nvmkv_key_append_uint(StringInfo buf, uint64 value, int width)
{
	uint64 big = pg_hton64(value << (8 * (8 - width)));

	appendBinaryStringInfo(buf, (const char *) &big, width);
}

static inline uint64
nvmkv_key_take_uint(NvmkvKeyReader *reader, int width)
{
	const uint8 *p = nvmkv_key_take(reader, (size_t) width);
	uint64 big = 0;

	memcpy((char *) &big + (8 - width), p, (size_t) width);
	big = pg_ntoh64(big);
	if (reader->flip)
		big = ~big;
	return width == 8 ? big : big & ((UINT64CONST(1) << (8 * width)) - 1);
}

static inline uint64
nvmkv_key_sign_bit(int width)
{
	return UINT64CONST(1) << (8 * width - 1);
}

extern void nvmkv_key_append_int(const NvmkvKeyType *how, StringInfo buf, Datum value);
extern void nvmkv_key_append_float(const NvmkvKeyType *how, StringInfo buf, Datum value);
extern void nvmkv_key_append_timetz(StringInfo buf, Datum value);
extern void nvmkv_key_append_interval(StringInfo buf, Datum value);
extern void nvmkv_key_append_numeric(StringInfo buf, Datum value);

extern Datum nvmkv_key_take_int(NvmkvKeyReader *reader, const NvmkvKeyType *how);
extern Datum nvmkv_key_take_timetz(NvmkvKeyReader *reader);
extern void nvmkv_key_skip_numeric(NvmkvKeyReader *reader);

#endif
