/*
 * constraint.c
 *	  Constraints that are indexes, as the parser has them.
 *
 * This is what the server's transformIndexConstraint() does, which refuses to do
 * it for foreign tables.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/constraint.h"

bool
nvmkv_is_index_constraint(const Node *constraint)
{
	if (!IsA(constraint, Constraint))
		return false;
	switch (((const Constraint *) constraint)->contype)
	{
		case CONSTR_PRIMARY:
		case CONSTR_UNIQUE:
		case CONSTR_EXCLUSION:
			return true;
		default:
			return false;
	}
}

static List *
elements(const Constraint *constraint, List *names)
{
	List *result = NIL;
	ListCell *lc;

	foreach(lc, names)
	{
		IndexElem *element = makeNode(IndexElem);
		ListCell *other;

		element->name = pstrdup(strVal(lfirst(lc)));
		foreach(other, result)
		{
			if (strcmp(lfirst_node(IndexElem, other)->name, element->name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 constraint->contype == CONSTR_PRIMARY
							 ? errmsg("column \"%s\" appears twice in primary key constraint", element->name)
							 : errmsg("column \"%s\" appears twice in unique constraint", element->name)));
		}
		element->ordering = SORTBY_DEFAULT;
		element->nulls_ordering = SORTBY_NULLS_DEFAULT;
		result = lappend(result, element);
	}
	return result;
}

IndexStmt *
nvmkv_index_of_constraint(RangeVar *relation, const Constraint *constraint)
{
	IndexStmt *index = makeNode(IndexStmt);
	ListCell *lc;

	index->relation = relation;
	index->idxname = constraint->conname != NULL ? pstrdup(constraint->conname) : NULL;
	index->accessMethod = pstrdup(constraint->access_method != NULL ? constraint->access_method : DEFAULT_INDEX_TYPE);
	index->options = constraint->options;
	index->tableSpace = constraint->indexspace;
	index->whereClause = constraint->where_clause;
	index->unique = constraint->contype != CONSTR_EXCLUSION;
	index->primary = constraint->contype == CONSTR_PRIMARY;
	index->nulls_not_distinct = constraint->nulls_not_distinct;
	index->isconstraint = true;
	index->deferrable = constraint->deferrable;
	index->initdeferred = constraint->initdeferred;
	index->reset_default_tblspc = constraint->reset_default_tblspc;
	nvmkv_set_periods(index, constraint);

	foreach(lc, constraint->exclusions)
	{
		List *pair = lfirst_node(List, lc);

		index->indexParams = lappend(index->indexParams, linitial(pair));
		index->excludeOpNames = lappend(index->excludeOpNames, lsecond(pair));
	}
	if (constraint->exclusions == NIL)
		index->indexParams = elements(constraint, constraint->keys);
	index->indexIncludingParams = elements(constraint, constraint->including);
	return index;
}
