/*
 * rowmove.c
 *	  Rows that an UPDATE moves from a foreign partition to another one.
 *
 * The executor does this for heap partitions and leaves it to a wrapper to do
 * without.  It is a delete and an insert into the root, routed
 * again, with the triggers of both; this follows ExecCrossPartitionUpdate and
 * ExecInsert.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/tupconvert.h"
#include "commands/trigger.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/modify/keymove.h"
#include "fdw/modify/rowmove.h"

bool
nvmkv_row_must_move(ModifyTableState *mtstate, EState *estate, ResultRelInfo *rri, TupleTableSlot *slot)
{
	if (!rri->ri_RelationDesc->rd_rel->relispartition || ExecPartitionCheck(rri, slot, estate, false))
		return false;
	if (((ModifyTable *) mtstate->ps.plan)->onConflictAction == ONCONFLICT_UPDATE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("invalid ON UPDATE specification"),
				 errdetail("The result tuple would appear in a different partition than the original tuple.")));
	if (rri == mtstate->rootResultRelInfo)
		ExecPartitionCheckEmitError(rri, slot, estate);
	if (mtstate->mt_transition_capture != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot move a row out of foreign table \"%s\" with this statement",
						RelationGetRelationName(rri->ri_RelationDesc)),
				 errdetail("The partitioned table has triggers with transition tables.")));
	return true;
}

/* The partition for the row in *slot, which becomes one of its row type. */
static ResultRelInfo *
find_partition(ModifyTableState *mtstate, EState *estate, ResultRelInfo *source, TupleTableSlot **slot)
{
	Relation root = mtstate->rootResultRelInfo->ri_RelationDesc;
	ResultRelInfo *target;
	TupleConversionMap *map;

	if (mtstate->mt_partition_tuple_routing == NULL)
	{
		MemoryContext old_context = MemoryContextSwitchTo(estate->es_query_cxt);

		mtstate->mt_partition_tuple_routing = ExecSetupPartitionTupleRouting(estate, root);
		mtstate->mt_root_tuple_slot = table_slot_create(root, NULL);
		MemoryContextSwitchTo(old_context);
	}

	map = ExecGetChildToRootMap(source);
	if (map != NULL)
		*slot = execute_attr_map_slot(map->attrMap, *slot, mtstate->mt_root_tuple_slot);
	target = ExecFindPartition(mtstate, mtstate->rootResultRelInfo, mtstate->mt_partition_tuple_routing, *slot, estate);
	map = ExecGetRootToChildMap(target, estate);
	if (map != NULL)
		*slot = execute_attr_map_slot(map->attrMap, *slot, target->ri_PartitionTupleSlot);
	return target;
}

/* ExecInsert's branch for heaps. */
static List *
insert_into_heap(EState *estate, ResultRelInfo *target, TupleTableSlot *slot)
{
	Relation rel = target->ri_RelationDesc;

	if (target->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(WCO_RLS_UPDATE_CHECK, target, slot, estate);
	if (RelationGetDescr(rel)->constr != NULL)
		ExecConstraints(target, slot, estate);
	if (target->ri_TrigDesc != NULL && target->ri_TrigDesc->trig_insert_before_row)
		ExecPartitionCheck(target, slot, estate, true);
	if (rel->rd_rel->relhasindex && target->ri_IndexRelationDescs == NULL)
		ExecOpenIndices(target, false);
	table_tuple_insert(rel, slot, estate->es_output_cid, 0, NULL);
	if (target->ri_NumIndices == 0)
		return NIL;
	return nvmkv_insert_index_tuples(target, slot, estate);
}

/* What is in the table then; NULL: a trigger or a wrapper does not want the row. */
static TupleTableSlot *
insert_row(ModifyTableState *mtstate, EState *estate, ResultRelInfo *target, TupleTableSlot *slot)
{
	Relation rel = target->ri_RelationDesc;
	TupleConstr *constraints = RelationGetDescr(rel)->constr;
	List *recheck_indexes = NIL;

	ExecMaterializeSlot(slot);
	slot->tts_tableOid = RelationGetRelid(rel);
	if (target->ri_TrigDesc != NULL && target->ri_TrigDesc->trig_insert_before_row &&
		!ExecBRInsertTriggers(estate, target, slot))
		return NULL;
	if (constraints != NULL && constraints->has_generated_stored)
		ExecComputeStoredGenerated(target, estate, slot, CMD_INSERT);
	if (target->ri_FdwRoutine != NULL)
	{
		slot = target->ri_FdwRoutine->ExecForeignInsert(estate, target, slot, slot);
		if (slot == NULL)
			return NULL;
		slot->tts_tableOid = RelationGetRelid(rel);
	}
	else
		recheck_indexes = insert_into_heap(estate, target, slot);

	ExecARInsertTriggers(estate, target, slot, recheck_indexes, mtstate->mt_transition_capture);
	list_free(recheck_indexes);
	if (target->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(WCO_VIEW_CHECK, target, slot, estate);
	return slot;
}

/* ---------------------------------------------------------------- RETURNING */

/* A projection of RETURNING's result upon itself. */
static void
prepare_result(NvmkvMoved *moved, ModifyTableState *mtstate, EState *estate)
{
	TupleDesc desc = mtstate->ps.ps_ResultTupleDesc;
	MemoryContext old_context = MemoryContextSwitchTo(estate->es_query_cxt);
	List *columns = NIL;

	for (AttrNumber attno = 1; attno <= desc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, attno - 1);
		Var *var = makeVar(1, attno, att->atttypid, att->atttypmod, att->attcollation, 0);

		columns = lappend(columns, makeTargetEntry((Expr *) var, attno, NULL, false));
	}
	moved->result = ExecInitExtraTupleSlot(estate, desc, &TTSOpsVirtual);
	moved->hand_on = ExecBuildProjectionInfo(columns, mtstate->ps.ps_ExprContext, mtstate->ps.ps_ResultTupleSlot, NULL,
											 desc);
	MemoryContextSwitchTo(old_context);
}

/* The row as it was in "source", as one of "target". */
static TupleTableSlot *
convert_old(NvmkvMoved *moved, ModifyTableState *mtstate, EState *estate, ResultRelInfo *source,
			ResultRelInfo *target, TupleTableSlot *old)
{
	TupleTableSlot *converted = old;
	TupleConversionMap *map = ExecGetChildToRootMap(source);

	if (map != NULL)
	{
		if (moved->old_in_root == NULL)
			moved->old_in_root = ExecInitExtraTupleSlot(estate,
														RelationGetDescr(mtstate->rootResultRelInfo->ri_RelationDesc),
														&TTSOpsVirtual);
		converted = execute_attr_map_slot(map->attrMap, converted, moved->old_in_root);
	}
	map = ExecGetRootToChildMap(target, estate);
	if (map != NULL)
		converted = execute_attr_map_slot(map->attrMap, converted, ExecGetReturningSlot(estate, target));
	converted->tts_tableOid = RelationGetRelid(source->ri_RelationDesc);
	converted->tts_tid = old->tts_tid;
	return converted;
}

/* RETURNING for the row that is in "target" now, as ExecProcessReturning. */
static TupleTableSlot *
project_result(NvmkvMoved *moved, ModifyTableState *mtstate, EState *estate, ResultRelInfo *source,
			   ResultRelInfo *target, TupleTableSlot *old, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	ProjectionInfo *returning = target->ri_projectReturning;
	ExprContext *econtext = returning->pi_exprContext;

	if (moved->hand_on == NULL)
		prepare_result(moved, mtstate, estate);
	econtext->ecxt_scantuple = slot;
	econtext->ecxt_outertuple = plan_slot;
	slot->tts_tableOid = RelationGetRelid(target->ri_RelationDesc);
	nvmkv_give_new(&returning->pi_state, econtext, slot);
	if (nvmkv_returns_old(returning))
		nvmkv_give_old(&returning->pi_state, econtext, convert_old(moved, mtstate, estate, source, target, old));
	return ExecCopySlot(moved->result, ExecProject(returning));
}

TupleTableSlot *
nvmkv_row_move(NvmkvMoved *moved, ModifyTableState *mtstate, EState *estate, ResultRelInfo *rri, HeapTuple old_row,
			   TupleTableSlot *old, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	ResultRelInfo *target = find_partition(mtstate, estate, rri, &slot);
	TupleTableSlot *moved_row = insert_row(mtstate, estate, target, slot);

	if (moved_row == NULL)
		return NULL;
	slot = moved_row;
	if (target->ri_projectReturning != NULL)
		slot = project_result(moved, mtstate, estate, rri, target, old, slot, plan_slot);
	nvmkv_key_moves_begin(mtstate);
	nvmkv_key_moves_fire(mtstate, rri, target, old_row, moved_row);
	moved->shown = true;
	moved->returning = rri->ri_projectReturning;
	moved->checks = rri->ri_WithCheckOptions;
	rri->ri_WithCheckOptions = NIL;
	if (rri->ri_projectReturning != NULL)
		rri->ri_projectReturning = moved->hand_on;
	return slot;
}

void
nvmkv_row_move_done(NvmkvMoved *moved, ResultRelInfo *rri)
{
	if (!moved->shown)
		return;
	rri->ri_projectReturning = moved->returning;
	rri->ri_WithCheckOptions = moved->checks;
	moved->shown = false;
}
