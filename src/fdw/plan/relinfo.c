/*-------------------------------------------------------------------------
 *
 * relinfo.c
 *	  What the planner is told about a foreign table before it makes paths.
 *
 * The primary key is shown to the planner as a hypothetical unique btree
 * index.  This must happen in get_relation_info, before join removal and before
 * equivalence classes are matched to indexes; from then on core finds by itself which conditions and
 * orders the key serves, and plan.c turns its index paths into foreign paths.
 *
 * A key with a column that knows only equality (a collation whose order is not
 * that of the bytes) is shown without sort order; comparisons of such a column
 * match the index in core's eyes and are refused again by quals.c.
 *
 * The other indexes are shown in the same way, with their own OIDs, by which
 * core finds statistics of their expressions.  They are hypothetical, too, so
 * that nothing opens them.  Behind its columns an index has those of the table's
 * key, in whose order rows with equal columns are; a unique one is shown
 * without them, for its columns alone are unique.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "catalog/pg_am_d.h"
#include "nodes/makefuncs.h"
#include "optimizer/plancat.h"
#include "rewrite/rewriteManip.h"

#include "fdw/compat/compat.h"
#include "fdw/host/engine.h"
#include "fdw/key/keycode.h"
#include "fdw/plan/cost.h"
#include "fdw/plan/estimate.h"
#include "fdw/plan/quals.h"
#include "fdw/plan/relinfo.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"

static get_relation_info_hook_type previous_relation_info_hook;

/* ---------------------------------------------------------------- size */

/*
 * Sets rel->pages and rel->tuples.  As for a heap table, one that was never analyzed is taken for ten pages at
 * least: plans made while it is nearly empty must still be good when it has grown.
 */
#define NEVER_ANALYZED_PAGES 10

static void
set_size(RelOptInfo *rel, Relation relation, NvmkvRelInfo *info)
{
	NvmkvEstimate estimate;
	double entry_bytes;

	nvmkv_table_estimate(info->table, &estimate);
	info->bytes = estimate.bytes;
	info->sources = Max(estimate.sources, 1);

	if (estimate.entries >= 1)
		entry_bytes = Max(estimate.bytes / estimate.entries, 1);
	else
		entry_bytes = NVMKV_STORAGE_ID_BYTES +
			get_relation_data_width(RelationGetRelid(relation), rel->attr_widths - rel->min_attr);
	rel->pages = (BlockNumber) Min(ceil(estimate.bytes / BLCKSZ), (double) MaxBlockNumber);
	rel->tuples = rint(estimate.entries);
	rel->allvisfrac = 1; /* an index-only scan reads nothing of the table */
	if (relation->rd_rel->reltuples < 0 && rel->pages < NEVER_ANALYZED_PAGES)
	{
		rel->pages = NEVER_ANALYZED_PAGES;
		rel->tuples = Max(rel->tuples, rint(NEVER_ANALYZED_PAGES * BLCKSZ / entry_bytes));
	}
	rel->pages = Max(rel->pages, 1);
}

/* ---------------------------------------------------------------- key */

/* An index by these key columns, and more that it only gives back; columns are set with set_column. */
static IndexOptInfo *
make_index(RelOptInfo *rel, Oid oid, int nkeycolumns, int ncolumns)
{
	IndexOptInfo *index = makeNode(IndexOptInfo);

	index->indexoid = oid;
	index->reltablespace = rel->reltablespace;
	index->rel = rel;
	index->pages = 1;
	index->tuples = rel->tuples;
	index->tree_height = 0;

	index->ncolumns = ncolumns;
	index->nkeycolumns = nkeycolumns;
	index->indexkeys = palloc0(sizeof(int) * ncolumns);
	index->indexcollations = palloc0(sizeof(Oid) * nkeycolumns);
	index->opfamily = palloc0(sizeof(Oid) * nkeycolumns);
	index->opcintype = palloc0(sizeof(Oid) * nkeycolumns);
	index->reverse_sort = palloc0(sizeof(bool) * nkeycolumns);
	index->nulls_first = palloc0(sizeof(bool) * nkeycolumns);
	index->opclassoptions = palloc0(sizeof(bytea *) * nkeycolumns);
	index->canreturn = palloc0(sizeof(bool) * ncolumns);
	index->sortopfamily = index->opfamily;

	index->relam = BTREE_AM_OID;
	index->immediate = true;
	index->hypothetical = true;
	index->amoptionalkey = true;
	index->amsearcharray = true;
	index->amhasgettuple = true;
	return index;
}

/* Key column number i; expr: what it is of.  False when it has no operators the planner could match. */
static bool
set_key_column(IndexOptInfo *index, int i, const NvmkvKeyColumn *col, Expr *expr)
{
	index->indexkeys[i] = IsA(expr, Var) ? ((Var *) expr)->varattno : 0;
	index->indexcollations[i] = col->collation;
	index->opfamily[i] = nvmkv_key_operator_family(col);
	index->opcintype[i] = col->opcintype;

	/* Where there are no NULLs, these are the places ORDER BY and ORDER BY ... DESC ask for by default. */
	index->reverse_sort[i] = col->descending;
	index->nulls_first[i] = col->nullable ? col->nulls_first : col->descending;
	if (!col->ordered)
		index->sortopfamily = NULL;
	index->indextlist = lappend(index->indextlist, makeTargetEntry(expr, i + 1, NULL, false));
	return OidIsValid(index->opfamily[i]);
}

/* The key, or the hidden row id, as an index; NULL when a column has no operators the planner could match. */
static IndexOptInfo *
make_key_index(RelOptInfo *rel, Oid relid, const NvmkvTable *table)
{
	int ncols;
	const NvmkvKeyColumn *cols = nvmkv_key_columns(table, &ncols);
	IndexOptInfo *index = make_index(rel, relid, ncols, ncols); /* no OID of its own; nothing looks it up */

	for (int i = 0; i < ncols; i++)
	{
		const NvmkvKeyColumn *col = &cols[i];
		Var *var = makeVar(rel->relid, col->attnum, col->type, col->typmod, col->collation, 0);

		if (!set_key_column(index, i, col, (Expr *) var))
			return NULL;
	}

	/*
	 * The table's pages are the index's: counted once, as pages of the table; and an index-only scan would be the same
	 * scan.  A row id is unique, but no column that grouping could be told by.
	 */
	index->unique = table->nkeys > 0;
	index->amcanparallel = true;
	index->amcostestimate = nvmkv_cost_key_path;
	return index;
}

/* ---------------------------------------------------------------- indexes */

/* Key columns that are shown: those of the table's key, too, but no row id. */
static int
shown_key_columns(const NvmkvIndex *index)
{
	int count = index->ncolumns;

	if (index->is_unique)
		return count;
	while (count < index->entries.nkeys && index->attnums[index->entries.keys[count].attnum - 1] > 0)
		count++;
	return count;
}

/* What column number "column", from 0, of the entries is of; *expression: the index's next one. */
static Expr *
column_expr(const RelOptInfo *rel, const NvmkvTable *table, const NvmkvIndex *index, int column,
			ListCell **expression)
{
	AttrNumber attnum = index->attnums[column];
	Expr *expr;

	if (attnum != 0)
	{
		Form_pg_attribute att = TupleDescAttr(table->tupdesc, attnum - 1);

		return (Expr *) makeVar(rel->relid, attnum, att->atttypid, att->atttypmod, att->attcollation, 0);
	}
	expr = copyObject(lfirst(*expression));
	*expression = lnext(index->expressions, *expression);
	if (rel->relid != 1)
		ChangeVarNodes((Node *) expr, 1, (int) rel->relid, 0);
	return expr;
}

/* An index as the planner sees it; NULL when it cannot. */
static IndexOptInfo *
make_secondary_index(RelOptInfo *rel, const NvmkvTable *table, const NvmkvIndex *description)
{
	const NvmkvTable *entries = &description->entries;
	int nkeycolumns = shown_key_columns(description);
	int ncolumns = nkeycolumns;
	IndexOptInfo *index;
	ListCell *expression = list_head(description->expressions);
	bool *is_shown = palloc0(sizeof(bool) * (size_t) entries->tupdesc->natts);

	for (int i = 0; i < nkeycolumns; i++)
		is_shown[entries->keys[i].attnum - 1] = true;
	for (int column = 0; column < entries->tupdesc->natts; column++)
		ncolumns += !is_shown[column] && description->attnums[column] > 0;

	index = make_index(rel, description->oid, nkeycolumns, ncolumns);
	for (int i = 0; i < nkeycolumns; i++)
	{
		const NvmkvKeyColumn *col = &entries->keys[i];
		int column = col->attnum - 1;

		if (!set_key_column(index, i, col, column_expr(rel, table, description, column, &expression)))
			return NULL;
		index->canreturn[i] = true;
	}
	for (int column = 0; column < entries->tupdesc->natts; column++)
	{
		if (is_shown[column] || description->attnums[column] <= 0)
			continue;
		index->indexkeys[nkeycolumns] = description->attnums[column];
		index->canreturn[nkeycolumns] = true;
		index->indextlist = lappend(index->indextlist,
									makeTargetEntry(column_expr(rel, table, description, column, NULL),
													(AttrNumber) ++nkeycolumns, NULL, false));
	}

	index->indexprs = copyObject(description->expressions);
	index->indpred = copyObject(description->predicate);
	if (rel->relid != 1)
	{
		ChangeVarNodes((Node *) index->indexprs, 1, (int) rel->relid, 0);
		ChangeVarNodes((Node *) index->indpred, 1, (int) rel->relid, 0);
	}
	index->pages = 0; /* not yet known: cost.c finds out, where somebody asks */
	index->unique = description->is_unique;
	index->immediate = !description->deferrable;
	nvmkv_set_nulls_not_distinct(index, description->nulls_not_distinct);
	index->amsearchnulls = true;
	index->amcanparallel = true;
	index->amcostestimate = nvmkv_cost_index_path;
	return index;
}

/*
 * All that are valid.  One that was made after this transaction's snapshot may lack rows for it; then the plan must
 * not be kept for later ones.
 */
static void
add_secondary_indexes(PlannerInfo *root, RelOptInfo *rel, const NvmkvTable *table)
{
	for (int i = 0; i < table->nindexes; i++)
	{
		const NvmkvIndex *description = &table->indexes[i];
		IndexOptInfo *index;

		if (!description->valid)
			continue;
		if (!nvmkv_index_is_old_enough(description->oid))
		{
			root->glob->transientPlan = true;
			continue;
		}
		index = make_secondary_index(rel, table, description);
		if (index != NULL)
			rel->indexlist = lappend(rel->indexlist, index);
	}
}

/* From 16 on core lists the table's indexes itself, as far as it understands them: as those of a partitioned table. */
static void
remove_core_indexes(RelOptInfo *rel)
{
	ListCell *lc;

	foreach(lc, rel->indexlist)
	{
		if (lfirst_node(IndexOptInfo, lc)->amcostestimate == NULL)
			rel->indexlist = foreach_delete_current(rel->indexlist, lc);
	}
}

Oid
nvmkv_relinfo_index(const IndexOptInfo *index)
{
	return index->amcostestimate == nvmkv_cost_index_path ? index->indexoid : InvalidOid;
}

/* ---------------------------------------------------------------- the hook */

NvmkvRelInfo *
nvmkv_relinfo(RelOptInfo *rel, Oid relid)
{
	NvmkvRelInfo *info = rel->fdw_private;
	Relation relation;

	if (info != NULL)
		return info;

	info = palloc0(sizeof(NvmkvRelInfo));
	relation = table_open(relid, NoLock);

	/* EXPLAIN works without the engine; with it, the table's storage is looked up for its size. */
	info->table = nvmkv_engine_or_null() != NULL ? nvmkv_table(relation) : nvmkv_table_definition(relation);
	set_size(rel, relation, info);
	table_close(relation, NoLock);
	rel->fdw_private = info;
	return info;
}

void
nvmkv_relinfo_allow_or(RelOptInfo *rel)
{
	ListCell *lc;

	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, lc);

		if (index->amcostestimate == nvmkv_cost_key_path || index->amcostestimate == nvmkv_cost_index_path)
			index->amhasgetbitmap = true;
	}
}

static void
relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	const NvmkvTable *table;
	IndexOptInfo *index;

	if (previous_relation_info_hook)
		previous_relation_info_hook(root, relid, inhparent, rel);

	/* For an inheritance parent this is the whole tree; the parent's own rows come again as a child. */
	if (inhparent || rel->fdwroutine == NULL || !nvmkv_is_our_routine(rel->fdwroutine))
		return;

	remove_core_indexes(rel);
	table = nvmkv_relinfo(rel, relid)->table;
	index = make_key_index(rel, relid, table);
	if (index != NULL)
		rel->indexlist = lappend(rel->indexlist, index);
	add_secondary_indexes(root, rel, table);
}

void
nvmkv_relinfo_init(void)
{
	previous_relation_info_hook = get_relation_info_hook;
	get_relation_info_hook = relation_info;
}
