/*
 * keytext.h
 *	  Bounds of key ranges as text.
 */
#ifndef NVMKV_FDW_KEYTEXT_H
#define NVMKV_FDW_KEYTEXT_H

#include "postgres.h"

#include "fdw/key/layout.h"

/*
 * The keys of the table that are in [lower, upper), palloc'd: "from (a, b)=(1, x) to before (a)=(9)", "up to (a)=(9)",
 * "all".  Bounds need not be keys: a part of a key stands for the keys that begin with it.  What cannot be read as columns
 * is shown as bytes.  upper.size 0: no upper bound.
 */
extern char *nvmkv_key_range_text(const NvmkvTable *table, NvmkvSlice lower, NvmkvSlice upper);

/* The same where the table's definition is not to be had: bytes. */
extern char *nvmkv_key_range_bytes_text(uint64 storage_id, NvmkvSlice lower, NvmkvSlice upper);

#endif
