/*
 * value_read.h
 *	  Reading values that stand apart from their keys (sst_format.h).
 */
#ifndef NVMKV_SST_VALUE_READ_H
#define NVMKV_SST_VALUE_READ_H

#include "engine/sst/table_cache.h"

typedef struct ValueBlock
{
	SstTable *table;
	SstBlock block;
	NvmkvSlice value;
} ValueBlock;

/*
 * The value that stands apart for an entry; its payload without the transaction tag is the reference.  use: as for
 * sst_table_block.  CORRUPTION: also when another entry's value is there.  To be closed, in the same epoch and on every
 * path: nothing that raises may come between.
 */
extern NvmkvStatus value_open(TableCache *tables, NvmkvSlice key, uint64_t tag, NvmkvSlice reference, SstBlockUse use,
							  ValueBlock *out);
extern void value_close(ValueBlock *value);

/*
 * The same for a compaction, which goes round damage: OK with *lost_out: the value cannot be read, not for the second
 * time and past all caches, either; then there is nothing to be closed.
 */
extern NvmkvStatus value_open_or_lost(TableCache *tables, NvmkvSlice key, uint64_t tag, NvmkvSlice reference,
									  ValueBlock *out, bool *lost_out);

/*
 * Who is told what value_verify does not find: values of "entries" entries, one behind the other, from key "low" to key
 * "last"; the text says why the first of them cannot be read.
 */
typedef struct ValueLost ValueLost;
struct ValueLost
{
	void (*tell)(ValueLost *lost, const char *text, uint64_t entries, NvmkvSlice low, NvmkvSlice last);
};

/* Reads every value that the table refers to.  Else as sst_verify.  REQUIRES that the value tables stay. */
extern NvmkvStatus value_verify(TableCache *tables, uint64_t number, uint64_t file_bytes, ValueLost *lost);

#endif
