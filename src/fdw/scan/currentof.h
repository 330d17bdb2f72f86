/*
 * currentof.h
 *	  Scans for the row that a cursor stands on: WHERE CURRENT OF.
 */
#ifndef NVMKV_FDW_CURRENTOF_H
#define NVMKV_FDW_CURRENTOF_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "nodes/primnodes.h"

#include "engine/nvmkv.h"

typedef struct NvmkvCurrentOf NvmkvCurrentOf;

/* In the current memory context, which must outlive it. */
extern NvmkvCurrentOf *nvmkv_currentof_create(const CurrentOfExpr *expr);

/*
 * Where is the row for the snapshot of this scan, which is open?  Raises what the server does when the cursor has no
 * row of a table that could be changed.  Takes the latches of keys.
 */
extern void nvmkv_currentof_evaluate(NvmkvCurrentOf *current, ForeignScanState *node);

/* The key of the row, once; false: there is none (any more). */
extern bool nvmkv_currentof_next(NvmkvCurrentOf *current, NvmkvSlice *key_out);

/* Is the version with this sequence, at that key, one of the row? */
extern bool nvmkv_currentof_has(const NvmkvCurrentOf *current, uint64 sequence);

#endif
