/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  Execution of scans.
 *
 * A scan is lazy: Begin looks at the plan only, the first row asked for opens
 * the table and evaluates the key ranges.  A range that is one whole key is
 * looked up, any other is fetched from the engine in batches, small ones first,
 * because whoever asks (a LIMIT, the inner side of a join) may want a row or two.
 *
 * Rows go up as virtual tuples whose by-reference values point into the batch.
 * The engine is in no epoch between two calls, so neither an idle cursor nor a
 * row that is held by the node above holds anything back.
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
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/plan/plan.h"
#include "fdw/scan/parallel.h"
#include "fdw/scan/scan.h"
#include "fdw/scan/scanstate.h"
#include "fdw/txn/addressbook.h"
#include "fdw/txn/bulk.h"
#include "fdw/txn/covered.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/writers.h"

#define BATCH_ROWS_MIN 8
#define BATCH_ROWS_MAX 1024
#define BATCH_BYTES_MAX (256 * 1024)

/* From so many scans open at once on, the memory they leave is worth a call. */
#define MANY_SCANS 256

/* ---------------------------------------------------------------- memory */

static unsigned scans_open;
static unsigned scans_open_max; /* since memory was given back */

static void
release_engine_memory(NvmkvTableScan *state)
{
	nvmkv_scan_destroy(state->scan);
	state->scan = NULL;
	nvmkv_buf_free(&state->value);
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
	Relation rel = node->ss.ss_currentRelation;
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

void
nvmkvBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	MemoryContext context;
	MemoryContext oldcontext;
	NvmkvTableScan *state;
	List *conditions;

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
	state->whole_table = conditions == NIL;
	state->keys = nvmkv_keyscan_create(plan->fdw_exprs, conditions, state->backward, &node->ss.ps);
	if (list_length(plan->fdw_exprs) > list_length(conditions))
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
	release_engine_memory(state);
}

/* ---------------------------------------------------------------- ranges */

/* What another serializable transaction would have to know of this read. */
static void
predicate_lock(const NvmkvTableScan *state, const NvmkvKeyRange *range)
{
	if (range->point)
		nvmkv_predicate_lock_key(&state->visibility, range->lower);
	else
		nvmkv_predicate_lock_relation(&state->visibility);
}

/* A row as the engine has it, until the next one is fetched. */
typedef struct RowBytes
{
	NvmkvSlice key;
	NvmkvSlice value;
	uint64 sequence;
	bool covered;
} RowBytes;

/* Is there a covered row of the key? */
static bool
find_covered(NvmkvTableScan *state, NvmkvSlice key, RowBytes *row_out)
{
	uint64 sequence;

	if (!nvmkv_covered_row(state->db, state->table, key, &state->visibility, &state->covered, &sequence, NULL))
		return false;
	*row_out = (RowBytes){key, nvmkv_buffer_slice(&state->covered), sequence, true};
	return true;
}

/* The row with this very key, or the first of two; false when there is none to be seen. */
static bool
look_up(NvmkvTableScan *state, NvmkvSlice key, RowBytes *row_out)
{
	NvmkvVersion version = {0};
	NvmkvStatus status;

	state->report.points++;
	if (key.size > NVMKV_KEY_BYTES_MAX)
		return false;
	status = nvmkv_get(state->db, key, &state->visibility.engine, &state->value, &version);
	if (status != NVMKV_NOT_FOUND)
		nvmkv_check_table_status(status, "reading foreign table", state->table);
	if (nvmkv_visibility_is_own(&state->visibility, &version) && find_covered(state, key, row_out))
	{
		state->row_waits = status == NVMKV_OK;
		state->point = key;
		state->point_sequence = version.sequence;
	}
	else if (status == NVMKV_OK)
		*row_out = (RowBytes){key, nvmkv_buf_slice(&state->value), version.sequence, false};
	else
		return false;
	state->report.found++;
	return true;
}

static void
start_range(ForeignScanState *node, NvmkvTableScan *state, const NvmkvKeyRange *range)
{
	if (state->scan == NULL)
	{
		nvmkv_check_table_status(nvmkv_scan_create(state->db, &state->scan), "reading foreign table", state->table);
		if (state->need_values == 0)
			nvmkv_scan_keys_only(state->scan);
	}
	nvmkv_check_table_status(nvmkv_scan_start(state->scan, range->lower, range->upper, state->backward,
											  &state->visibility.engine),
							 "reading foreign table", state->table);
	state->in_range = true;
	state->rows = NULL;
	state->nrows = 0;
	state->next = 0;
}

/* The next batch of the range; false at its end. */
static bool
fetch_batch(ForeignScanState *node, NvmkvTableScan *state)
{
	nvmkv_check_table_status(nvmkv_scan_batch(state->scan, state->batch_rows, BATCH_BYTES_MAX, &state->rows,
											  &state->nrows),
							 "reading foreign table", state->table);
	state->next = 0;
	state->batch_rows = Min(state->batch_rows * 2, BATCH_ROWS_MAX);
	if (state->nrows == 0)
		state->in_range = false;
	return state->nrows > 0;
}

/* The next range to read; false after the last one. */
static bool
next_range(NvmkvTableScan *state, NvmkvKeyRange *range_out)
{
	if (state->shared != NULL)
		return nvmkv_parallel_next(state, range_out);
	if (state->addressed == NULL || !state->whole_table || !nvmkv_addressed_knows_keys(state->addressed))
		return nvmkv_keyscan_next(state->keys, range_out);
	*range_out = (NvmkvKeyRange){.point = true};
	return nvmkv_addressed_next(state->addressed, state->backward, &range_out->lower);
}

/* The next row of all ranges; false after the last one. */
static bool
next_row(ForeignScanState *node, NvmkvTableScan *state, RowBytes *row_out)
{
	NvmkvKeyRange range;

	if (state->row_waits)
	{
		*row_out = (RowBytes){state->point, nvmkv_buf_slice(&state->value), state->point_sequence, false};
		state->row_waits = false;
		return true;
	}
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();

		if (state->in_range && (state->next < state->nrows || fetch_batch(node, state)))
		{
			const NvmkvScanRow *row = &state->rows[state->next++];

			if (row->beneath)
			{
				if (find_covered(state, row->key, row_out))
					return true;
				continue;
			}
			*row_out = (RowBytes){row->key, row->value, row->sequence, false};
			return true;
		}

		if (!next_range(state, &range))
			return false;
		state->report.ranges++;
		predicate_lock(state, &range);
		if (!range.point)
			start_range(node, state, &range);
		else if (look_up(state, range.lower, row_out))
			return true;
	}
}

/* ---------------------------------------------------------------- rows */

static TupleTableSlot *
store_row(NvmkvTableScan *state, const RowBytes *row, TupleTableSlot *slot)
{
	memset(slot->tts_isnull, true, sizeof(bool) * (size_t) slot->tts_tupleDescriptor->natts);
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
	nvmkv_keyscan_evaluate(state->keys, state->table, node->ss.ps.ps_ExprContext);
	if (state->addressed != NULL)
		nvmkv_addressed_evaluate(state->addressed, state->table, node->ss.ps.ps_ExprContext);
	state->ranges_passed = 0;
	state->batch_rows = BATCH_ROWS_MIN;
	state->evaluated = true;
}

TupleTableSlot *
nvmkvIterateForeignScan(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	RowBytes row;

	/* Before the batch it may point into is replaced. */
	ExecClearTuple(slot);

	if (unlikely(!state->evaluated))
		evaluate(node, state);

	while (next_row(node, state, &row))
	{
		if (state->addressed == NULL || nvmkv_addressed_has(state->addressed, row.sequence))
			return store_row(state, &row, slot);
		InstrCountFiltered1(node, 1);
	}
	if (state->shared != NULL)
		nvmkv_parallel_publish(state);
	return slot;
}

void
nvmkvReScanForeignScan(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;

	if (state == NULL)
		return;
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	state->in_range = false;
	state->row_waits = false;
	state->rows = NULL;
	state->nrows = 0;
	state->next = 0;
	state->batch_rows = BATCH_ROWS_MIN;
	if (node->ss.ps.chgParam != NULL)
		state->evaluated = false;
	else if (state->evaluated)
	{
		begin_to_see(node, state);
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
