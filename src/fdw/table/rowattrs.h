/*
 * rowattrs.h
 *	  What decoding rows needs of a table's columns.
 */
#ifndef NVMKV_FDW_ROWATTRS_H
#define NVMKV_FDW_ROWATTRS_H

#include "fdw/key/layout.h"

/* Sets attr_in_key and row_attrs from keys and tupdesc, in the current memory context. */
extern void nvmkv_describe_row_attrs(NvmkvTable *table);

#endif
