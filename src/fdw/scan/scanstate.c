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

		if (first == SelfItemPointerAttributeNumber)
			state->need_ctid = state->table->nkeys > 0;
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
	bool shows_ctid = boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_SHOWS_CTID));
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
		state->marks = nvmkv_rowmark_begin(estate, plan->scan.scanrelid, shows_ctid);
	find_needed(state, list_nth(plan->fdw_private, NVMKV_SCAN_ATTRIBUTES));
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
