/*
 * copytriggers.c
 *	  AFTER triggers of COPY FROM, and the rows that it keeps back (txn/copyfrom.c).
 */
#include "postgres.h"

#include "catalog/pg_trigger.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "fdw/modify/copytriggers.h"
#include "fdw/txn/bulk.h"

/* Stands in for a trigger's function in its first call. */
static Datum
write_rows_first(PG_FUNCTION_ARGS)
{
	fmgr_info_cxt(fcinfo->flinfo->fn_oid, fcinfo->flinfo, fcinfo->flinfo->fn_mcxt);
	nvmkv_write_flush_deferred();
	return FunctionCallInvoke(fcinfo);
}

static void
write_rows_before_triggers(EState *estate, ResultRelInfo *rri)
{
	const TriggerDesc *triggers = rri->ri_TrigDesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		FmgrInfo *function = &rri->ri_TrigFunctions[i];
		const Trigger *trigger = &triggers->triggers[i];

		if (!TRIGGER_FOR_AFTER(trigger->tgtype) || !TRIGGER_FOR_INSERT(trigger->tgtype) || OidIsValid(function->fn_oid))
			continue;
		fmgr_info_cxt(trigger->tgfoid, function, estate->es_query_cxt);
		function->fn_addr = write_rows_first;
	}
}

void
nvmkv_copytriggers_write_first(ModifyTableState *mtstate, ResultRelInfo *rri)
{
	write_rows_before_triggers(mtstate->ps.state, mtstate->rootResultRelInfo);
	if (rri != mtstate->rootResultRelInfo)
		write_rows_before_triggers(mtstate->ps.state, rri);
}
