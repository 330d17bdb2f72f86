/*
 * change.h
 *	  UPDATE and DELETE, row by row; the UPDATE within an upsert.
 */
#ifndef NVMKV_FDW_CHANGE_H
#define NVMKV_FDW_CHANGE_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "fdw/modify/modifystate.h"

/* FdwRoutine callbacks. */
extern TupleTableSlot *nvmkv_exec_update(EState *estate, ResultRelInfo *rri, TupleTableSlot *slot,
										 TupleTableSlot *plan_slot);
extern TupleTableSlot *nvmkv_exec_delete(EState *estate, ResultRelInfo *rri, TupleTableSlot *slot,
										 TupleTableSlot *plan_slot);

/* The end of the claimed row at modify->old_key, and of its old_entries.  REQUIRES its latch.  False: no room. */
extern bool nvmkv_change_write_end(NvmkvModify *modify, FullTransactionId fxid);

/* How a row is locked before it is known what the statement makes of it: does it set columns of the key? */
extern NvmkvLockMode nvmkv_change_lock_mode(NvmkvModify *modify, EState *estate, ResultRelInfo *rri);

/*
 * Replaces the row at modify->old_key, that with the anchor's version, by the one in slot, key included; all checks
 * are made here, and AFTER ROW triggers noted.  old_row: for triggers.  The slot that was written (another one when
 * the row had changed and was evaluated again), or NULL when there is nothing to update any more.
 */
extern TupleTableSlot *nvmkv_change_replace(NvmkvModify *modify, EState *estate, ResultRelInfo *rri,
											TupleTableSlot *slot, NvmkvRowAnchor anchor, HeapTuple old_row);

#endif
