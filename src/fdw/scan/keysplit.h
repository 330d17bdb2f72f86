/*
 * keysplit.h
 *	  Cuts a range of keys into parts of about the same size.
 */
#ifndef NVMKV_FDW_KEYSPLIT_H
#define NVMKV_FDW_KEYSPLIT_H

#include "postgres.h"

#include "engine/nvmkv.h"

/*
 * Keys that cut [lower, upper) into up to nparts parts, ascending, into cuts (room for nparts - 1), palloc'd in the
 * current context.  Returns how many: fewer than asked for when the engine's estimates do not tell the parts apart.
 * Reads no rows.  An empty "upper" is no bound to go by.
 */
extern int nvmkv_key_split(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, int nparts, NvmkvSlice *cuts);

#endif
