/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  Planning of scans: sizes, paths, plans.
 *
 * Paths by key and by index are core's: create_index_paths matches conditions,
 * orders and join parameters with the hypothetical indexes of relinfo.c, and each
 * IndexPath it makes becomes a ForeignPath of the same rows, cost, order and
 * parameterization.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "fdw/compat/compat.h"
#include "fdw/plan/address.h"
#include "fdw/plan/cost.h"
#include "fdw/plan/plan.h"
#include "fdw/plan/quals.h"
#include "fdw/plan/relinfo.h"
#include "fdw/table/indexes.h"

/* ForeignPath.fdw_private, a list in this order. */
enum PathPrivateIndex
{
	PATH_ARMS,	   /* List of lists of IndexClause: a list for each arm of an OR; usually one, none for the table */
	PATH_BACKWARD, /* Boolean */
	PATH_INDEXES,  /* as NVMKV_SCAN_INDEXES */
	PATH_COVERING, /* Boolean: the entries are enough */
	PATH_SKIPS	   /* Boolean: by conditions behind columns without any, too */
};

static List *
path_private(List *arms, bool backward, List *indexes, bool covering, bool skips)
{
	return list_make5(arms, makeBoolean(backward), indexes, makeBoolean(covering), makeBoolean(skips));
}

/* ---------------------------------------------------------------- size */

void
nvmkvGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	(void) nvmkv_relinfo(rel, relid);
	check_index_predicates(root, rel);
	set_baserel_size_estimates(root, rel);
}

/* ---------------------------------------------------------------- paths */

/* The leader takes part, less the more workers it has to serve: the server's own rule. */
static double
parallel_divisor(int workers)
{
	double divisor = workers;

	if (parallel_leader_participation)
		divisor += Max(1.0 - 0.3 * workers, 0);
	return divisor;
}

static ForeignPath *
key_path(PlannerInfo *root, RelOptInfo *rel, IndexPath *ipath)
{
	Oid index = nvmkv_relinfo_index(ipath->indexinfo);
	List *private;
	int workers = ipath->path.parallel_workers;
	Cost total = ipath->path.total_cost;
	ForeignPath *path;

	private = path_private(list_make1(ipath->indexclauses), ScanDirectionIsBackward(ipath->indexscandir),
						   OidIsValid(index) ? list_make1_oid(index) : NIL,
						   OidIsValid(index) && ipath->path.pathtype == T_IndexOnlyScan,
						   nvmkv_path_skips(root, ipath));

	/* Core has shared out what the executor does with a row; reading it is shared, too. */
	if (workers > 0)
		total -= ipath->indextotalcost * (1 - 1 / parallel_divisor(workers));
	if (OidIsValid(index) && ipath->path.pathtype != T_IndexOnlyScan && ipath->path.pathkeys == NIL &&
		ipath->path.param_info == NULL)
		total = Max(total - nvmkv_fetch_saving(root, ipath), ipath->path.startup_cost);
	path = nvmkv_create_path(root, rel, ipath->path.rows, nvmkv_disabled_nodes(&ipath->path),
							 ipath->path.startup_cost, total, ipath->path.pathkeys, PATH_REQ_OUTER(&ipath->path),
							 private);
	path->path.parallel_aware = ipath->path.parallel_aware;
	path->path.parallel_workers = workers;
	return path;
}

/*
 * The index paths whose rows together hold what a bitmap path means.  Of paths joined by AND one is enough: its rows
 * are tested for the rest.
 */
static List *
bitmap_arms(PlannerInfo *root, Path *bitmap)
{
	List *arms = NIL;
	ListCell *lc;

	if (IsA(bitmap, IndexPath))
		return list_make1(bitmap);
	if (IsA(bitmap, BitmapOrPath))
	{
		foreach(lc, ((BitmapOrPath *) bitmap)->bitmapquals)
			arms = list_concat(arms, bitmap_arms(root, lfirst(lc)));
		return arms;
	}
	if (IsA(bitmap, BitmapAndPath))
	{
		Path *best = NULL;
		Selectivity best_selectivity = 0;

		foreach(lc, ((BitmapAndPath *) bitmap)->bitmapquals)
		{
			Cost cost;
			Selectivity selectivity;

			if (IsA(lfirst(lc), IndexPath))
				nvmkv_cost_arm(root, lfirst(lc), &cost, &selectivity);
			else
				cost_bitmap_tree_node(lfirst(lc), &cost, &selectivity);
			if (best == NULL || selectivity < best_selectivity)
			{
				best = lfirst(lc);
				best_selectivity = selectivity;
			}
		}
		return bitmap_arms(root, best);
	}
	elog(ERROR, "unrecognized node type: %d", (int) nodeTag(bitmap));
	return NIL;
}

/* A list of the same OID is one of it, and of the table's key none. */
static List *
shorten_indexes(List *indexes)
{
	ListCell *lc;

	foreach(lc, indexes)
	{
		if (lfirst_oid(lc) != linitial_oid(indexes))
			return indexes;
	}
	return OidIsValid(linitial_oid(indexes)) ? list_make1_oid(linitial_oid(indexes)) : NIL;
}

/* A path for conditions joined by OR, from core's idea of it; NULL when an arm has no bounds. */
static ForeignPath *
or_path(PlannerInfo *root, RelOptInfo *rel, const NvmkvRelInfo *info, BitmapHeapPath *bitmap)
{
	List *arms = bitmap_arms(root, bitmap->bitmapqual);
	ParamPathInfo *param_info = bitmap->path.param_info;
	List *quals = rel->baserestrictinfo;
	List *arm_clauses = NIL;
	List *indexes = NIL;
	Selectivity selectivity = 0;
	double random_page_cost_here;
	double seq_page_cost_here;
	double pages;
	QualCost qual_cost;
	Cost entries = 0;
	Cost startup;
	Cost total;
	ListCell *lc;

	if (list_length(arms) < 2)
		return NULL;
	foreach(lc, arms)
	{
		IndexPath *ipath = lfirst_node(IndexPath, lc);
		Oid index = nvmkv_relinfo_index(ipath->indexinfo);
		NvmkvKeyMatch match;
		Selectivity of_arm;
		Cost cost;

		nvmkv_match_quals(nvmkv_keyed_by(info->table, index), ipath->indexclauses, 0, &match);
		if (match.clauses == NIL)
			return NULL;
		arm_clauses = lappend(arm_clauses, ipath->indexclauses);
		indexes = lappend_oid(indexes, index);
		nvmkv_cost_arm(root, ipath, &cost, &of_arm);
		selectivity += of_arm;
		entries += cost;
	}
	selectivity = Min(selectivity, 1);
	indexes = shorten_indexes(indexes);

	if (param_info != NULL)
		quals = list_concat_copy(quals, param_info->ppi_clauses);
	cost_qual_eval(&qual_cost, quals, root);
	get_tablespace_page_costs(rel->reltablespace, &random_page_cost_here, &seq_page_cost_here);
	startup = nvmkv_seek_cost(rel, info) + qual_cost.startup + rel->reltarget->cost.startup;
	if (!enable_indexscan)
		startup += NVMKV_DISABLE_COST;
	total = startup + entries;
	if (indexes == NIL)
	{
		pages = Max(ceil(selectivity * rel->pages), 1);
		total += random_page_cost_here * Min(pages, list_length(arms));
		total += seq_page_cost_here * Max(pages - list_length(arms), 0);
	}
	else
	{
		pages = index_pages_fetched(clamp_row_est(selectivity * rel->tuples), rel->pages, 1, root);
		total += random_page_cost_here * pages;
	}

	/* Keys of rows are collected before the first one is read. */
	if (list_length(indexes) > 1)
		startup += entries;
	total += clamp_row_est(selectivity * rel->tuples) * (cpu_tuple_cost + qual_cost.per_tuple);
	total += bitmap->path.rows * rel->reltarget->cost.per_tuple;

	return nvmkv_create_path(root, rel, bitmap->path.rows, enable_indexscan ? 0 : 1, startup, total, NIL,
							 PATH_REQ_OUTER(&bitmap->path), path_private(arm_clauses, false, indexes, false, false));
}

/* Does a condition of the query, alone or as part of a join, have an OR at its top? */
static bool
has_or_clause(const RelOptInfo *rel)
{
	ListCell *lc;

	foreach(lc, rel->baserestrictinfo)
	{
		if (restriction_is_or_clause(lfirst_node(RestrictInfo, lc)))
			return true;
	}
	foreach(lc, rel->joininfo)
	{
		if (restriction_is_or_clause(lfirst_node(RestrictInfo, lc)))
			return true;
	}
	return false;
}

static void
add_key_paths(PlannerInfo *root, RelOptInfo *rel, const NvmkvRelInfo *info)
{
	List *other_paths = rel->pathlist;
	List *other_partial_paths = rel->partial_pathlist;
	List *index_paths;
	List *partial_index_paths;
	ListCell *lc;

	/* add_path frees what it drops, so core must not see foreign paths among its own, nor we the other way round. */
	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	if (has_or_clause(rel))
		nvmkv_relinfo_allow_or(rel);
	create_index_paths(root, rel);
	index_paths = rel->pathlist;
	partial_index_paths = rel->partial_pathlist;
	rel->pathlist = other_paths;
	rel->partial_pathlist = other_partial_paths;

	foreach(lc, index_paths)
	{
		if (IsA(lfirst(lc), IndexPath))
			add_path(rel, (Path *) key_path(root, rel, lfirst(lc)));
		else if (IsA(lfirst(lc), BitmapHeapPath))
		{
			ForeignPath *path = or_path(root, rel, info, lfirst(lc));

			if (path != NULL)
				add_path(rel, (Path *) path);
		}
	}
	foreach(lc, partial_index_paths)
	{
		if (IsA(lfirst(lc), IndexPath))
			add_partial_path(rel, (Path *) key_path(root, rel, lfirst(lc)));
	}
}

/* The whole table by several processes. */
static void
add_partial_table_path(PlannerInfo *root, RelOptInfo *rel, Cost startup, Cost total, Cost cpu)
{
	int workers = compute_parallel_worker(rel, rel->pages, -1, max_parallel_workers_per_gather);
	double divisor;
	ForeignPath *path;

	if (workers <= 0)
		return;
	divisor = parallel_divisor(workers);
	path = nvmkv_create_path(root, rel, clamp_row_est(rel->rows / divisor), enable_seqscan ? 0 : 1, startup,
							 total - cpu + cpu / divisor, NIL, NULL, path_private(NIL, false, NIL, false, false));
	path->path.parallel_aware = true;
	path->path.parallel_workers = workers;
	add_partial_path(rel, (Path *) path);
}

/* WHERE CURRENT OF leaves no choice. */
static void
add_cursor_path(PlannerInfo *root, RelOptInfo *rel, const NvmkvRelInfo *info)
{
	Cost startup = nvmkv_seek_cost(rel, info);

	add_path(rel, (Path *) nvmkv_create_path(root, rel, 1, 0, startup, startup + cpu_tuple_cost, NIL,
											 rel->lateral_relids, path_private(NIL, false, NIL, false, false)));
}

void
nvmkvGetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	const NvmkvRelInfo *info = nvmkv_relinfo(rel, relid);
	Relids required_outer = rel->lateral_relids;
	ParamPathInfo *param_info = get_baserel_parampathinfo(root, rel, required_outer);
	double rows = param_info != NULL ? param_info->ppi_rows : rel->rows;
	Cost startup;
	Cost total;
	Cost cpu;

	if (nvmkv_cursor_clause(rel) != NULL)
	{
		add_cursor_path(root, rel, info);
		return;
	}
	nvmkv_cost_table_scan(root, rel, info, param_info, rows, &startup, &total, &cpu);
	add_path(rel, (Path *) nvmkv_create_path(root, rel, rows, enable_seqscan ? 0 : 1, startup, total, NIL,
											 required_outer, path_private(NIL, false, NIL, false, false)));
	if (rel->consider_parallel && required_outer == NULL)
		add_partial_table_path(root, rel, startup, total, cpu);
	add_key_paths(root, rel, info);
}

/* Joins of partitions: conditions that name the parent's columns are to name the child's. */
List *
nvmkvReparameterizeForeignPathByChild(PlannerInfo *root, List *fdw_private, RelOptInfo *child_rel)
{
	List *copy = list_copy(fdw_private);
	ListCell *cell = list_nth_cell(copy, PATH_ARMS);

	lfirst(cell) = nvmkv_translate_to_child(root, lfirst(cell), child_rel);
	return copy;
}

/* Tags, snapshots and the engine mean the same in a worker as in its leader. */
bool
nvmkvIsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	return true;
}

/* ---------------------------------------------------------------- plan */

/* What the query takes from the rows: columns of its output and of conditions tested row by row. */
static List *
used_attributes(RelOptInfo *rel, ForeignPath *path, List *filters)
{
	Bitmapset *used = NULL;
	List *attributes = NIL;
	int member = -1;

	/*
	 * Not the plan's target list: where nobody minds it has all columns of the table, so that no projection is
	 * needed, and what is not used may then be anything.
	 */
	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &used);
	pull_varattnos((Node *) path->path.pathtarget->exprs, rel->relid, &used);
	pull_varattnos((Node *) filters, rel->relid, &used);
	while ((member = bms_next_member(used, member)) >= 0)
		attributes = lappend_int(attributes, member + FirstLowInvalidHeapAttributeNumber);
	return attributes;
}

/* "key column IS NOT NULL", which min() and max() ask for, goes without saying. */
static bool
is_key_not_null(const NvmkvTable *table, Index varno, const Expr *clause)
{
	const NullTest *test = (const NullTest *) clause;
	const Var *var;

	if (!IsA(clause, NullTest) || test->nulltesttype != IS_NOT_NULL || !IsA(test->arg, Var))
		return false;
	var = (const Var *) test->arg;
	for (int i = 0; i < table->nkeys; i++)
	{
		if (var->varno == varno && var->varattno == table->keys[i].attnum)
			return true;
	}
	return false;
}

/* Whose keys an arm's conditions bound; indexes: PATH_INDEXES. */
static const NvmkvTable *
arm_keyed(const NvmkvRelInfo *info, List *indexes, int arm)
{
	if (indexes == NIL)
		return info->table;
	return nvmkv_keyed_by(info->table, list_nth_oid(indexes, list_length(indexes) == 1 ? 0 : arm));
}

/* Does the predicate of the only index say so already?  Then core leaves such a condition out. */
static bool
is_implied_by_index(const RelOptInfo *rel, List *indexes, RestrictInfo *rinfo)
{
	ListCell *lc;

	if (list_length(indexes) != 1 || !list_member_ptr(rel->baserestrictinfo, rinfo))
		return false;
	foreach(lc, rel->indexlist)
	{
		const IndexOptInfo *index = lfirst_node(IndexOptInfo, lc);

		if (index->indexoid == linitial_oid(indexes))
			return index->indpred != NIL && !list_member_ptr(index->indrestrictinfo, rinfo);
	}
	return false;
}

/* The table's columns in clauses, an integer list. */
static List *
clause_attributes(const RelOptInfo *rel, List *clauses)
{
	Bitmapset *used = NULL;
	List *attributes = NIL;
	int member = -1;

	pull_varattnos((Node *) clauses, rel->relid, &used);
	while ((member = bms_next_member(used, member)) >= 0)
		attributes = lappend_int(attributes, member + FirstLowInvalidHeapAttributeNumber);
	return attributes;
}

/* Can it be told from an entry of the only index, before its row is read, whether a condition holds? */
static bool
tests_entry(const RelOptInfo *rel, const NvmkvRelInfo *info, List *indexes, RestrictInfo *rinfo)
{
	Node *clause = (Node *) rinfo->clause;
	const NvmkvIndex *index;
	List *attributes;
	ListCell *lc;

	if (list_length(indexes) != 1 || !restriction_is_securely_promotable(rinfo, (RelOptInfo *) rel) ||
		contain_volatile_functions(clause) || contain_subplans(clause))
		return false;
	index = nvmkv_find_index(info->table, linitial_oid(indexes));
	attributes = clause_attributes(rel, list_make1(clause));
	foreach(lc, attributes)
	{
		int column = 0;

		while (column < index->entries.tupdesc->natts && index->attnums[column] != lfirst_int(lc))
			column++;
		if (lfirst_int(lc) <= 0 || column == index->entries.tupdesc->natts)
			return false;
	}
	return attributes != NIL;
}

int
nvmkv_scan_tests(const ForeignScan *plan, bool *address_out)
{
	int tests = intVal(linitial(list_nth(plan->fdw_private, NVMKV_SCAN_TESTED)));
	int conditions = list_length(list_nth(plan->fdw_private, NVMKV_SCAN_CONDITIONS));

	*address_out = list_length(plan->fdw_exprs) > conditions + tests;
	return tests;
}

/* Is a condition one that the ranges enforce?  exact: the clauses of the only arm whose rows are all that they hold. */
static bool
is_enforced(const RelOptInfo *rel, const NvmkvRelInfo *info, List *indexes, List *exact, RestrictInfo *rinfo)
{
	return is_redundant_with_indexclauses(rinfo, exact) || is_key_not_null(info->table, rel->relid, rinfo->clause) ||
		is_implied_by_index(rel, indexes, rinfo);
}

bool
nvmkv_path_is_exact(const RelOptInfo *rel, const ForeignPath *path)
{
	const NvmkvRelInfo *info = rel->fdw_private;
	List *arms = list_nth(path->fdw_private, PATH_ARMS);
	List *indexes = list_nth(path->fdw_private, PATH_INDEXES);
	NvmkvKeyMatch match = {0};
	ListCell *lc;

	if (list_length(arms) > 1 || boolVal(list_nth(path->fdw_private, PATH_SKIPS)) ||
		(indexes != NIL && !boolVal(list_nth(path->fdw_private, PATH_COVERING))))
		return false;
	if (arms != NIL)
		nvmkv_match_quals(arm_keyed(info, indexes, 0), linitial(arms), 0, &match);
	foreach(lc, rel->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (rinfo->pseudoconstant || !is_enforced(rel, info, indexes, match.enforced, rinfo))
			return false;
	}
	return true;
}

ForeignScan *
nvmkv_scan_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path, List *tlist, List *scan_clauses)
{
	const NvmkvRelInfo *info = nvmkv_relinfo(rel, relid);
	List *arms = list_nth(path->fdw_private, PATH_ARMS);
	List *indexes = list_nth(path->fdw_private, PATH_INDEXES);
	List *exact = NIL;
	List *clauses = NIL;
	List *conditions = NIL;
	List *filters = NIL;
	List *tests = NIL;
	List *enforced = NIL;
	List *skip = NIL;
	Expr *address = nvmkv_cursor_clause(rel);
	List *private;
	ListCell *lc;

	/* With several arms nothing is enforced: the OR is tested row by row. */
	foreach(lc, arms)
	{
		NvmkvKeyMatch match;

		nvmkv_match_quals(arm_keyed(info, indexes, foreach_current_index(lc)), lfirst(lc), foreach_current_index(lc),
						  &match);
		if (boolVal(list_nth(path->fdw_private, PATH_SKIPS)))
		{
			nvmkv_match_behind(arm_keyed(info, indexes, 0), lfirst(lc), &match);
			skip = list_make3_int(match.nbounding, match.nequal, match.skip_to);
		}
		clauses = list_concat(clauses, match.clauses);
		conditions = list_concat(conditions, match.conditions);
		if (list_length(arms) == 1)
			exact = match.enforced;
	}

	/*
	 * What the ranges enforce is not tested again, except on a row that replaces the scanned one (EvalPlanQual).
	 * Constant conditions are tested above the scan.  The scan tests a condition on ctid (addressed.c).
	 */
	foreach(lc, scan_clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (rinfo->pseudoconstant || rinfo->clause == address)
			continue;
		if (address == NULL && info->table->nkeys > 0 && restriction_is_securely_promotable(rinfo, rel))
		{
			address = nvmkv_address_clause(root, rel->relid, rinfo->clause);
			if (address != NULL)
				continue;
		}
		if (is_enforced(rel, info, indexes, exact, rinfo))
			enforced = lappend(enforced, rinfo->clause);
		else if (!boolVal(list_nth(path->fdw_private, PATH_COVERING)) && tests_entry(rel, info, indexes, rinfo))
		{
			tests = lappend(tests, rinfo->clause);
			enforced = lappend(enforced, rinfo->clause);
		}
		else
			filters = lappend(filters, rinfo->clause);
	}

	clauses = list_concat(clauses, tests);
	if (address != NULL)
		clauses = lappend(clauses, address);
	private = list_make5(conditions,
						 list_nth(path->fdw_private, PATH_BACKWARD),
						 makeBoolean(path->path.pathkeys != NIL),
						 used_attributes(rel, path, filters),
						 makeBoolean(info->table->nkeys > 0 && nvmkv_shows_ctid(root, rel)));
	private = lappend(private, indexes);
	private = lappend(private, list_nth(path->fdw_private, PATH_COVERING));
	private = lappend(private, skip);
	private = lappend(private, list_make2(makeInteger(list_length(tests)), clause_attributes(rel, tests)));
	return make_foreignscan(tlist, filters, rel->relid, clauses, private, NIL, enforced, NULL);
}
