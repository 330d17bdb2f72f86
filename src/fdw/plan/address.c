/*
 * address.c
 *	  Rows that are named by where they are: by ctid, in a table with a primary key,
 *	  or by a cursor that stands on them.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_operator_d.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "fdw/plan/address.h"

static bool
is_ctid(const Node *node, Index relid)
{
	const Var *var = (const Var *) node;

	return IsA(node, Var) && var->varno == (int) relid && var->varattno == SelfItemPointerAttributeNumber &&
		var->varlevelsup == 0;
}

static bool
depends_on_rows(PlannerInfo *root, Index relid, Node *value)
{
	return bms_is_member((int) relid, pull_varnos(root, value)) || contain_volatile_functions(value);
}

Expr *
nvmkv_address_clause(PlannerInfo *root, Index relid, Expr *clause)
{
	Node *left;
	Node *right;

	if (IsA(clause, ScalarArrayOpExpr))
	{
		const ScalarArrayOpExpr *any = (const ScalarArrayOpExpr *) clause;

		left = linitial(any->args);
		right = lsecond(any->args);
		return any->opno == TIDEqualOperator && any->useOr && is_ctid(left, relid) &&
			!depends_on_rows(root, relid, right) ? clause : NULL;
	}
	if (!IsA(clause, OpExpr) || ((OpExpr *) clause)->opno != TIDEqualOperator)
		return NULL;
	left = linitial(((OpExpr *) clause)->args);
	right = lsecond(((OpExpr *) clause)->args);
	if (is_ctid(left, relid) && !depends_on_rows(root, relid, right))
		return clause;
	if (is_ctid(right, relid) && !depends_on_rows(root, relid, left))
		return make_opclause(TIDEqualOperator, BOOLOID, false, (Expr *) right, (Expr *) left, InvalidOid, InvalidOid);
	return NULL;
}

Expr *
nvmkv_cursor_clause(const RelOptInfo *rel)
{
	ListCell *lc;

	foreach(lc, rel->baserestrictinfo)
	{
		Expr *clause = lfirst_node(RestrictInfo, lc)->clause;

		if (IsA(clause, CurrentOfExpr))
			return clause;
	}
	return NULL;
}

bool
nvmkv_shows_ctid(PlannerInfo *root, const RelOptInfo *rel)
{
	Index relid = rel->top_parent_relids != NULL ? (Index) bms_singleton_member(rel->top_parent_relids) : rel->relid;
	ListCell *lc;

	foreach(lc, root->parse->targetList)
	{
		const TargetEntry *target = lfirst_node(TargetEntry, lc);
		Bitmapset *used = NULL;

		if (target->resjunk)
			continue;
		pull_varattnos((Node *) target->expr, relid, &used);
		if (bms_is_member(SelfItemPointerAttributeNumber - FirstLowInvalidHeapAttributeNumber, used))
			return true;
	}
	return false;
}
