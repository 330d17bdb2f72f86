/*
 * keystring.h
 *	  Key bytes of strings, addresses and bit strings: keyvalue.h tells them.  For keyvalue.c and keycontainer.c.
 */
#ifndef NVMKV_FDW_KEYSTRING_H
#define NVMKV_FDW_KEYSTRING_H

#include "lib/stringinfo.h"

#include "fdw/key/keyreader.h"

/* The bytes as BYTES. */
extern void nvmkv_key_append_escaped(StringInfo buf, const char *data, size_t size);

/* BYTES and COLLATED. */
extern void nvmkv_key_append_string(const NvmkvKeyType *how, StringInfo buf, Datum value);
extern void nvmkv_key_append_inet(StringInfo buf, Datum value);
extern void nvmkv_key_append_bits(StringInfo buf, Datum value);

extern Datum nvmkv_key_take_string(NvmkvKeyReader *reader, const NvmkvKeyType *how);
extern Datum nvmkv_key_take_fixed(NvmkvKeyReader *reader, const NvmkvKeyType *how);
extern Datum nvmkv_key_take_inet(NvmkvKeyReader *reader);
extern Datum nvmkv_key_take_bits(NvmkvKeyReader *reader);

extern void nvmkv_key_skip_escaped(NvmkvKeyReader *reader);
extern void nvmkv_key_skip_inet(NvmkvKeyReader *reader);

#endif
