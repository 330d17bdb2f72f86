/*
 * keyvalue.h
 *	  The bytes of one value in a key, without what a column adds (keycode.h): NULL's byte and DESC.
 *
 * Order-preserving, and no value's bytes begin another's.  By class:
 *
 *	  INT			width bytes big-endian; the sign bit flipped when signed
 *	  FLOAT			width bytes big-endian of the IEEE bits: negative ones complemented, others with the sign bit set;
 *					-0 is written as 0, every NaN as all ones (after infinity)
 *	  BYTES_FIXED	the bytes
 *	  BYTES			each byte, 00 as 00 FF, then 00 01: shorter strings first
 *	  TIMETZ		instant (time + zone) as INT of 8, then zone as INT of 4: the order of timetz_cmp
 *	  NUMERIC		class; for finite non-zero values then weight and base-10000 digits (see numeric_append)
 *	  INTERVAL		whole days, a month taken for 30, as INT of 8; what is left of a day, 8 bytes
 *	  COLLATED		ICU's sort key as BYTES, then the text as BYTES: it decides between texts that the collation takes
 *					for equal
 *	  INET			family 1 byte; address with the bits behind the netmask zero, 4 or 16 bytes; length of the mask
 *					1 byte; address, 4 or 16 bytes: the order of network_cmp
 *	  BITS			the bytes as BYTES, then 1 byte: how many bits of the last one count, 0 if there is none
 *	  ARRAY, RANGE	see keycontainer.c; as BYTES
 *
 * All but FLOAT, NUMERIC, INTERVAL, ARRAY, RANGE, blank-padded strings and text in lower case give back the very datum
 * that was written.  These forget what their type's equality ignores (sign of zero, trailing zeros, trailing blanks),
 * or how the value was stored; the row's value keeps it.
 *
 * What is here is on disk: a change needs another class.  t/064_salvage.pl decodes keys of each by another program.
 */
#ifndef NVMKV_FDW_KEYVALUE_H
#define NVMKV_FDW_KEYVALUE_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/key/keyreader.h"

/* element: of a container, else not looked at. */
extern void nvmkv_key_value_append(const NvmkvKeyType *how, const NvmkvKeyType *element, StringInfo buf, Datum value);

/* Reads a value, of a class that gives it back; palloc'd, or it points into the key. */
extern Datum nvmkv_key_value_take(NvmkvKeyReader *reader, const NvmkvKeyType *how);
extern void nvmkv_key_value_skip(NvmkvKeyReader *reader, const NvmkvKeyType *how);

/* Does the class give back what was written, for whatever type? */
extern bool nvmkv_key_class_gives_back(NvmkvKeyClass key_class);

#endif
