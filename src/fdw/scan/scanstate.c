/*
 * scanstate.c
 *	  The state of one scan: opening, and what it has done.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/host/family.h"
#include "fdw/plan/plan.h"
#include "fdw/scan/scanstate.h"
#include "fdw/storage/storage.h"

static void
find_needed(NvmkvTableScan *state, List *attributes)
{
	TupleDesc tupdesc = state->table->tupdesc;
	ListCell *lc;

	foreach(lc, attributes)
	{
		int first = lfirst_int(lc);
		int last = first;

		if (first < 0)
			continue;
		if (first == 0)
		{
			first = 1;
			last = tupdesc->natts;
		}
		for (int attno = first; attno <= last; attno++)
		{
			if (TupleDescAttr(tupdesc, attno - 1)->attisdropped)
				continue;
			if (state->table->attr_in_key[attno - 1])
				state->need_key = true;
			else
				state->need_values = Max(state->need_values, attno);
		}
	}
}

void
nvmkv_scan_open(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState *estate = node->ss.ps.state;
	Relation rel = node->ss.ss_currentRelation;
	List *attributes = list_nth(plan->fdw_private, NVMKV_SCAN_ATTRIBUTES);
	MemoryContext oldcontext;

	if (state->open)
		return;
	oldcontext = MemoryContextSwitchTo(state->context);
	state->table = nvmkv_table(rel);
	state->db = nvmkv_engine_of(state->table->storage_id);
	nvmkv_visibility_init(&state->visibility, estate->es_snapshot, rel);
	nvmkv_visibility_show_two(&state->visibility);
	initStringInfo(&state->covered);
	if (state->table->nkeys > 0)
	{
		state->marks = nvmkv_rowmark_begin(estate, plan->scan.scanrelid);
		if (state->marks == NULL && list_member_int(attributes, SelfItemPointerAttributeNumber) &&
			!nvmkv_rowmark_is_of_parent(estate, plan->scan.scanrelid))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot retrieve system column \"ctid\" of foreign table \"%s\"", RelationGetRelationName(rel)),
					 errdetail("The rows of a table with a primary key are identified by the key.")));
	}
	find_needed(state, attributes);
	MemoryContextSwitchTo(oldcontext);
	state->open = true;
}

void
nvmkv_scan_own_report(NvmkvTableScan *state, NvmkvScanReport *report_out)
{
	*report_out = state->report;
	if (state->scan != NULL)
		report_out->engine = *nvmkv_scan_stats(state->scan);
}
