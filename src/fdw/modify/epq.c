/*
 * epq.c
 *	  EvalPlanQual, driven by the wrapper.
 *
 * The executor asks a wrapper once to update or delete a row and has no way
 * to be told "changed meanwhile"; but all it would do then can be
 * done from here: put the newest version in the slot EvalPlanQual keeps for the
 * target, and run the plan for that one row.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "utils/rel.h"

#include "fdw/key/rowcode.h"
#include "fdw/modify/epq.h"
#include "fdw/modify/modifystate.h"
#include "fdw/txn/addressbook.h"
#include "fdw/txn/write.h"

TupleTableSlot *
nvmkv_epq_recheck(NvmkvModify *modify, ResultRelInfo *rri)
{
	EPQState *epq = &modify->mtstate->mt_epqstate;
	TupleTableSlot *input;
	TupleTableSlot *result;

	EvalPlanQualBegin(epq);
	input = EvalPlanQualSlot(epq, modify->rel, rri->ri_RangeTableIndex);
	nvmkv_row_to_slot(modify->table, nvmkv_buffer_slice(&modify->old_key), nvmkv_buffer_slice(&modify->newest), input);
	input->tts_tableOid = RelationGetRelid(modify->rel);
	if (modify->table->nkeys > 0)
		nvmkv_address_to_tid(modify->newest_sequence, &input->tts_tid);
	ExecMaterializeSlot(input);
	result = EvalPlanQual(epq, modify->rel, rri->ri_RangeTableIndex, input);
	return TupIsNull(result) ? NULL : result;
}

TupleTableSlot *
nvmkv_epq_new_row(EState *estate, ResultRelInfo *rri, TupleTableSlot *plan_slot)
{
	TupleConstr *constraints = RelationGetDescr(rri->ri_RelationDesc)->constr;
	TupleTableSlot *slot;
	HeapTupleData old;
	Datum datum;
	bool isnull;

	datum = ExecGetJunkAttribute(plan_slot, rri->ri_RowIdAttNo, &isnull);
	if (isnull)
		elog(ERROR, "wholerow is NULL");
	old.t_data = DatumGetHeapTupleHeader(datum);
	old.t_len = HeapTupleHeaderGetDatumLength(old.t_data);
	ItemPointerSetInvalid(&old.t_self);
	old.t_tableOid = RelationGetRelid(rri->ri_RelationDesc);
	ExecForceStoreHeapTuple(&old, rri->ri_oldTupleSlot, false);

	slot = ExecGetUpdateNewTuple(rri, plan_slot, rri->ri_oldTupleSlot);
	slot->tts_tableOid = RelationGetRelid(rri->ri_RelationDesc);
	if (constraints != NULL && constraints->has_generated_stored)
		ExecComputeStoredGenerated(rri, estate, slot, CMD_UPDATE);
	ExecMaterializeSlot(slot);
	ExecMaterializeSlot(rri->ri_oldTupleSlot); /* "old" goes; RETURNING may name it */
	return slot;
}
