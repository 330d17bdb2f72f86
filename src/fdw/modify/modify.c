/*
 * modify.c
 *	  What the executor asks for to change a table: begin and end of a statement,
 *	  INSERT and COPY FROM.  UPDATE and DELETE are in change.c.
 *
 * The executor leaves more to a wrapper than to a heap: row security,
 * constraints and partition bounds are checked here, uniqueness of the key
 * and conflicts with other transactions of course.
 *
 * Inserted rows are collected in a batch (bulk.h), which is written when it is
 * full, when something in the statement looks at our tables, and at the end.
 * Whether rows may be kept back is asked for INSERT in insertplan.c, for COPY in
 * copyfrom.c.  A row of an INSERT for which its key is not free is not kept
 * back: it waits or fails in its turn, before the next row is made.
 *
 * All memory a row needs is in row_context and in buffers that are reused.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/heap.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/host/family.h"
#include "fdw/key/keycode.h"
#include "fdw/modify/change.h"
#include "fdw/modify/copytriggers.h"
#include "fdw/modify/directdelete.h"
#include "fdw/modify/foreignkeyrow.h"
#include "fdw/modify/generated.h"
#include "fdw/modify/insertplan.h"
#include "fdw/modify/insertunique.h"
#include "fdw/modify/keymove.h"
#include "fdw/modify/modify.h"
#include "fdw/modify/upsert.h"
#include "fdw/scan/rowmark.h"
#include "fdw/storage/storage.h"
#include "fdw/table/counters.h"
#include "fdw/txn/bulk.h"
#include "fdw/txn/writers.h"

/* Junk columns; the executor looks for the first by itself. */
#define WHOLEROW_NAME "wholerow"
#define CTID_NAME "ctid"

static ExecutorStart_hook_type previous_executor_start;

/* ---------------------------------------------------------------- planning */

/* Is this the target's whole row?  arg: the query. */
static bool
is_target_row(const Node *node, const Query *query)
{
	const Var *var = (const Var *) node;

	return IsA(node, Var) && var->varno == query->resultRelation && var->varattno == InvalidAttrNumber &&
		var->varlevelsup == 0;
}

static bool
refers_to_target_row(Node *node, void *query)
{
	if (node == NULL)
		return false;
	return is_target_row(node, query) || expression_tree_walker(node, refers_to_target_row, query);
}

/* Puts a row of its columns in the place of the target's whole row; arg: the query's PlannerInfo. */
static Node *
spell_out_row(Node *node, void *arg)
{
	const Query *query = ((PlannerInfo *) arg)->parse;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		const Var *var = (Var *) node;
		RowExpr *row;

		if (!is_target_row(node, query))
			return (Node *) copyObject(var);
		row = makeNode(RowExpr);
		expandRTE(rt_fetch(var->varno, query->rtable), var->varno, 0, VAR_RETURNING_DEFAULT, var->location, true,
				  NULL, &row->args);
		row->row_typeid = var->vartype;
		row->row_format = COERCE_IMPLICIT_CAST;
		row->location = var->location;
		return (Node *) row;
	}
	return expression_tree_mutator(node, spell_out_row, arg);
}

/*
 * The plan must carry what identifies the row: all of it, from which the key is made.  The executor asks for it in
 * the cases it needs itself.  A hidden row id travels as ctid.
 *
 * That whole row is a RECORD.  If the statement refers to the whole row itself, that is of the table's row type, and in
 * a join the planner takes the one for the other, which the executor refuses; so the statement's is spelled out.
 * With children the target here is one of them, and what the statement refers to is the parent.
 */
static void
add_update_targets(PlannerInfo *root, Index rtindex, RangeTblEntry *target_rte, Relation target_relation)
{
	TriggerDesc *triggers = target_relation->trigdesc;

	if (rtindex == (Index) root->parse->resultRelation)
	{
		if (refers_to_target_row((Node *) root->parse->jointree, root->parse))
			root->parse->jointree = (FromExpr *) spell_out_row((Node *) root->parse->jointree, root);
		if (refers_to_target_row((Node *) root->processed_tlist, root->parse))
			root->processed_tlist = (List *) spell_out_row((Node *) root->processed_tlist, root);
	}
	if (root->parse->commandType == CMD_DELETE &&
		!(triggers != NULL && (triggers->trig_delete_before_row || triggers->trig_delete_after_row)))
		add_row_identity_var(root, makeVar(rtindex, InvalidAttrNumber, RECORDOID, -1, InvalidOid, 0), rtindex,
							 WHOLEROW_NAME);
	if (nvmkv_table_definition(target_relation)->nkeys == 0)
		add_row_identity_var(root, makeVar(rtindex, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0), rtindex,
							 CTID_NAME);
}

/* ---------------------------------------------------------------- begin and end */

/* System columns the rows do not have must not be returned as nonsense; a scan refuses them, too. */
static void
check_returning(NvmkvModify *modify, ResultRelInfo *rri, List *returning)
{
	ListCell *lc;

	foreach(lc, pull_var_clause((Node *) returning, PVC_INCLUDE_PLACEHOLDERS))
	{
		const Var *var = lfirst_node(Var, lc);
		AttrNumber attnum = var->varattno;

		if (attnum >= 0 || var->varno != (int) rri->ri_RangeTableIndex || attnum == TableOidAttributeNumber ||
			attnum == SelfItemPointerAttributeNumber)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot retrieve system column \"%s\" of foreign table \"%s\"",
						NameStr(SystemAttributeDefinition(attnum)->attname), RelationGetRelationName(modify->rel))));
	}
}

static void
begin_inserts(NvmkvModify *modify)
{
	MemoryContext old_context;

	if (modify->batch != NULL)
		return;
	old_context = MemoryContextSwitchTo(modify->mtstate->ps.state->es_query_cxt);
	modify->batch = nvmkv_write_batch_create(modify->rel, modify->table, modify->cid);
	MemoryContextSwitchTo(old_context);
}

typedef struct TargetScan
{
	Index rti;
	ForeignScanState *found;
} TargetScan;

/* In a plan the scan of a target; arg: TargetScan. */
static bool
find_target_scan(PlanState *node, void *arg)
{
	TargetScan *target = arg;

	if (IsA(node, ForeignScanState) && ((ForeignScan *) node->plan)->scan.scanrelid == target->rti)
	{
		target->found = (ForeignScanState *) node;
		return true;
	}
	return planstate_tree_walker(node, find_target_scan, arg);
}

static void
begin_modify(ModifyTableState *mtstate, ResultRelInfo *rri, List *fdw_private, int subplan_index, int eflags)
{
	ModifyTable *plan = (ModifyTable *) mtstate->ps.plan;
	NvmkvModify *modify;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	modify = nvmkv_modify_create(mtstate->ps.state, mtstate, rri, mtstate->operation);
	if (plan->returningLists != NIL)
		check_returning(modify, rri, list_nth(plan->returningLists, subplan_index));
	if (mtstate->operation == CMD_INSERT)
		begin_inserts(modify);
	else
	{
		List *targetlist = outerPlanState(mtstate)->plan->targetlist;
		TargetScan target = {.rti = rri->ri_RangeTableIndex};

		(void) find_target_scan(outerPlanState(mtstate), &target);
		modify->scan = target.found;
		modify->wholerow_attno = ExecFindJunkAttributeInTlist(targetlist, WHOLEROW_NAME);
		modify->ctid_attno = ExecFindJunkAttributeInTlist(targetlist, CTID_NAME);
		if (!AttributeNumberIsValid(modify->wholerow_attno) ||
			(modify->table->nkeys == 0 && !AttributeNumberIsValid(modify->ctid_attno)))
			elog(ERROR, "could not find the row's identity in the plan's columns");
		modify->old_slot = ExecInitExtraTupleSlot(mtstate->ps.state, RelationGetDescr(modify->rel), &TTSOpsHeapTuple);
	}
	rri->ri_FdwState = modify;
}

/* COPY, and rows routed to a partition - which may be the target of the same UPDATE and then has its state already. */
static void
begin_insert(ModifyTableState *mtstate, ResultRelInfo *rri)
{
	if (rri->ri_FdwState == NULL)
		rri->ri_FdwState = nvmkv_modify_create(mtstate->ps.state, mtstate, rri, mtstate->operation);
	begin_inserts(rri->ri_FdwState);
	if (mtstate->operation == CMD_UPDATE)
		nvmkv_key_moves_begin(mtstate);
}

static void
end_insert(EState *estate, ResultRelInfo *rri)
{
	NvmkvModify *modify = rri->ri_FdwState;

	if (modify == NULL || modify->batch == NULL)
		return;
	nvmkv_write_batch_flush(modify->batch, NULL);
	nvmkv_write_batch_undefer(modify->batch);
}

static void
end_modify(EState *estate, ResultRelInfo *rri)
{
	end_insert(estate, rri);
}

/* ---------------------------------------------------------------- checks */

static void
check_insert(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, TupleTableSlot *slot)
{
	ModifyTableState *mtstate = modify->mtstate;

	/* A row an UPDATE moves here from another partition is an update to whoever wrote the policies. */
	if (rri->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(mtstate->operation == CMD_UPDATE ? WCO_RLS_UPDATE_CHECK : WCO_RLS_INSERT_CHECK,
							 rri, slot, estate);
	if (RelationGetDescr(modify->rel)->constr != NULL)
		ExecConstraints(rri, slot, estate);

	/* Routing has found the right partition, unless a trigger has changed the row since. COPY checks by itself. */
	if (mtstate->ps.plan != NULL && modify->rel->rd_rel->relispartition &&
		(rri->ri_RootResultRelInfo == NULL || (rri->ri_TrigDesc != NULL && rri->ri_TrigDesc->trig_insert_before_row)))
		ExecPartitionCheck(rri, slot, estate, true);
}

/* ---------------------------------------------------------------- INSERT */

/* The statement's first row: are rows kept back? */
static void
choose_when_to_write(NvmkvModify *modify, ResultRelInfo *rri)
{
	ModifyTableState *mtstate = modify->mtstate;
	MemoryContext old_context;

	modify->when = NVMKV_WRITE_AT_ONCE;
	if (modify->has_unique)
		return;
	old_context = MemoryContextSwitchTo(mtstate->ps.state->es_query_cxt);
	if (mtstate->ps.plan != NULL)
	{
		if (nvmkv_insert_keeps_rows(mtstate, rri))
			modify->when = NVMKV_WRITE_LATER;
	}
	else
	{
		struct CopyFromStateData *state = nvmkv_copyfrom_state();

		if (state != NULL && nvmkv_copyfrom_keeps_rows(state, mtstate, rri))
		{
			modify->when = NVMKV_WRITE_LATER;
			modify->copy = nvmkv_write_find_copy(state);
			if (modify->copy == NULL)
				modify->copy = nvmkv_copyfrom_create(state);
			nvmkv_copytriggers_write_first(mtstate, rri);
		}
	}
	if (modify->when == NVMKV_WRITE_LATER)
		nvmkv_write_batch_defer(modify->batch, modify->copy);
	MemoryContextSwitchTo(old_context);
}

static bool
add_row(NvmkvModify *modify)
{
	return nvmkv_write_batch_add(modify->batch, nvmkv_buffer_slice(&modify->key), nvmkv_buffer_slice(&modify->value),
								 nvmkv_buffer_slice(&modify->entries));
}

/* The executor is to say when the last row has been inserted, before it fires triggers: exec_pending_inserts. */
static void
want_end_of_rows(NvmkvModify *modify, EState *estate, ResultRelInfo *rri)
{
	MemoryContext old_context;

	if (modify->pending)
		return;
	old_context = MemoryContextSwitchTo(estate->es_query_cxt);
	estate->es_insert_pending_result_relations = lappend(estate->es_insert_pending_result_relations, rri);
	estate->es_insert_pending_modifytables = lappend(estate->es_insert_pending_modifytables, modify->mtstate);
	modify->pending = true;
	MemoryContextSwitchTo(old_context);
}

static void
insert_now(NvmkvModify *modify, TupleTableSlot *slot)
{
	/* In their turn: rows that other tables of the statement have kept back, and this one. */
	nvmkv_write_flush_deferred();
	if (modify->has_unique)
	{
		nvmkv_insert_unique(modify, slot);
		return;
	}
	(void) add_row(modify);
	nvmkv_write_batch_flush(modify->batch, &slot->tts_tid);
	nvmkv_modify_set_ctid(modify, slot, nvmkv_write_last_sequence());
}

static TupleTableSlot *
exec_insert(EState *estate, ResultRelInfo *rri, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	NvmkvModify *modify = rri->ri_FdwState;
	ModifyTable *plan = (ModifyTable *) modify->mtstate->ps.plan;

	MemoryContextReset(modify->row_context);
	nvmkv_row_move_done(&modify->moved_row, rri);
	if (NVMKV_GENERATED_FOR_BOTH)
		nvmkv_generate(modify, rri, slot);
	check_insert(modify, estate, rri, slot);
	nvmkv_modify_encode(modify, slot);

	/* Where nothing is to be unique nothing can conflict. */
	if (plan != NULL && plan->onConflictAction != ONCONFLICT_NONE && (modify->table->nkeys > 0 || modify->has_unique))
		return nvmkv_upsert(modify, estate, rri, slot);

	pgstat_count_heap_insert(modify->counted, 1);
	if (modify->when == NVMKV_WRITE_UNDECIDED)
		choose_when_to_write(modify, rri);
	if (modify->copy != NULL)
	{
		bool full = add_row(modify);

		if (nvmkv_copyfrom_add(modify->copy) || full)
			nvmkv_write_flush_copy(modify->copy);
	}
	else if (modify->when == NVMKV_WRITE_AT_ONCE ||
			 nvmkv_write_batch_meets(modify->batch, nvmkv_buffer_slice(&modify->key)))
		insert_now(modify, slot);
	else
	{
		if (add_row(modify))
			nvmkv_write_batch_flush(modify->batch, NULL);
		want_end_of_rows(modify, estate, rri);
	}
	return slot;
}

/* Called for the end of rows only: the executor collects none for us. */
static TupleTableSlot **
exec_pending_inserts(EState *estate, ResultRelInfo *rri, TupleTableSlot **slots, TupleTableSlot **plan_slots,
					 int *count)
{
	NvmkvModify *modify = rri->ri_FdwState;

	Assert(*count == 0);
	modify->pending = false;
	nvmkv_write_batch_flush(modify->batch, NULL);
	return slots;
}

/* ---------------------------------------------------------------- callbacks */

void
nvmkv_modify_callbacks(FdwRoutine *routine)
{
	routine->AddForeignUpdateTargets = add_update_targets;
	routine->BeginForeignModify = begin_modify;
	routine->ExecForeignInsert = exec_insert;
	routine->ExecForeignBatchInsert = exec_pending_inserts;
	routine->ExecForeignUpdate = nvmkv_exec_update;
	routine->ExecForeignDelete = nvmkv_exec_delete;
	routine->EndForeignModify = end_modify;
	nvmkv_direct_delete_callbacks(routine);
	routine->BeginForeignInsert = begin_insert;
	routine->EndForeignInsert = end_insert;
	routine->IsForeignRelUpdatable = nvmkvIsForeignRelUpdatable;
	routine->GetForeignRowMarkType = nvmkv_get_row_mark_type;
	routine->RefetchForeignRow = nvmkv_refetch_row;
}

/* ---------------------------------------------------------------- start of a statement */

/* The executor prepares more for a table after it has called BeginForeignModify. */
static void
executor_start(QueryDesc *query, int eflags)
{
	ListCell *lc;

	if (previous_executor_start != NULL)
		previous_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);

	foreach(lc, query->estate->es_opened_result_relations)
	{
		ResultRelInfo *rri = lfirst_node(ResultRelInfo, lc);

		if (rri->ri_FdwRoutine != NULL && rri->ri_FdwRoutine->BeginForeignModify == begin_modify)
			nvmkv_generated_take(rri);
	}
}

void
nvmkv_modify_init(void)
{
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
}
