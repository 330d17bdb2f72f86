/*
 * scancount.c
 *	  What scans count in the server's cumulative statistics.
 *
 * A scan of the whole table is a sequential one.  Everything else goes through an
 * index, and counts for it: entries that were read, and rows of the table that
 * were fetched for them.  The primary key's entries are the rows themselves.
 */
#include "postgres.h"

#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/plan/plan.h"
#include "fdw/scan/scancount.h"
#include "fdw/scan/scanstate.h"
#include "fdw/table/counters.h"

static void
count_index_scan(Relation rel, Oid index)
{
	if (!OidIsValid(index))
		index = nvmkv_primary_key_index(rel);
	if (OidIsValid(index))
		pgstat_count_index_scan(nvmkv_counted(index));
}

void
nvmkv_scan_count_start(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;
	Relation rel = nvmkv_scan_relation(node);
	ListCell *lc;

	if (state->whole_table)
		pgstat_count_heap_scan(nvmkv_counted(RelationGetRelid(rel)));
	else if (state->collected == NULL)
		count_index_scan(rel, state->index != NULL ? state->index->oid : InvalidOid);
	else
	{
		foreach(lc, list_nth(castNode(ForeignScan, node->ss.ps.plan)->fdw_private, NVMKV_SCAN_INDEXES))
			count_index_scan(rel, lfirst_oid(lc));
	}
	state->counted = true;
}

void
nvmkv_scan_count_rows(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;
	Relation rel = nvmkv_scan_relation(node);
	Oid index;

	if (state->rows_read == 0)
		return;
	if (state->whole_table)
		pgstat_count_index_tuples(nvmkv_counted(RelationGetRelid(rel)), state->rows_read); /* any relation's */
	else if (state->collected != NULL)
		nvmkv_count_fetched(nvmkv_counted(RelationGetRelid(rel)), state->rows_read); /* once for all its indexes */
	else
	{
		index = state->index != NULL ? state->index->oid : nvmkv_primary_key_index(rel);
		if (!OidIsValid(index))
			return;
		pgstat_count_index_tuples(nvmkv_counted(index), state->rows_read);
		nvmkv_count_fetched(nvmkv_counted(index), state->index != NULL ? state->report.fetched : state->rows_read);
	}
	state->rows_read = 0;
}
