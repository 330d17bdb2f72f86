/*
 * insertplan.c
 *	  Whether an INSERT may keep rows back to write several at a time.
 *
 * Nobody must be able to tell.  What looks at our tables within the statement
 * flushes the rows first (bulk.h), so they are there for every function, check
 * and trigger.  Other sessions must not notice either: a row that is inserted
 * holds its key, so nothing that takes time on purpose or waits for somebody
 * may run while rows are kept back.  That is what volatile functions may do,
 * row locks and triggers, and what an insertion into another kind of table does.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "partitioning/partdesc.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "fdw/compat/compat.h"
#include "fdw/modify/insertplan.h"
#include "fdw/table/table.h"

/* Volatile functions that are done at once, and look at nothing. */
static const Oid quick_functions[] = {
	F_NEXTVAL, F_CURRVAL, F_LASTVAL, F_RANDOM, F_GEN_RANDOM_UUID, F_CLOCK_TIMESTAMP, F_TIMEOFDAY,
};

static bool
function_may_wait(Oid funcid, void *context)
{
	if (func_volatile(funcid) != PROVOLATILE_VOLATILE)
		return false;
	for (int i = 0; i < (int) lengthof(quick_functions); i++)
	{
		if (funcid == quick_functions[i])
			return false;
	}
	return true;
}

static bool expression_may_wait(Node *node, void *context);

static bool
domain_may_wait(Oid type)
{
	DomainConstraintRef *ref;
	ListCell *lc;

	if (!DomainHasConstraints(type))
		return false;
	ref = palloc(sizeof(DomainConstraintRef)); /* lives as long as the context */
	InitDomainConstraintRef(type, ref, CurrentMemoryContext, false);
	foreach(lc, ref->constraints)
	{
		if (expression_may_wait((Node *) ((DomainConstraintState *) lfirst(lc))->check_expr, NULL))
			return true;
	}
	return false;
}

static bool
expression_may_wait(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceToDomain) && domain_may_wait(((CoerceToDomain *) node)->resulttype))
		return true;
	if (check_functions_in_node(node, function_may_wait, context))
		return true;
	return expression_tree_walker(node, expression_may_wait, context);
}

bool
nvmkv_expression_may_wait(Node *node)
{
	return expression_may_wait(node, NULL);
}

static bool
checks_may_wait(Relation rel)
{
	const TupleConstr *constraints = RelationGetDescr(rel)->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		if (expression_may_wait(stringToNode(constraints->check[i].ccbin), NULL))
			return true;
	}
	return false;
}

static bool
plan_may_wait(PlanState *state, void *context)
{
	Plan *plan = state->plan;
	Node *more = NULL;

	switch (nodeTag(plan))
	{
		case T_LockRows:
			return true;
		case T_ValuesScan:
			more = (Node *) ((ValuesScan *) plan)->values_lists;
			break;
		case T_FunctionScan:
			more = (Node *) ((FunctionScan *) plan)->functions;
			break;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			more = (Node *) ((Join *) plan)->joinqual;
			break;
		case T_Result:
			more = ((Result *) plan)->resconstantqual;
			break;
		default:
			break;
	}
	if (expression_may_wait((Node *) plan->targetlist, context) || expression_may_wait((Node *) plan->qual, context) ||
		expression_may_wait(more, context))
		return true;
	return planstate_tree_walker(state, plan_may_wait, context);
}

/* Can rows of the statement go to tables that are not ours? */
static bool
goes_elsewhere(Relation root)
{
	PartitionDesc partitions;

	if (root->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return !nvmkv_is_our_relid(RelationGetRelid(root));
	partitions = RelationGetPartitionDesc(root, true);
	for (int i = 0; i < partitions->nparts; i++)
	{
		Relation child;
		bool elsewhere;

		if (partitions->is_leaf[i])
			elsewhere = !nvmkv_is_our_relid(partitions->oids[i]);
		else
		{
			child = table_open(partitions->oids[i], AccessShareLock);
			elsewhere = goes_elsewhere(child);
			table_close(child, NoLock);
		}
		if (elsewhere)
			return true;
	}
	return false;
}

bool
nvmkv_insert_keeps_rows(ModifyTableState *mtstate, ResultRelInfo *rri)
{
	ModifyTable *plan = (ModifyTable *) mtstate->ps.plan;
	EState *estate = mtstate->ps.state;
	PlanState *source;
	ListCell *lc;

	if (mtstate->operation != CMD_INSERT || plan->onConflictAction != ONCONFLICT_NONE)
		return false;
	source = outerPlanState(mtstate);
	if (IsA(source, ResultState) && outerPlanState(source) == NULL)
		return false; /* a single row */

	/* Whatever wants to see a row once it is in. */
	if (rri->ri_projectReturning != NULL || rri->ri_WithCheckOptions != NIL || mtstate->mt_transition_capture != NULL)
		return false;
	if (rri->ri_TrigDesc != NULL &&
		(rri->ri_TrigDesc->trig_insert_before_row || rri->ri_TrigDesc->trig_insert_after_row))
		return false;

	/*
	 * Another part of the statement may delete what stands in the way of a row, or put it there, in turn with this
	 * one.
	 */
	if (estate->es_plannedstmt->hasModifyingCTE)
		return false;

	/* Plans of WITH hang on the node itself, but not yet when it is begun. */
	foreach(lc, estate->es_subplanstates)
	{
		if (lfirst(lc) != NULL && plan_may_wait(lfirst(lc), NULL))
			return false;
	}
	return !plan_may_wait(source, NULL) && !checks_may_wait(rri->ri_RelationDesc) &&
		!goes_elsewhere(mtstate->rootResultRelInfo->ri_RelationDesc);
}
