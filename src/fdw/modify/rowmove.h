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
 * What the executor does with the row that an UPDATE returns, RETURNING and the checks of views, it does for the table
 * that was to be updated.  A row that has moved has been through that where it is now; until the next row comes, the
 * executor finds nothing to check here and a projection that hands the result on.  Zero at the beginning.
 */
typedef struct NvmkvMoved
{
	bool shown;				   /* the following are the table's own, and not in their places */
	ProjectionInfo *returning; /* may be NULL */
	List *checks;
	ProjectionInfo *hand_on; /* made when it is needed */
	TupleTableSlot *result;	 /* of RETURNING */
	TupleTableSlot *old_in_root; /* the row as it was, as one of the partitioned table; made when it is needed */
} NvmkvMoved;

/*
 * After the old row, which is old_row and in "old", has been deleted: puts the new one where it belongs.  What
 * ExecForeignUpdate has to return; NULL: a trigger does not want it.  plan_slot: what the plan has found.
 */
extern TupleTableSlot *nvmkv_row_move(NvmkvMoved *moved, ModifyTableState *mtstate, EState *estate, ResultRelInfo *rri,
									  HeapTuple old_row, TupleTableSlot *old, TupleTableSlot *slot,
									  TupleTableSlot *plan_slot);

/* Before the next row of the table is updated, or comes in. */
extern void nvmkv_row_move_done(NvmkvMoved *moved, ResultRelInfo *rri);

#endif
