/*
 * keyreader.h
 *	  Taking the bytes of a key one after the other.
 */
#ifndef NVMKV_FDW_KEYREADER_H
#define NVMKV_FDW_KEYREADER_H

#include "postgres.h"

#include "fdw/compat/compat.h"
#include "fdw/key/layout.h"

/* Bytes of a key that are still to be read. */
typedef struct NvmkvKeyReader
{
	const NvmkvTable *table; /* for messages */
	const uint8 *p;
	const uint8 *end;
	uint8 flip; /* 0, or 0xff undoes DESC */
} NvmkvKeyReader;

/* ERROR XX001. */
pg_noreturn extern void nvmkv_key_report_malformed(const NvmkvTable *table);

/* The next bytes as they are, flipped if they are.  ERROR XX001 when there are not so many. */
static inline const uint8 *
nvmkv_key_take(NvmkvKeyReader *reader, size_t size)
{
	const uint8 *p = reader->p;

	if (unlikely((size_t) (reader->end - p) < size))
		nvmkv_key_report_malformed(reader->table);
	reader->p += size;
	return p;
}

#endif
