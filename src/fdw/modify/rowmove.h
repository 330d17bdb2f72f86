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

/*
 * After the old row has been deleted: puts the new one where it belongs.  What ExecForeignUpdate has to return; NULL: a
 * trigger does not want it.
 */
extern TupleTableSlot *nvmkv_row_move(ModifyTableState *mtstate, EState *estate, ResultRelInfo *rri,
									  TupleTableSlot *slot);

#endif
