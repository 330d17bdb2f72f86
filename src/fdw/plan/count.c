/*
 * count.c
 *	  SELECT count(*): paths and plans of scans that count.
 *
 * The path has that of the scan in its private list, and its plan is made from
 * the plan of that: it differs in what it returns.  As it is no table's, the
 * columns that its conditions name are in fdw_scan_tlist, behind the counts;
 * nobody reads them.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"

#include "fdw/compat/compat.h"
#include "fdw/plan/count.h"
#include "fdw/plan/plan.h"

static bool
is_count(const Node *node)
{
	const Aggref *aggref = (const Aggref *) node;

	return IsA(node, Aggref) && aggref->aggfnoid == F_COUNT_ && aggref->aggfilter == NULL && aggref->agglevelsup == 0;
}

/* All that is computed from the rows; NIL when it is not only their number. */
static List *
find_counts(const List *exprs)
{
	List *found = pull_var_clause((Node *) exprs, PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
								  PVC_INCLUDE_PLACEHOLDERS);
	List *counts = NIL;
	ListCell *lc;

	foreach(lc, found)
	{
		if (!is_count(lfirst(lc)))
			return NIL;
		counts = list_append_unique(counts, lfirst(lc));
	}
	return counts;
}

/* A path of ours, of the relation itself, that returns just the rows that are meant. */
static ForeignPath *
countable(RelOptInfo *rel, Path *path)
{
	if (IsA(path, ProjectionPath))
		path = ((ProjectionPath *) path)->subpath;
	if (!IsA(path, ForeignPath) || path->parent != rel || path->param_info != NULL ||
		!nvmkv_path_is_exact(rel, (ForeignPath *) path))
		return NULL;
	return (ForeignPath *) path;
}

static ForeignPath *
cheapest_countable(RelOptInfo *rel, List *paths)
{
	ForeignPath *best = NULL;
	ListCell *lc;

	foreach(lc, paths)
	{
		ForeignPath *path = countable(rel, lfirst(lc));

		if (path != NULL && (best == NULL || compare_path_costs(&path->path, &best->path, TOTAL_COST) < 0))
			best = path;
	}
	return best;
}

static ForeignPath *
count_path(PlannerInfo *root, RelOptInfo *output_rel, ForeignPath *scan)
{
	/* Of a row that nobody makes only reading it costs something. */
	Cost total = Max(scan->path.total_cost - scan->path.rows * cpu_tuple_cost, scan->path.startup_cost);
	ForeignPath *path;

	path = nvmkv_create_upper_path(root, output_rel, 1, nvmkv_disabled_nodes(&scan->path), total,
								   total + cpu_tuple_cost, list_make1(scan));
	path->path.parallel_aware = scan->path.parallel_aware;
	path->path.parallel_safe = scan->path.parallel_safe && output_rel->consider_parallel;
	path->path.parallel_workers = scan->path.parallel_workers;
	return path;
}

void
nvmkvGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel, RelOptInfo *output_rel,
						  void *extra)
{
	const Query *parse = root->parse;
	bool partial = stage == UPPERREL_PARTIAL_GROUP_AGG;
	ForeignPath *scan;
	ForeignPath *part;

	if ((stage != UPPERREL_GROUP_AGG && !partial) || !IS_SIMPLE_REL(input_rel) || parse->groupClause != NIL ||
		parse->groupingSets != NIL || parse->havingQual != NULL || !bms_is_empty(input_rel->lateral_relids) ||
		find_counts(output_rel->reltarget->exprs) == NIL)
		return;
	/* Numbers that are added up are those of partitions, or of processes. */
	scan = cheapest_countable(input_rel, input_rel->pathlist);
	part = cheapest_countable(input_rel, input_rel->partial_pathlist);
	if (scan != NULL && (!partial || ((GroupPathExtraData *) extra)->patype == PARTITIONWISE_AGGREGATE_PARTIAL))
		add_path(output_rel, (Path *) count_path(root, output_rel, scan));
	if (part != NULL && partial && output_rel->consider_parallel)
		add_partial_path(output_rel, (Path *) count_path(root, output_rel, part));
}

static ForeignScan *
count_plan(PlannerInfo *root, ForeignPath *path, List *tlist)
{
	ForeignPath *scan_path = linitial_node(ForeignPath, path->fdw_private);
	RelOptInfo *rel = scan_path->path.parent;
	ForeignScan *scan = nvmkv_scan_plan(root, rel, planner_rt_fetch(rel->relid, root)->relid, scan_path, NIL,
										rel->baserestrictinfo);
	List *columns = pull_var_clause((Node *) scan->fdw_exprs, 0);
	List *scan_tlist = add_to_flat_tlist(NIL, find_counts(path->path.pathtarget->exprs));
	ListCell *lc;

	Assert(scan->scan.plan.qual == NIL);
	foreach(lc, columns)
		scan_tlist = lappend(scan_tlist, makeTargetEntry(lfirst(lc), (AttrNumber) (list_length(scan_tlist) + 1), NULL,
														 true));
	return make_foreignscan(tlist, NIL, 0, scan->fdw_exprs, scan->fdw_private, scan_tlist, NIL, NULL);
}

ForeignScan *
nvmkvGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path, List *tlist, List *scan_clauses,
					Plan *outer_plan)
{
	if (IS_UPPER_REL(rel))
		return count_plan(root, path, tlist);
	return nvmkv_scan_plan(root, rel, relid, path, tlist, scan_clauses);
}
