/*
 * earlylock.h
 *	  Target rows of tables with row triggers are locked when they are scanned.
 */
#ifndef NVMKV_FDW_EARLYLOCK_H
#define NVMKV_FDW_EARLYLOCK_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

#include "engine/nvmkv.h"
#include "fdw/table.h"

typedef struct NvmkvEarlyLock NvmkvEarlyLock;

/* NULL unless the rows of this scan are to be locked.  In the current memory context. */
extern NvmkvEarlyLock *nvmkv_early_lock_begin(ForeignScanState *node, NvmkvDb *db, const NvmkvTable *table);

/*
 * Locks the scanned row in slot, if it is one the statement means, and brings its newest version into slot (valid
 * until the next call).  False: the row is gone.
 */
extern bool nvmkv_early_lock_row(NvmkvEarlyLock *lock, ForeignScanState *node, NvmkvSlice key, TupleTableSlot *slot);

#endif
