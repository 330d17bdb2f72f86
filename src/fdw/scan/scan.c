/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  Execution of scans.
 *
 * A scan is lazy: Begin looks at the plan only, the first row asked for opens
 * the table and evaluates the key ranges.  These are of the table's keys
 * (reader.c), of which not all need be meant (skip.c); or of the entries of an
 * index, which cover all that the query uses or say which row is to be fetched
 * (fetch.c); or they are of several indexes, and the keys of the rows that any of
 * them means are collected (collect.c).
 *
 * Rows go up as virtual tuples whose by-reference values point into what was
 * read.
 *
 * Only attributes the query uses are decoded; the others read as NULL.  The
 * planner may let the node above take the scan's slot as it is, with all
 * columns in it, but nobody looks at the unused ones.
 *
 * What the engine allocated is not palloc'd.  It hangs on a memory context of
 * the query, whose reset callback gives it back when an ERROR skips End.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <malloc.h>

#include "access/sysattr.h"
#include "catalog/heap.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/plan/plan.h"
#include "fdw/scan/currentof.h"
#include "fdw/scan/parallel.h"
#include "fdw/scan/scan.h"
#include "fdw/scan/scancount.h"
#include "fdw/scan/scanstate.h"
#include "fdw/scan/source.h"
#include "fdw/txn/addressbook.h"
#include "fdw/txn/bulk.h"
#include "fdw/txn/writers.h"

/* From so many scans open at once on, the memory they leave is worth a call. */
#define MANY_SCANS 256

/* ---------------------------------------------------------------- memory */

static unsigned scans_open;
static unsigned scans_open_max; /* since memory was given back */

static void
release_engine_memory(NvmkvTableScan *state)
{
	nvmkv_reader_release(&state->reader);
	nvmkv_fetch_release(&state->fetch);
	if (state->collected != NULL)
		nvmkv_collector_release(state->collected);
}

/* The query ends, by an ERROR maybe. */
static void
at_context_reset(void *arg)
{
	release_engine_memory(arg);
	scans_open--;
}

/*
 * What many scans at once had - their engine memory, and the server's for portals and plans - is free, but the C
 * library gives the system only what lies at the end of its heap, and most lies in between.
 */
void
nvmkv_scan_trim_memory(void)
{
	if (scans_open > 0 || scans_open_max < MANY_SCANS)
		return;
	scans_open_max = 0;
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

/* ---------------------------------------------------------------- begin and end */

/* System columns the rows cannot have. */
static void
check_system_columns(ForeignScanState *node, List *attributes)
{
	Relation rel = nvmkv_scan_relation(node);
	ListCell *lc;

	foreach(lc, attributes)
	{
		AttrNumber attno = (AttrNumber) lfirst_int(lc);

		if (attno >= 0 || attno == TableOidAttributeNumber || attno == SelfItemPointerAttributeNumber)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot retrieve system column \"%s\" of foreign table \"%s\"",
						NameStr(SystemAttributeDefinition(attno)->attname), RelationGetRelationName(rel))));
	}
}

/* The ranges of a scan that goes by one key or index, and what of them is meant. */
static void
create_keys(NvmkvTableScan *state, ForeignScan *plan, List *conditions, PlanState *parent)
{
	List *skip = list_nth(plan->fdw_private, NVMKV_SCAN_SKIP);
	List *clauses = list_truncate(list_copy(plan->fdw_exprs), list_length(conditions));
	List *bounding = conditions;

	if (skip != NIL)
	{
		int nbounding = linitial_int(skip);

		state->skip = nvmkv_skip_create(list_copy_tail(clauses, nbounding), list_copy_tail(conditions, nbounding),
										lthird_int(skip), state->backward, parent);
		bounding = list_truncate(list_copy(conditions), nbounding);
		clauses = list_truncate(clauses, nbounding);
	}
	state->keys = nvmkv_keyscan_create(clauses, bounding, state->backward, parent);
}

void
nvmkvBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	MemoryContext context;
	MemoryContext oldcontext;
	NvmkvTableScan *state;
	List *conditions;
	List *indexes;
	int tests;
	bool has_address;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	check_system_columns(node, list_nth(plan->fdw_private, NVMKV_SCAN_ATTRIBUTES));

	/* Here, too: once the query runs in parallel nothing can be written, and the workers look for themselves. */
	nvmkv_write_flush_deferred();

	context = AllocSetContextCreate(node->ss.ps.state->es_query_cxt, "nvmkv scan", ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	state = palloc0(sizeof(NvmkvTableScan));
	state->context = context;
	state->release.func = at_context_reset;
	state->release.arg = state;
	MemoryContextRegisterResetCallback(context, &state->release);
	scans_open++;
	scans_open_max = Max(scans_open_max, scans_open);
	state->backward = boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_BACKWARD));
	conditions = list_nth(plan->fdw_private, NVMKV_SCAN_CONDITIONS);
	indexes = list_nth(plan->fdw_private, NVMKV_SCAN_INDEXES);
	state->whole_table = conditions == NIL && indexes == NIL;
	state->counts = plan->scan.scanrelid == 0;
	if (list_length(indexes) > 1)
		state->collected = nvmkv_collector_create(plan->fdw_exprs, conditions, indexes, &node->ss.ps, &state->report);
	else
		create_keys(state, plan, conditions, &node->ss.ps);
	tests = nvmkv_scan_tests(plan, &has_address);
	if (tests > 0)
		state->test = ExecInitQual(list_copy_tail(list_truncate(list_copy(plan->fdw_exprs),
																list_length(conditions) + tests),
												  list_length(conditions)), &node->ss.ps);
	if (has_address && IsA(llast(plan->fdw_exprs), CurrentOfExpr))
		state->current_of = nvmkv_currentof_create(llast_node(CurrentOfExpr, plan->fdw_exprs));
	else if (has_address)
		state->addressed = nvmkv_addressed_create(llast(plan->fdw_exprs), &node->ss.ps);
	MemoryContextSwitchTo(oldcontext);
	node->fdw_state = state;
}

void
nvmkvEndForeignScan(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;

	/*
	 * The context stays until the query ends: EXPLAIN reads the report before End, but a slot may still point into
	 * a batch.
	 */
	if (state == NULL)
		return;
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	nvmkv_scan_count_rows(node);
	if (state->collected != NULL)
		nvmkv_collector_end(state->collected);
	release_engine_memory(state);
}

/* ---------------------------------------------------------------- ranges */

/* The next range to read; false after the last one. */
static bool
next_range(NvmkvTableScan *state, NvmkvKeyRange *range_out)
{
	if (state->shared != NULL)
		return nvmkv_parallel_next(state, range_out);
	if (state->collected != NULL)
	{
		*range_out = (NvmkvKeyRange){.point = true};
		return nvmkv_collector_next(state->collected, &range_out->lower, &state->unanswered);
	}
	*range_out = (NvmkvKeyRange){.point = true};
	if (state->current_of != NULL)
		return nvmkv_currentof_next(state->current_of, &range_out->lower);
	if (state->addressed == NULL || !state->whole_table || !nvmkv_addressed_knows_keys(state->addressed))
		return nvmkv_keyscan_next(state->keys, range_out);
	return nvmkv_addressed_next(state->addressed, state->backward, &range_out->lower);
}

/* The next row, or entry, of what is read, of those that are meant; false after the last one. */
static bool
next_in_range(NvmkvTableScan *state, NvmkvRowBytes *row_out)
{
	NvmkvKeyRange range;

	while (nvmkv_reader_next(&state->reader, row_out))
	{
		if (state->skip == NULL)
			return true;
		switch (nvmkv_skip_judge(state->skip, row_out->key, &range))
		{
			case NVMKV_SKIP_SHOW:
				return true;
			case NVMKV_SKIP_PASS:
				break;
			case NVMKV_SKIP_LEAP:
				state->report.skipped++;
				nvmkv_reader_reset(&state->reader);
				nvmkv_reader_start(&state->reader, &range);
				break;
			case NVMKV_SKIP_END:
				nvmkv_reader_reset(&state->reader);
				break;
		}
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

/* Begins with the next range; false when there is none. */
static bool
begin_next_range(NvmkvTableScan *state)
{
	NvmkvKeyRange range;

	if (!next_range(state, &range))
		return false;
	state->report.ranges++;
	nvmkv_source_lock(state->table, state->index, &state->visibility, &range);
	if (state->skip != NULL)
		nvmkv_skip_begin(state->skip, &range);
	nvmkv_reader_start(&state->reader, &range);
	return true;
}

/* The next row of what is read, or entry, of all ranges; false after the last one. */
static bool
next_read(NvmkvTableScan *state, NvmkvRowBytes *row_out)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();

		if (next_in_range(state, row_out))
		{
			state->unanswered = NULL;
			state->rows_read++;
			return true;
		}
		if (state->unanswered != NULL)
			nvmkv_report_entry_without_row(state->unanswered);
		if (!begin_next_range(state))
			return false;
	}
}

/* The number of all rows that are meant, which a scan that counts returns as one row, in all columns that are read. */
static void
store_number(NvmkvTableScan *state, TupleTableSlot *slot)
{
	uint64 number = 0;

	if (state->number_returned)
		return;
	while (begin_next_range(state))
	{
		number += nvmkv_reader_count(&state->reader);
		CHECK_FOR_INTERRUPTS();
	}
	state->number_returned = true;
	state->rows_read += number;
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		slot->tts_isnull[i] = TupleDescAttr(slot->tts_tupleDescriptor, i)->atttypid != INT8OID;
		slot->tts_values[i] = Int64GetDatum((int64) number);
	}
	ExecStoreVirtualTuple(slot);
}

/* What is wanted of an entry, as columns of the row. */
static void
store_entry(NvmkvTableScan *state, const NvmkvRowBytes *entry, TupleTableSlot *slot)
{
	const NvmkvTable *entries = &state->index->entries;

	memset(state->entry_nulls, true, sizeof(bool) * (size_t) entries->tupdesc->natts);
	if (state->entry_need_key)
		nvmkv_key_decode(entries, entry->key, state->entry_values, state->entry_nulls);
	if (state->entry_need_values > 0)
		nvmkv_row_decode(entries, entry->value, state->entry_values, state->entry_nulls, state->entry_need_values);
	for (int i = 0; i < state->nmapped; i++)
	{
		slot->tts_values[state->mapped[i]] = state->entry_values[state->mapped_from[i]];
		slot->tts_isnull[state->mapped[i]] = state->entry_nulls[state->mapped_from[i]];
	}
}

/* Does the entry pass the test that there is? */
static bool
passes_test(ForeignScanState *node, NvmkvTableScan *state, const NvmkvRowBytes *entry)
{
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	bool passes;

	if (state->test == NULL)
		return true;
	memset(slot->tts_isnull, true, sizeof(bool) * (size_t) slot->tts_tupleDescriptor->natts);
	store_entry(state, entry, slot);
	econtext->ecxt_scantuple = ExecStoreVirtualTuple(slot);
	passes = ExecQual(state->test, econtext);
	ExecClearTuple(slot);

	/* Many entries may fail before there is a row, and nothing that lasts is there yet. */
	ResetExprContext(econtext);
	if (!passes)
		state->report.failed++;
	return passes;
}

/* The next row of an index's entries; false after the last one. */
static bool
next_fetched(ForeignScanState *node, NvmkvTableScan *state, NvmkvRowBytes *row_out)
{
	NvmkvRowBytes entry;

	if (!nvmkv_fetch_next(&state->fetch, row_out))
	{
		while (next_read(state, &entry))
		{
			if (passes_test(node, state, &entry) && !nvmkv_fetch_add(&state->fetch, &entry))
				break;
		}
		nvmkv_fetch_begin(&state->fetch);
		if (!nvmkv_fetch_next(&state->fetch, row_out))
			return false;
	}
	state->report.fetched++;
	return true;
}

/* The next row, or entry that covers it; false after the last one. */
static bool
next_row(ForeignScanState *node, NvmkvTableScan *state, NvmkvRowBytes *row_out)
{
	return state->index == NULL || state->covering ? next_read(state, row_out) : next_fetched(node, state, row_out);
}

/* ---------------------------------------------------------------- rows */

static TupleTableSlot *
store_row(NvmkvTableScan *state, const NvmkvRowBytes *row, TupleTableSlot *slot)
{
	memset(slot->tts_isnull, true, sizeof(bool) * (size_t) slot->tts_tupleDescriptor->natts);
	state->row_key = row->key;
	state->row_sequence = row->sequence;
	state->row_covered = row->covered;
	state->row_mark = state->index == NULL ? row->mark : 0;
	if (state->covering)
	{
		store_entry(state, row, slot);
		return ExecStoreVirtualTuple(slot);
	}
	if (state->need_key)
		nvmkv_key_decode(state->table, row->key, slot->tts_values, slot->tts_isnull);
	if (state->need_values > 0)
		nvmkv_row_decode(state->table, row->value, slot->tts_values, slot->tts_isnull, state->need_values);
	ExecStoreVirtualTuple(slot);

	if (state->table->nkeys == 0)
		nvmkv_rowid_to_tid(nvmkv_key_rowid(row->key), &slot->tts_tid);
	else if (state->need_ctid)
		nvmkv_address_to_tid(row->sequence, &slot->tts_tid);
	if (state->marks != NULL)
		nvmkv_rowmark_note(state->marks, row->key, row->sequence, row->covered);
	return slot;
}

/*
 * The scan begins, or begins again.  If it is run from within a statement that writes - by a cursor, or a function that
 * returns rows as they are asked for - its snapshot shows what that one writes while the scan stands open.  A heap's
 * scan takes the rows of a page at a time and is not told of later pages; here it would look for more where it is, and
 * perhaps never end.  So it sees what is there now.
 */
static void
begin_to_see(ForeignScanState *node, NvmkvTableScan *state)
{
	if (nvmkv_writer_is_outside(node->ss.ps.state))
		nvmkv_visibility_until_now(&state->visibility);
}

/* Before the first row, and after a rescan with other parameters. */
static void
evaluate(ForeignScanState *node, NvmkvTableScan *state)
{
	nvmkv_scan_open(node);

	/* Rows that COPY holds back: functions it calls are to see those of earlier commands. */
	nvmkv_write_flush_deferred();
	begin_to_see(node, state);
	if (state->collected != NULL)
		nvmkv_collector_evaluate(state->collected, state->table, &state->visibility, node->ss.ps.ps_ExprContext);
	else
		nvmkv_keyscan_evaluate(state->keys, state->keyed, node->ss.ps.ps_ExprContext);
	if (state->skip != NULL)
		nvmkv_skip_evaluate(state->skip, state->keyed, node->ss.ps.ps_ExprContext);
	if (state->addressed != NULL)
		nvmkv_addressed_evaluate(state->addressed, state->table, node->ss.ps.ps_ExprContext);
	if (state->current_of != NULL)
		nvmkv_currentof_evaluate(state->current_of, node);
	state->ranges_passed = 0;
	state->evaluated = true;
}

/* Has the scan been asked for this version of a row, or for none in particular? */
static bool
is_wanted(const NvmkvTableScan *state, uint64 sequence)
{
	return (state->addressed == NULL || nvmkv_addressed_has(state->addressed, sequence)) &&
		(state->current_of == NULL || nvmkv_currentof_has(state->current_of, sequence));
}

TupleTableSlot *
nvmkvIterateForeignScan(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	NvmkvRowBytes row;

	/* Before the batch it may point into is replaced. */
	ExecClearTuple(slot);

	if (unlikely(!state->evaluated))
		evaluate(node, state);
	if (unlikely(!state->counted))
		nvmkv_scan_count_start(node);

	if (state->counts)
		store_number(state, slot);
	else
	{
		while (next_row(node, state, &row))
		{
			if (is_wanted(state, row.sequence))
				return store_row(state, &row, slot);
			InstrCountFiltered1(node, 1);
		}
	}
	if (state->shared != NULL)
		nvmkv_parallel_publish(state);
	return slot;
}

bool
nvmkvRecheckForeignScan(ForeignScanState *node, TupleTableSlot *slot)
{
	MemoryContext oldcontext;

	if (node->ss.ss_currentRelation != NULL)
		return true;
	oldcontext = MemoryContextSwitchTo(node->ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	slot = nvmkvIterateForeignScan(node);
	MemoryContextSwitchTo(oldcontext);
	return !TupIsNull(slot);
}

void
nvmkvReScanForeignScan(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;

	if (state == NULL)
		return;
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	nvmkv_reader_reset(&state->reader);
	nvmkv_fetch_reset(&state->fetch);
	state->unanswered = NULL;
	state->counted = false;
	state->number_returned = false;
	if (node->ss.ps.chgParam != NULL || state->current_of != NULL ||
		(state->collected != NULL && nvmkv_writer_is_outside(node->ss.ps.state)))
		state->evaluated = false;
	else if (state->evaluated)
	{
		begin_to_see(node, state);
		if (state->collected != NULL)
			nvmkv_collector_rewind(state->collected);
		else
			nvmkv_keyscan_rewind(state->keys);
		if (state->addressed != NULL)
			nvmkv_addressed_rewind(state->addressed);
	}
	state->ranges_passed = 0;
}

bool
nvmkv_scan_report(ForeignScanState *node, NvmkvScanReport *report_out)
{
	NvmkvTableScan *state = node->fdw_state;

	if (state == NULL)
		return false;
	if (state->has_total)
		*report_out = state->total;
	else
		nvmkv_scan_own_report(state, report_out);
	return true;
}
