/*
 * rowtrigger.h
 *	  Row triggers that the wrapper fires itself.
 */
#ifndef NVMKV_FDW_ROWTRIGGER_H
#define NVMKV_FDW_ROWTRIGGER_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

/* Of one target relation.  Zero: nothing has been taken, the functions below do nothing. */
typedef struct NvmkvRowTriggers
{
	TriggerDesc *all;	/* the relation's */
	TriggerDesc *shown; /* what the executor sees of them: none of those that are taken */
	TriggerDesc *of_move; /* without those of a DELETE that are not for a row which goes to another partition */
	bool upsert;		/* AFTER INSERT is taken, too */
} NvmkvRowTriggers;

/*
 * Takes BEFORE and AFTER ROW triggers of UPDATE and DELETE (for an upsert also AFTER ROW INSERT) away from the
 * executor, for the rest of the statement.  In the query's memory context.
 */
extern void nvmkv_row_triggers_take(NvmkvRowTriggers *triggers, ResultRelInfo *rri, bool upsert);

extern bool nvmkv_row_triggers_before_update(const NvmkvRowTriggers *triggers);
extern bool nvmkv_row_triggers_before_delete(const NvmkvRowTriggers *triggers);
extern bool nvmkv_row_triggers_on_update(const NvmkvRowTriggers *triggers);

/* BEFORE: false: a trigger does not want it.  slot is the new row, which triggers may change. */
extern bool nvmkv_fire_before_update(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
									 HeapTuple old_row, TupleTableSlot *slot);
extern bool nvmkv_fire_before_delete(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
									 HeapTuple old_row);

extern void nvmkv_fire_after_update(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
									HeapTuple old_row, TupleTableSlot *slot);
extern void nvmkv_fire_after_delete(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
									HeapTuple old_row, bool moves);
extern void nvmkv_fire_after_insert(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
									TupleTableSlot *slot);

#endif
