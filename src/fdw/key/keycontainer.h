/*
 * keycontainer.h
 *	  Key bytes of arrays and ranges.  For keyvalue.c.
 */
#ifndef NVMKV_FDW_KEYCONTAINER_H
#define NVMKV_FDW_KEYCONTAINER_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/key/layout.h"

extern void nvmkv_key_append_array(const NvmkvKeyType *element, StringInfo buf, Datum value);
extern void nvmkv_key_append_range(const NvmkvKeyType *element, StringInfo buf, Datum value);

#endif
