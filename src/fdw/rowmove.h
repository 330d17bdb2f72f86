/*
 * rowmove.h
 *	  An UPDATE that takes a row out of its partition.
 */
#ifndef NVMKV_FDW_ROWMOVE_H
#define NVMKV_FDW_ROWMOVE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

/*
 * Does the updated row belong to another partition than rri's?  Raises if it cannot be moved: the partition was named
 * in the statement, or the row comes from ON CONFLICT DO UPDATE.
 */
extern bool nvmkv_row_must_move(ModifyTableState *mtstate, EState *estate, ResultRelInfo *rri, TupleTableSlot *slot);

/* Before the old row is deleted.  False: a trigger does not want that. */
extern bool nvmkv_row_move_begin(ModifyTableState *mtstate, EState *estate, ResultRelInfo *rri, HeapTuple old_row);

/* After: puts the row where it belongs.  What ExecForeignUpdate has to return. */
extern TupleTableSlot *nvmkv_row_move_end(ModifyTableState *mtstate, EState *estate, ResultRelInfo *rri,
										  HeapTuple old_row, TupleTableSlot *slot);

#endif
