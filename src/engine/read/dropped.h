/*
 * dropped.h
 *	  Is a storage dropped for good?
 */
#ifndef NVMKV_READ_DROPPED_H
#define NVMKV_READ_DROPPED_H

#include "engine/nvmkv.h"

/* GcFilter's question: does a frozen range deletion stand at this prefix?  ctx: NvmkvDb. */
extern NvmkvStatus db_storage_dropped(void *ctx, NvmkvSlice storage, bool *dropped_out);

#endif
