/*
 * keyscalar.h
 *	  Key bytes of what is no container: keyvalue.h tells them.  For keyvalue.c and keycontainer.c.
 */
#ifndef NVMKV_FDW_KEYSCALAR_H
#define NVMKV_FDW_KEYSCALAR_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/key/layout.h"

extern void nvmkv_key_scalar_append(const NvmkvKeyType *how, StringInfo buf, Datum value);

#endif
