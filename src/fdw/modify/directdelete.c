/*
 * directdelete.c
 *	  DELETE of one table by the scan itself, several rows at a time.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/rel.h"

#include "fdw/changes/note.h"
#include "fdw/compat/compat.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/modify/change.h"
#include "fdw/modify/directdelete.h"
#include "fdw/modify/insertplan.h"
#include "fdw/modify/modifystate.h"
#include "fdw/modify/target.h"
#include "fdw/plan/plan.h"
#include "fdw/scan/explain.h"
#include "fdw/scan/scan.h"
#include "fdw/scan/scanstate.h"
#include "fdw/table/counters.h"
#include "fdw/table/table.h"
#include "fdw/txn/rowlock.h"

/* A batch is written at this many rows, or bytes of keys and entries. */
#define BATCH_ROWS NVMKV_LATCH_SET_MAX
#define BATCH_BYTES (64 * 1024)

/* A row that was found: its key, its entries, and what is told of it are in the batch's bytes. */
typedef struct FoundRow
{
	uint64 hash;	   /* of the key */
	uint64 sequence;   /* of the version */
	uint64 mark;	   /* NvmkvRowBytes.mark */
	bool covered;	   /* covered.h */
	uint32 generation; /* of the latch, before a look has found the row untouched; odd: there was none */
	uint32 offset;
	uint32 key_size;
	uint32 entries_size;
	uint32 old_size; /* of NvmkvModify.old_row */
} FoundRow;

/* A DELETE that runs. */
typedef struct DirectDelete
{
	NvmkvModify *modify;
	ForeignScanState *node;
	EState *estate;
	bool looks; /* at each row when it is found */
	StringInfoData bytes;
	int count;
	FoundRow rows[BATCH_ROWS];
	uint64 deleted;
} DirectDelete;

/* ---------------------------------------------------------------- planning */

/* The scan that finds rows of this target and does nothing else; NULL: there is none. */
static ForeignScan *
find_scan(const ModifyTable *plan, Index target, int subplan_index)
{
	Plan *subplan = outerPlan(plan);

	if (IsA(subplan, Append))
	{
		List *children = ((Append *) subplan)->appendplans;

		if (subplan_index >= list_length(children))
			return NULL;
		subplan = list_nth(children, subplan_index);
	}
	if (!IsA(subplan, ForeignScan) || ((ForeignScan *) subplan)->scan.scanrelid != target)
		return NULL;
	return (ForeignScan *) subplan;
}

/* Not all servers that are supported ask for them. */
static bool
has_transition_table(PlannerInfo *root, const ModifyTable *plan)
{
	Relation rel = table_open(planner_rt_fetch(plan->nominalRelation, root)->relid, NoLock);
	bool has = rel->trigdesc != NULL && rel->trigdesc->trig_delete_old_table;

	table_close(rel, NoLock);
	return has;
}

/* The scan is to read what its conditions are about; where rows have entries, or are told, all columns are needed. */
static void
narrow_attributes(ForeignScan *scan, Oid relid)
{
	Relation rel = table_open(relid, NoLock);
	ListCell *cell = list_nth_cell(scan->fdw_private, NVMKV_SCAN_ATTRIBUTES);
	Bitmapset *used = NULL;
	int member = -1;

	if (nvmkv_table_definition(rel)->nindexes == 0 && !nvmkv_note_wants_old(nvmkv_table_definition(rel)))
	{
		pull_varattnos((Node *) scan->scan.plan.qual, scan->scan.scanrelid, &used);
		lfirst(cell) = NIL;
		while ((member = bms_next_member(used, member)) >= 0)
			lfirst(cell) = lappend_int(lfirst(cell), member + FirstLowInvalidHeapAttributeNumber);
	}
	table_close(rel, NoLock);
}

static bool
plan_direct_modify(PlannerInfo *root, ModifyTable *plan, Index target, int subplan_index)
{
	ForeignScan *scan = find_scan(plan, target, subplan_index);
	bool has_address;

	if (plan->operation != CMD_DELETE || scan == NULL || plan->returningLists != NIL || plan->rowMarks != NIL ||
		root->query_level > 1 || root->glob->subplans != NIL || has_transition_table(root, plan))
		return false;
	(void) nvmkv_scan_tests(scan, &has_address);
	if (has_address || boolVal(list_nth(scan->fdw_private, NVMKV_SCAN_COVERING)) ||
		nvmkv_expression_may_wait((Node *) scan->scan.plan.qual) ||
		nvmkv_expression_may_wait((Node *) scan->fdw_exprs))
		return false;

	narrow_attributes(scan, planner_rt_fetch(target, root)->relid);
	scan->fdw_private = lappend(scan->fdw_private, makeBoolean(plan->canSetTag));
	scan->fdw_private = lappend(scan->fdw_private, makeBoolean(contain_leaked_vars((Node *) scan->scan.plan.qual)));
	scan->operation = CMD_DELETE;
	scan->resultRelation = target;
	return true;
}

/* ---------------------------------------------------------------- begin and end */

static void
begin_direct_modify(ForeignScanState *node, int eflags)
{
	EState *estate = node->ss.ps.state;
	NvmkvModify *modify;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	modify = nvmkv_modify_create(estate, NULL, node->resultRelInfo, CMD_DELETE);
	modify->old_slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(modify->rel), &TTSOpsVirtual);
	node->resultRelInfo->ri_FdwState = modify;
	nvmkvBeginForeignScan(node, eflags);
}

static void
end_direct_modify(ForeignScanState *node)
{
	nvmkvEndForeignScan(node);
}

/* ---------------------------------------------------------------- one row */

/* The row has changed meanwhile, and is locked.  Do the conditions hold for it as it is now? */
static bool
is_still_meant(DirectDelete *direct)
{
	NvmkvModify *modify = direct->modify;
	ForeignScanState *node = direct->node;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	TupleTableSlot *slot = modify->old_slot;

	nvmkv_row_to_slot(modify->table, nvmkv_buffer_slice(&modify->old_key), nvmkv_buffer_slice(&modify->newest), slot);
	slot->tts_tableOid = RelationGetRelid(modify->rel);
	ResetExprContext(econtext);
	econtext->ecxt_scantuple = slot;
	if (!ExecQual(node->fdw_recheck_quals, econtext) || !ExecQual(node->ss.ps.qual, econtext))
		return false;
	nvmkv_modify_encode_shown(modify, slot);
	return true;
}

static NvmkvSlice
key_of(const DirectDelete *direct, const FoundRow *row)
{
	return nvmkv_slice(direct->bytes.data + row->offset, row->key_size);
}

static NvmkvSlice
entries_of(const DirectDelete *direct, const FoundRow *row)
{
	return nvmkv_slice(direct->bytes.data + row->offset + row->key_size, row->entries_size);
}

static NvmkvSlice
old_row_of(const DirectDelete *direct, const FoundRow *row)
{
	return nvmkv_slice(direct->bytes.data + row->offset + row->key_size + row->entries_size, row->old_size);
}

static void
count_deleted(DirectDelete *direct)
{
	pgstat_count_heap_delete(direct->modify->counted);
	direct->deleted++;
}

/* Waits as long as it takes.  Nothing is kept back meanwhile that was found before. */
static void
delete_one(DirectDelete *direct, const FoundRow *row)
{
	NvmkvModify *modify = direct->modify;
	NvmkvTarget target = {.is_delete = true, .mode = NVMKV_LOCK_EXCLUSIVE};
	FullTransactionId fxid = GetCurrentFullTransactionId();
	bool written = false;

	nvmkv_buffer_set(&modify->old_key, key_of(direct, row));
	nvmkv_buffer_set(&modify->old_entries, entries_of(direct, row));
	nvmkv_buffer_set(&modify->old_row, old_row_of(direct, row));
	if (row->covered)
		nvmkv_target_refuse_covered(modify, direct->estate);
	while (!written)
	{
		switch (nvmkv_target_claim(modify, direct->estate, &target, nvmkv_slice(NULL, 0)))
		{
			case NVMKV_TARGET_GONE:
				return;
			case NVMKV_TARGET_CHANGED:
				if (!is_still_meant(direct))
					return;
				continue;
			case NVMKV_TARGET_LOCKED:
			case NVMKV_TARGET_READY:
				break;
		}
		written = nvmkv_change_write_end(modify, fxid);
		nvmkv_latch_set_release(&target.latches);
		if (!written)
			nvmkv_write_wait_room(modify->db, modify->rel);
	}
	nvmkv_write_check_serializable(modify->rel, nvmkv_buffer_slice(&modify->old_key));
	count_deleted(direct);
}

/* ---------------------------------------------------------------- a batch */

/* The server's queries for foreign keys may have a second snapshot, by which each row is claimed. */
static bool
is_untouched(const DirectDelete *direct, const FoundRow *row)
{
	return direct->estate->es_crosscheck_snapshot == InvalidSnapshot &&
		nvmkv_row_is_untouched(direct->modify->db, direct->modify->table, key_of(direct, row), row->sequence,
							   row->mark);
}

/* REQUIRES the latch.  Has nobody held it since the row was looked at? */
static bool
look_is_good(const FoundRow *row)
{
	return row->generation % 2 == 0 && nvmkv_latch_generation_before(row->hash) == row->generation;
}

/* So many rows from "first" on may be deleted; of the one behind them more has to be asked.  REQUIRES their latches. */
static int
count_free(const DirectDelete *direct, int first)
{
	NvmkvRowLook looks[NVMKV_ROW_LOOKS];
	int next = first;

	if (direct->estate->es_crosscheck_snapshot != InvalidSnapshot)
		return 0;
	for (;;)
	{
		unsigned n = 0;
		unsigned free = 0;

		while (next < direct->count && look_is_good(&direct->rows[next]))
			next++;
		for (int i = next; i < direct->count && n < NVMKV_ROW_LOOKS && !look_is_good(&direct->rows[i]); i++)
		{
			const FoundRow *row = &direct->rows[i];

			looks[n++] = (NvmkvRowLook){.key = key_of(direct, row), .sequence = row->sequence, .mark = row->mark};
		}
		if (n == 0)
			break;
		nvmkv_rows_look(direct->modify->db, direct->modify->table, looks, n);
		while (free < n && looks[free].untouched)
			free++;
		next += (int) free;
		if (free < n)
			break;
	}
	return next - first;
}

static Size
record_bytes(const DirectDelete *direct, int first)
{
	Size bytes = 0;

	for (int i = first; i < direct->count; i++)
		bytes += direct->rows[i].key_size + BATCH_ENTRY_OVERHEAD +
			nvmkv_entries_record_bytes(entries_of(direct, &direct->rows[i]));
	return bytes;
}

/* One record for rows from "first" on, up to the first that is not free: how many.  Waits for nothing but room. */
static int
write_free_rows(DirectDelete *direct, int first)
{
	NvmkvModify *modify = direct->modify;
	FullTransactionId fxid = GetCurrentFullTransactionId();
	NvmkvSlice none = nvmkv_slice(NULL, 0);

	for (;;)
	{
		NvmkvLatchSet latches;
		bool written = true;
		int n;

		CHECK_FOR_INTERRUPTS();
		nvmkv_write_wait_turn(modify->table, modify->rel, record_bytes(direct, first));
		nvmkv_latch_set_init(&latches);
		for (int i = first; i < direct->count; i++)
			nvmkv_latch_set_add(&latches, direct->rows[i].hash);
		nvmkv_latch_set_acquire(&latches);
		n = count_free(direct, first);
		if (n > 0)
		{
			/* Rows follow each other, since the nearer keys are the nearer are their places in the memtable. */
			nvmkv_write_begin();
			for (int i = first; i < first + n; i++)
				nvmkv_entries_put(entries_of(direct, &direct->rows[i]), none, fxid, modify->cid);
			for (int i = first; i < first + n; i++)
			{
				nvmkv_write_put(NVMKV_TYPE_TAGGED_DELETION, key_of(direct, &direct->rows[i]), fxid, modify->cid, none);
				nvmkv_write_tell(modify->table, NVMKV_CHANGE_DELETE, fxid, none,
								 old_row_of(direct, &direct->rows[i]));
			}
			written = nvmkv_write_finish(modify->db, modify->rel);
		}
		nvmkv_latch_set_release(&latches);
		if (written)
			return n;
		nvmkv_write_wait_room(modify->db, modify->rel);
	}
}

/* Writes the rows that are kept back, in the order in which they were found. */
static void
flush(DirectDelete *direct)
{
	int first = 0;

	while (first < direct->count)
	{
		int n = write_free_rows(direct, first);

		for (int i = first; i < first + n; i++)
		{
			nvmkv_write_check_serializable(direct->modify->rel, key_of(direct, &direct->rows[i]));
			count_deleted(direct);
		}
		first += n;
		if (first < direct->count)
			delete_one(direct, &direct->rows[first++]);
	}
	direct->count = 0;
	resetStringInfo(&direct->bytes);
}

/* ---------------------------------------------------------------- rows that are found */

/* The next row that the conditions hold for is in the scan's slot; false: there is none. */
static bool
find_next(DirectDelete *direct)
{
	ForeignScanState *node = direct->node;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	for (;;)
	{
		TupleTableSlot *slot;

		ResetExprContext(econtext);
		ResetPerTupleExprContext(direct->estate); /* which entries are made in */
		slot = nvmkvIterateForeignScan(node);
		if (TupIsNull(slot))
			return false;
		slot->tts_tableOid = RelationGetRelid(direct->modify->rel);
		econtext->ecxt_scantuple = slot;
		if (ExecQual(node->ss.ps.qual, econtext))
			return true;
		InstrCountFiltered1(node, 1);
	}
}

/* May this row, the last one, wait for others to be found? */
static bool
is_kept_back(const DirectDelete *direct, FoundRow *row)
{
	uint32 generation;

	if (row->covered)
		return false;
	if (!direct->looks)
		return true;
	generation = nvmkv_latch_generation(row->hash);
	if (!is_untouched(direct, row))
		return false;
	row->generation = generation;
	return true;
}

/* The row in the scan's slot is kept back, or deleted if it cannot be. */
static void
take_row(DirectDelete *direct)
{
	const NvmkvTableScan *scan = direct->node->fdw_state;
	NvmkvModify *modify = direct->modify;
	FoundRow *row = &direct->rows[direct->count++];

	nvmkv_buffer_set(&modify->old_key, scan->row_key);
	nvmkv_modify_encode_shown(modify, direct->node->ss.ss_ScanTupleSlot);
	row->hash = nvmkv_key_hash(scan->row_key);
	row->sequence = scan->row_sequence;
	row->mark = scan->row_mark;
	row->covered = scan->row_covered;
	row->generation = NVMKV_LATCH_UNKNOWN;
	row->offset = (uint32) direct->bytes.len;
	row->key_size = (uint32) modify->old_key.len;
	row->entries_size = (uint32) modify->old_entries.len;
	row->old_size = (uint32) modify->old_row.len;
	appendBinaryStringInfo(&direct->bytes, modify->old_key.data, modify->old_key.len);
	appendBinaryStringInfo(&direct->bytes, modify->old_entries.data, modify->old_entries.len);
	appendBinaryStringInfo(&direct->bytes, modify->old_row.data, modify->old_row.len);

	if (!is_kept_back(direct, row) || direct->count == BATCH_ROWS || direct->bytes.len >= BATCH_BYTES)
		flush(direct);
}

static TupleTableSlot *
iterate_direct_modify(ForeignScanState *node)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState *estate = node->ss.ps.state;
	MemoryContext old_context = MemoryContextSwitchTo(estate->es_query_cxt);
	DirectDelete *direct = palloc0(sizeof(DirectDelete));

	direct->modify = node->resultRelInfo->ri_FdwState;
	direct->node = node;
	direct->estate = estate;
	direct->looks = boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_MAY_FAIL)) ||
		estate->es_crosscheck_snapshot != InvalidSnapshot;
	initStringInfo(&direct->bytes);

	/* As the executor asks a scan for rows. */
	MemoryContextSwitchTo(old_context);
	while (find_next(direct))
		take_row(direct);
	flush(direct);

	if (boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_SETS_TAG)))
		estate->es_processed += direct->deleted;
	if (node->ss.ps.instrument != NULL)
		node->ss.ps.instrument->tuplecount += (double) direct->deleted;
	pfree(direct->bytes.data);
	pfree(direct);
	return ExecClearTuple(node->ss.ss_ScanTupleSlot);
}

/* ---------------------------------------------------------------- callbacks */

void
nvmkv_direct_delete_callbacks(FdwRoutine *routine)
{
	routine->PlanDirectModify = plan_direct_modify;
	routine->BeginDirectModify = begin_direct_modify;
	routine->IterateDirectModify = iterate_direct_modify;
	routine->EndDirectModify = end_direct_modify;
	routine->ExplainDirectModify = nvmkvExplainForeignScan;
}
