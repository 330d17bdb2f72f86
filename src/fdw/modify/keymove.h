/*
 * keymove.h
 *	  Rows that an UPDATE moves to another partition, and the foreign keys that reference their partitioned table.
 */
#ifndef NVMKV_FDW_KEYMOVE_H
#define NVMKV_FDW_KEYMOVE_H

#include "postgres.h"

#include "commands/trigger.h"
#include "nodes/execnodes.h"

/* The statement may move rows to partitions of ours, or from them.  May be called again. */
extern void nvmkv_key_moves_begin(ModifyTableState *mtstate);

/*
 * A row has moved from a partition of ours to "target", where it is in "slot".  After the triggers of both.
 * REQUIRES nvmkv_key_moves_begin().
 */
extern void nvmkv_key_moves_fire(ModifyTableState *mtstate, ResultRelInfo *source, ResultRelInfo *target,
								 HeapTuple old_row, TupleTableSlot *slot);

/* Was the function of the partition's trigger called for a row that has moved? */
extern bool nvmkv_key_move_is_due(const TriggerData *trigger);

/* Then: what is kept of this row, as bytes in the current memory context. */
extern void *nvmkv_key_move_take(Size *size_out);

/* Are these bytes of a row that has moved?  No row of a table begins like that (deferredrow.h). */
extern bool nvmkv_key_move_is(const void *data, Size size);

/* Calls act() with the event that the server would have fired for the partitioned table. */
typedef void (*NvmkvKeyMoveAction) (TriggerData *trigger);
extern void nvmkv_key_move_act(const void *data, NvmkvKeyMoveAction act);

#endif
