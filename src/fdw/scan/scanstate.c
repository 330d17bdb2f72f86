/*
 * scanstate.c
 *	  The state of one scan: opening, and what it has done.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/host/family.h"
#include "fdw/plan/plan.h"
#include "fdw/scan/scanstate.h"
#include "fdw/scan/source.h"
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

/* Where the entries have these attributes. */
static void
find_in_entries(NvmkvTableScan *state, List *attributes)
{
	const NvmkvIndex *index = state->index;
	int natts = index->entries.tupdesc->natts;
	ListCell *lc;

	state->mapped = palloc(sizeof(int) * (size_t) list_length(attributes));
	state->mapped_from = palloc(sizeof(int) * (size_t) list_length(attributes));
	state->entry_values = palloc0(sizeof(Datum) * (size_t) natts);
	state->entry_nulls = palloc0(sizeof(bool) * (size_t) natts);
	foreach(lc, attributes)
	{
		int attno = lfirst_int(lc);
		int column = 0;

		if (attno == TableOidAttributeNumber)
			continue;
		while (column < natts && (attno <= 0 || index->attnums[column] != attno))
			column++;
		if (column == natts)
			elog(ERROR, "index %u does not have attribute %d", index->oid, attno);
		state->mapped[state->nmapped] = attno - 1;
		state->mapped_from[state->nmapped++] = column;
		if (index->entries.attr_in_key[column])
			state->entry_need_key = true;
		else
			state->entry_need_values = Max(state->entry_need_values, column + 1);
	}
}

/* Which rows or entries are read, and what of them. */
static void
open_source(NvmkvTableScan *state, ForeignScan *plan)
{
	List *attributes = list_nth(plan->fdw_private, NVMKV_SCAN_ATTRIBUTES);
	List *indexes = list_nth(plan->fdw_private, NVMKV_SCAN_INDEXES);

	state->covering = boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_COVERING));
	if (list_length(indexes) == 1)
		state->index = nvmkv_source_index(state->table, linitial_oid(indexes));
	state->keyed = nvmkv_source_keyed(state->table, state->index);
	if (state->covering)
		find_in_entries(state, attributes);
	else
		find_needed(state, attributes);
	if (state->test != NULL)
		find_in_entries(state, lsecond(list_nth(plan->fdw_private, NVMKV_SCAN_TESTED)));
	nvmkv_source_open(&state->reader, state->table, state->index, &state->visibility, state->backward,
					  (state->index != NULL ? state->entry_need_values : state->need_values) == 0, &state->report);
	if (state->index != NULL && !state->covering)
		nvmkv_fetch_init(&state->fetch, nvmkv_engine_of(state->table->storage_id), state->table, state->index,
						 &state->visibility, boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_ORDERED)));
}

Relation
nvmkv_scan_relation(ForeignScanState *node)
{
	const ForeignScan *plan = (const ForeignScan *) node->ss.ps.plan;

	/* A scan that counts is that of an upper relation, of the rows of one table. */
	if (node->ss.ss_currentRelation == NULL)
		return nvmkv_range_table_relation(node->ss.ps.state, (Index) bms_singleton_member(plan->fs_relids));
	return node->ss.ss_currentRelation;
}

void
nvmkv_scan_open(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState *estate = node->ss.ps.state;
	Relation rel = nvmkv_scan_relation(node);
	bool shows_ctid = boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_SHOWS_CTID));
	MemoryContext oldcontext;

	if (state->open)
		return;
	oldcontext = MemoryContextSwitchTo(state->context);
	state->table = nvmkv_table(rel);
	nvmkv_visibility_init(&state->visibility, estate->es_snapshot, rel);
	nvmkv_visibility_show_two(&state->visibility);
	nvmkv_visibility_leap(&state->visibility, rel);
	open_source(state, plan);
	if (state->table->nkeys > 0 && !state->covering)
		state->marks = nvmkv_rowmark_begin(estate, plan->scan.scanrelid, shows_ctid);
	MemoryContextSwitchTo(oldcontext);
	state->open = true;
}

void
nvmkv_scan_own_report(NvmkvTableScan *state, NvmkvScanReport *report_out)
{
	*report_out = state->report;
	nvmkv_reader_add_stats(&state->reader, &report_out->engine);
	if (state->collected != NULL)
		nvmkv_collector_add_stats(state->collected, &report_out->engine);
}
