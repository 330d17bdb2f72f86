/*
 * rowtrigger.c
 *	  Row triggers of UPDATE, DELETE and ON CONFLICT, fired by the wrapper.
 *
 * For a heap table the executor locks the row, in its newest version, asks the
 * plan again if that is not the one the plan has found, and only then lets
 * BEFORE ROW triggers see it; AFTER ROW triggers get the version that was
 * replaced.  For a foreign table it fires them around the wrapper's call, with
 * the row the plan has found, which may be stale by then.  So the executor is
 * shown a description of the triggers in which these are missing, and the
 * wrapper fires them itself, at the points at which a heap's are.
 *
 * What is fired gets the whole description, for as long as it takes; an ERROR
 * in between ends the executor's state anyway.  AFTER triggers that wait for
 * the statement's end are found by their ids, in either.
 */
#include "postgres.h"

#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"

#include "fdw/compat/compat.h"
#include "fdw/modify/rowtrigger.h"

/* Is it of a foreign key that references the partitioned table?  For that a row that moves is updated (keymove.c). */
static bool
is_not_for_move(const Trigger *trigger)
{
	return trigger->tgisinternal && trigger->tgisclone && OidIsValid(trigger->tgconstraint) &&
		TRIGGER_FOR_DELETE(trigger->tgtype);
}

static TriggerDesc *
make_of_move(TriggerDesc *all)
{
	TriggerDesc *of_move = all;

	for (int i = 0; i < all->numtriggers; i++)
	{
		if (!is_not_for_move(&all->triggers[i]))
			continue;
		if (of_move == all)
		{
			of_move = palloc(sizeof(TriggerDesc));
			*of_move = *all;
			of_move->triggers = palloc(sizeof(Trigger) * (Size) all->numtriggers);
			memcpy(of_move->triggers, all->triggers, sizeof(Trigger) * (Size) all->numtriggers);
		}
		of_move->triggers[i].tgtype = 0; /* of no event */
	}
	return of_move;
}

void
nvmkv_row_triggers_take(NvmkvRowTriggers *triggers, ResultRelInfo *rri, bool upsert)
{
	if (rri->ri_TrigDesc == NULL || triggers->all != NULL)
		return;
	triggers->all = rri->ri_TrigDesc;
	triggers->upsert = upsert;
	triggers->shown = palloc(sizeof(TriggerDesc));
	*triggers->shown = *triggers->all;
	triggers->of_move = make_of_move(triggers->all);
	triggers->shown->trig_update_before_row = false;
	triggers->shown->trig_update_after_row = false;
	triggers->shown->trig_delete_before_row = false;
	triggers->shown->trig_delete_after_row = false;
	if (upsert)
		triggers->shown->trig_insert_after_row = false;
	rri->ri_TrigDesc = triggers->shown;
}

bool
nvmkv_row_triggers_before_update(const NvmkvRowTriggers *triggers)
{
	return triggers->all != NULL && triggers->all->trig_update_before_row;
}

bool
nvmkv_row_triggers_before_delete(const NvmkvRowTriggers *triggers)
{
	return triggers->all != NULL && triggers->all->trig_delete_before_row;
}

bool
nvmkv_row_triggers_on_update(const NvmkvRowTriggers *triggers)
{
	return triggers->all != NULL && (triggers->all->trig_update_before_row || triggers->all->trig_update_after_row);
}

bool
nvmkv_fire_before_update(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
						 HeapTuple old_row, TupleTableSlot *slot)
{
	bool go_on;

	if (!nvmkv_row_triggers_before_update(triggers))
		return true;
	rri->ri_TrigDesc = triggers->all;
	go_on = nvmkv_before_update_triggers(mtstate->ps.state, &mtstate->mt_epqstate, rri, old_row, slot);
	rri->ri_TrigDesc = triggers->shown;
	return go_on;
}

bool
nvmkv_fire_before_delete(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
						 HeapTuple old_row)
{
	bool go_on;

	if (!nvmkv_row_triggers_before_delete(triggers))
		return true;
	rri->ri_TrigDesc = triggers->all;
	go_on = nvmkv_before_delete_triggers(mtstate->ps.state, &mtstate->mt_epqstate, rri, old_row);
	rri->ri_TrigDesc = triggers->shown;
	return go_on;
}

void
nvmkv_fire_after_update(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
						HeapTuple old_row, TupleTableSlot *slot)
{
	if (triggers->all == NULL || !triggers->all->trig_update_after_row)
		return;
	rri->ri_TrigDesc = triggers->all;
	ExecARUpdateTriggers(mtstate->ps.state, rri, NULL, NULL, NULL, old_row, slot, NIL, NULL, false);
	rri->ri_TrigDesc = triggers->shown;
}

void
nvmkv_fire_after_delete(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
						HeapTuple old_row, bool moves)
{
	if (triggers->all == NULL || !triggers->all->trig_delete_after_row)
		return;
	rri->ri_TrigDesc = moves ? triggers->of_move : triggers->all;
	ExecARDeleteTriggers(mtstate->ps.state, rri, NULL, old_row, NULL, moves);
	rri->ri_TrigDesc = triggers->shown;
}

void
nvmkv_fire_after_insert(const NvmkvRowTriggers *triggers, ModifyTableState *mtstate, ResultRelInfo *rri,
						TupleTableSlot *slot)
{
	if (!triggers->upsert || !triggers->all->trig_insert_after_row)
		return;
	rri->ri_TrigDesc = triggers->all;
	ExecARInsertTriggers(mtstate->ps.state, rri, slot, NIL, NULL);
	rri->ri_TrigDesc = triggers->shown;
}
