/*
 * generated.c
 *	  Stored generated columns of rows that BEFORE ROW UPDATE triggers may change.
 *
 * On a heap they are computed after these triggers.  For a foreign table the
 * executor does it before it calls the wrapper, which is too early, for it is
 * the wrapper that fires them (rowtrigger.c).  So where an UPDATE has both, the
 * executor is told that there is nothing to compute.  Partitions that rows are
 * only moved to are left alone.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/modify/generated.h"

static bool
has_generated(const ResultRelInfo *rri)
{
	const TupleConstr *constraints = RelationGetDescr(rri->ri_RelationDesc)->constr;

	return constraints != NULL && constraints->has_generated_stored;
}

void
nvmkv_generated_take(ResultRelInfo *rri)
{
	NvmkvModify *modify = rri->ri_FdwState;

	if (modify == NULL || modify->operation != CMD_UPDATE || !has_generated(rri) ||
		!nvmkv_row_triggers_before_update(&modify->triggers))
		return;
	if (rri->ri_GeneratedExprsU == NULL)
		nvmkv_init_generated(rri, modify->mtstate->ps.state);
	modify->generated = rri->ri_NumGeneratedNeeded;
	rri->ri_NumGeneratedNeeded = 0;
}

void
nvmkv_generate(NvmkvModify *modify, ResultRelInfo *rri, TupleTableSlot *slot)
{
	if (modify->generated == 0)
		return;
	rri->ri_NumGeneratedNeeded = modify->generated;
	ExecComputeStoredGenerated(rri, modify->mtstate->ps.state, slot, CMD_UPDATE);
	rri->ri_NumGeneratedNeeded = 0;
}
