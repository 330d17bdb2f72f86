/*
 * cost.c
 *	  What a scan by key costs.
 *
 * A scan starts by finding its place in every sorted source (memtables,
 * rows of the container, levels), then reads neighbouring rows: the table is
 * stored in key order.  So the pages of a range are one random page and then
 * sequential ones (core's cost_index with a correlation of 1), and a scan of the whole
 * table is the range of all keys, priced by the same formula: a range never
 * looks dearer than the whole.
 *
 * Entries of an index are stored in the same way, in a place of their own.  What
 * core adds for pages of the table it adds as for a heap, by how far the order
 * of the index follows that of the table; but each row is looked up by its key.
 * Where the entries are enough there is nothing to fetch: core is told so by
 * RelOptInfo.allvisfrac (relinfo.c).
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_statistic.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/plan/cost.h"
#include "fdw/plan/estimate.h"
#include "fdw/plan/quals.h"
#include "fdw/table/indexes.h"

/*
 * CPU, in operators: positioning in one source (its share of the comparisons comes on top); passing a row through
 * the merge.
 */
#define SEEK_OPERATORS 20.0
#define READ_OPERATORS 2.0

Cost
nvmkv_seek_cost(RelOptInfo *rel, const NvmkvRelInfo *info)
{
	double comparisons = ceil(log2(Max(rel->tuples, 2)));

	return (comparisons + SEEK_OPERATORS * info->sources) * cpu_operator_cost;
}

/* To read a row, without what the executor does with it. */
static Cost
read_cost(const NvmkvRelInfo *info)
{
	return (READ_OPERATORS + log2(1 + info->sources)) * cpu_operator_cost;
}

/* How many ranges of keys the conditions mean, behind one prefix. */
static double
count_ranges(PlannerInfo *root, List *clauses)
{
	double nranges = 1;
	ListCell *lc;

	foreach(lc, clauses)
	{
		if (IsA(lfirst(lc), ScalarArrayOpExpr))
			nranges *= Max(estimate_array_length(root, lsecond(((ScalarArrayOpExpr *) lfirst(lc))->args)), 1);
	}
	return nranges;
}

/* What a scan of a path reads. */
typedef struct NvmkvReach
{
	NvmkvKeyMatch match;
	double nranges;
	double in_vain; /* rows besides those between the bounds, before leaps */

	/* Of a path with these: the planner asks for each several times in a row, alone, in parallel, to make its plan. */
	const IndexOptInfo *index;
	const List *indexclauses;
	bool may_skip;
} NvmkvReach;

/* How many values the columns that "behind" skips have together, of those that are not left out by bounds. */
static double
count_skipped_values(PlannerInfo *root, const IndexOptInfo *index, const NvmkvKeyMatch *behind)
{
	List *bounds = NIL;
	double count = 1;

	for (int column = behind->nequal; column < behind->skip_to; column++)
	{
		VariableStatData vardata;
		bool is_default;

		examine_variable(root, (Node *) list_nth_node(TargetEntry, index->indextlist, column)->expr,
						 (int) index->rel->relid, &vardata);
		count *= get_variable_numdistinct(&vardata, &is_default);
		ReleaseVariableStats(vardata);
	}
	for (int i = 0; i < behind->nbounding; i++)
	{
		if (list_nth_int(list_nth(behind->conditions, i), NVMKV_CONDITION_FIELD_COLUMN) == behind->nequal)
			bounds = lappend(bounds, list_nth(behind->quals, i));
	}
	return Max(count * clauselist_selectivity(root, bounds, (int) index->rel->relid, JOIN_INNER, NULL), 1);
}

/*
 * May a scan skip columns to conditions that do not bound it?  Not to those of the table's key behind an index's own
 * columns: the table itself is in that order.
 */
static bool
has_conditions_behind(const IndexPath *path, const NvmkvTable *table, const NvmkvReach *reach)
{
	const IndexOptInfo *index = path->indexinfo;
	int end = index->nkeycolumns;
	ListCell *lc;

	if (index->amcostestimate == nvmkv_cost_index_path)
		end = Min(end, nvmkv_find_index(table, index->indexoid)->ncolumns);
	foreach(lc, path->indexclauses)
	{
		const IndexClause *iclause = lfirst_node(IndexClause, lc);

		if (iclause->indexcol > reach->match.nequal && iclause->indexcol < end)
			return true;
	}
	return false;
}

/*
 * Conditions behind columns that have none: small ranges for each value of these, which have to be found, if that is
 * less work than to read all.
 */
static void
try_skip(PlannerInfo *root, const IndexPath *path, const NvmkvTable *keyed, NvmkvReach *reach)
{
	RelOptInfo *rel = path->indexinfo->rel;
	const NvmkvRelInfo *info = rel->fdw_private;
	double tuples = Max(rel->tuples, 1);
	Cost seek = nvmkv_seek_cost(rel, info);
	Cost read = read_cost(info);
	NvmkvReach skipping;
	NvmkvKeyMatch *behind = &skipping.match;
	double between;
	double meant;
	double prefixes;

	nvmkv_match_quals(keyed, path->indexclauses, 0, behind);
	nvmkv_match_behind(keyed, path->indexclauses, behind);
	if (behind->skip_to == 0)
		return;
	between = tuples * clauselist_selectivity(root, reach->match.quals, (int) rel->relid, JOIN_INNER, NULL);
	meant = tuples * clauselist_selectivity(root, behind->quals, (int) rel->relid, JOIN_INNER, NULL);
	prefixes = reach->nranges * count_skipped_values(root, path->indexinfo, behind);
	prefixes = Max(Min(prefixes, between), 1);
	skipping.nranges = prefixes * (1 + count_ranges(root, list_copy_tail(behind->clauses, behind->nbounding)));
	skipping.in_vain = prefixes * NVMKV_SKIP_ROWS_IN_VAIN;
	if (skipping.nranges * seek + (skipping.in_vain + meant) * read < reach->nranges * seek + between * read)
		*reach = skipping;
}

static const NvmkvReach *
find_reach(PlannerInfo *root, const IndexPath *path, bool may_skip)
{
	const IndexOptInfo *index = path->indexinfo;
	NvmkvRelInfo *info = index->rel->fdw_private;
	const NvmkvTable *keyed = info->table;
	NvmkvReach *reach = info->reach;

	if (reach == NULL)
		reach = info->reach = palloc0(sizeof(NvmkvReach));
	if (reach->index == index && reach->indexclauses == path->indexclauses && reach->may_skip == may_skip)
		return reach;

	if (index->amcostestimate == nvmkv_cost_index_path)
		keyed = nvmkv_keyed_by(info->table, index->indexoid);
	reach->index = NULL;
	nvmkv_match_quals(keyed, path->indexclauses, 0, &reach->match);
	reach->nranges = count_ranges(root, reach->match.clauses);
	reach->in_vain = 0;
	if (may_skip && has_conditions_behind(path, info->table, reach))
		try_skip(root, path, keyed, reach);
	reach->index = index;
	reach->indexclauses = path->indexclauses;
	reach->may_skip = may_skip;
	return reach;
}

bool
nvmkv_path_skips(PlannerInfo *root, const IndexPath *path)
{
	return find_reach(root, path, true)->match.skip_to > 0;
}

/* "pages" out of "all", in this many ranges, for one of loop_count scans that share what they have read. */
static Cost
pages_cost(PlannerInfo *root, Oid tablespace, BlockNumber all, double pages, double nranges, double loop_count)
{
	double random_page_cost_here;
	double seq_page_cost_here;
	double fetched;

	get_tablespace_page_costs(tablespace, &random_page_cost_here, &seq_page_cost_here);
	if (loop_count > 1)
	{
		fetched = index_pages_fetched(Max(pages, nranges) * loop_count, all, all, root);
		return fetched * random_page_cost_here / loop_count;
	}
	fetched = Min(nranges, pages);
	return fetched * random_page_cost_here + (pages - fetched) * seq_page_cost_here;
}

static void
cost_key_path(PlannerInfo *root, IndexPath *path, bool may_skip, double loop_count, Cost *startup_out, Cost *total_out,
			  Selectivity *selectivity_out, double *correlation_out, double *pages_out)
{
	RelOptInfo *rel = path->indexinfo->rel;
	const NvmkvRelInfo *info = rel->fdw_private;
	const NvmkvReach *reach;
	int ncols;
	double nranges;
	double tuples = Max(rel->tuples, 1);
	double random_page_cost_here;
	double seq_page_cost_here;
	Selectivity selectivity;
	Cost arguments;
	Cost seek;

	(void) nvmkv_key_columns(info->table, &ncols);
	reach = find_reach(root, path, may_skip);
	nranges = reach->nranges;

	/* Rows between the bounds; conditions that do not bound are tests of rows that were read. */
	if (reach->match.nequal == ncols)
		selectivity = Min(nranges / tuples, 1.0);
	else
		selectivity = clauselist_selectivity(root, reach->match.quals, rel->relid, JOIN_INNER, NULL);

	arguments = index_other_operands_eval_cost(root, reach->match.quals);
	seek = nvmkv_seek_cost(rel, info);
	*startup_out = arguments + seek;
	*total_out = arguments + seek * nranges + (clamp_row_est(selectivity * tuples) + reach->in_vain) * read_cost(info);

	/* Each further range begins on a page of its own, as long as there are so many. */
	get_tablespace_page_costs(rel->reltablespace, &random_page_cost_here, &seq_page_cost_here);
	if (nranges > 1)
		*total_out += (Min(nranges, rel->pages) - 1) * Max(random_page_cost_here - seq_page_cost_here, 0) / loop_count;

	*selectivity_out = selectivity;
	*correlation_out = 1.0;
	*pages_out = ceil(selectivity * rel->pages);

	/* Where no column is used core believes that there is nothing to fetch. */
	if (path->path.pathtype == T_IndexOnlyScan)
		*total_out += pages_cost(root, rel->reltablespace, rel->pages, *pages_out, 1, loop_count);
}

void
nvmkv_cost_key_path(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_out, Cost *total_out,
					Selectivity *selectivity_out, double *correlation_out, double *pages_out)
{
	cost_key_path(root, path, true, loop_count, startup_out, total_out, selectivity_out, correlation_out, pages_out);
}

/* The conditions, and what of a partial index's predicate they do not say already. */
static List *
add_predicate(const IndexOptInfo *index, List *quals)
{
	List *all = NIL;
	ListCell *lc;

	foreach(lc, index->indpred)
	{
		List *one = list_make1(lfirst(lc));

		if (!predicate_implied_by(one, quals, false))
			all = list_concat(all, one);
	}
	return list_concat(all, quals);
}

/* Does each key column of a unique index have a value that it is equal to? */
static bool
finds_one_row(const IndexOptInfo *index, const NvmkvKeyMatch *match)
{
	ListCell *lc;

	if (!index->unique || match->nequal != index->nkeycolumns)
		return false;
	foreach(lc, match->clauses)
	{
		if (IsA(lfirst(lc), NullTest))
			return false;
	}
	return true;
}

/* Conditions on columns of the index that do not bound the scan. */
static List *
other_column_quals(const IndexPath *path, const NvmkvKeyMatch *match)
{
	List *quals = NIL;
	ListCell *lc1;
	ListCell *lc2;

	foreach(lc1, path->indexclauses)
	{
		const IndexClause *iclause = lfirst_node(IndexClause, lc1);

		if (path->indexinfo->indexkeys[iclause->indexcol] == 0)
			continue;
		foreach(lc2, iclause->indexquals)
		{
			if (!list_member_ptr(match->quals, lfirst(lc2)))
				quals = lappend(quals, lfirst(lc2));
		}
	}
	return quals;
}

/*
 * How far the order of an index follows that of the table: what ANALYZE says of its first column, and less of that
 * where more columns follow, as the server has it for a B-tree.
 */
#define CORRELATION_OF_SEVERAL 0.75

static double
index_correlation(PlannerInfo *root, const IndexOptInfo *index)
{
	Oid relid = planner_rt_fetch(index->rel->relid, root)->relid;
	AttrNumber attnum = (AttrNumber) index->indexkeys[0];
	double correlation = 0;
	HeapTuple tuple;
	AttStatsSlot slot;
	Oid less;

	if (attnum == 0)
	{
		relid = index->indexoid;
		attnum = 1;
	}
	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(attnum), BoolGetDatum(false));
	if (!HeapTupleIsValid(tuple))
		return 0;
	less = get_opfamily_member(index->opfamily[0], index->opcintype[0], index->opcintype[0], BTLessStrategyNumber);
	if (OidIsValid(less) && get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, less, ATTSTATSSLOT_NUMBERS))
	{
		correlation = slot.numbers[0];
		if (index->reverse_sort[0])
			correlation = -correlation;
		if (index->nkeycolumns > 1)
			correlation *= CORRELATION_OF_SEVERAL;
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	return correlation;
}

/*
 * Estimates are off by some hundredths, which would decide between indexes that serve alike; where each row has an
 * entry, these are as many.
 */
static void
set_index_size(IndexOptInfo *index, const NvmkvRelInfo *info)
{
	NvmkvEstimate estimate;
	double bytes;

	nvmkv_table_estimate(nvmkv_keyed_by(info->table, index->indexoid), &estimate);
	bytes = estimate.bytes / Max(estimate.entries, 1);
	index->tuples = index->indpred == NIL ? index->rel->tuples : estimate.entries;
	bytes *= index->tuples;
	index->pages = (BlockNumber) Max(Min(ceil(bytes / BLCKSZ), (double) MaxBlockNumber), 1);
}

static void
cost_index_path(PlannerInfo *root, IndexPath *path, bool may_skip, double loop_count, Cost *startup_out,
				Cost *total_out, Selectivity *selectivity_out, double *correlation_out, double *pages_out)
{
	IndexOptInfo *index = path->indexinfo;
	RelOptInfo *rel = index->rel;
	const NvmkvRelInfo *info = rel->fdw_private;
	const NvmkvReach *reach;
	double nranges;
	double tuples = Max(rel->tuples, 1);
	double entries;
	double pages;
	List *tests;
	Selectivity selectivity;
	Cost arguments;
	Cost seek;

	if (index->pages == 0)
		set_index_size(index, info);
	reach = find_reach(root, path, may_skip);
	nranges = reach->nranges;
	if (finds_one_row(index, &reach->match))
		selectivity = Min(nranges / tuples, 1.0);
	else
		selectivity = clauselist_selectivity(root, add_predicate(index, reach->match.quals), rel->relid, JOIN_INNER,
											 NULL);
	entries = clamp_row_est(selectivity * tuples);
	pages = Max(ceil(Min(entries / Max(index->tuples, 1), 1) * index->pages), 1);

	arguments = index_other_operands_eval_cost(root, reach->match.quals);
	seek = nvmkv_seek_cost(rel, info);
	*startup_out = arguments + seek;
	*total_out = arguments + seek * nranges + reach->in_vain * read_cost(info) +
		entries * (read_cost(info) + cpu_index_tuple_cost) +
		pages_cost(root, index->reltablespace, index->pages, pages, nranges, loop_count);

	/* Entries that fail a test that their columns allow have no rows read. */
	tests = other_column_quals(path, &reach->match);
	if (tests != NIL)
		selectivity *= clauselist_selectivity(root, tests, rel->relid, JOIN_INNER, NULL);
	if (path->path.pathtype != T_IndexOnlyScan)
		*total_out += clamp_row_est(selectivity * tuples) * seek;

	*selectivity_out = selectivity;
	/* Where nothing is fetched it does not matter. */
	*correlation_out = path->path.pathtype == T_IndexOnlyScan ? 0 : index_correlation(root, index);
	*pages_out = pages;
}

/* An entry that waits for its row: what the executor keeps of it (scan/fetch.h), with a key of usual length. */
#define WAITING_ENTRY_BYTES 64

/*
 * As core has it for bitmap scans: the more of the table's pages are read in one go, the more of them follow each
 * other.  The number of entries that are read before their rows doubles each time, so that half of them are in the last
 * batch, until they fill work_mem.
 */
Cost
nvmkv_fetch_saving(PlannerInfo *root, const IndexPath *path)
{
	const IndexOptInfo *index = path->indexinfo;
	double rows = clamp_row_est(path->indexselectivity * index->rel->tuples);
	double batch = Min(rows / 2, work_mem * 1024.0 / WAITING_ENTRY_BYTES);
	double all = Max(index->rel->pages, 1);
	double together = 2 * all * batch / (2 * all + batch);
	double correlation = index_correlation(root, index);
	double random_page_cost_here;
	double seq_page_cost_here;

	get_tablespace_page_costs(index->rel->reltablespace, &random_page_cost_here, &seq_page_cost_here);
	return index_pages_fetched(rows, index->rel->pages, index->pages, root) * (1 - correlation * correlation) *
		Max(random_page_cost_here - seq_page_cost_here, 0) * sqrt(Min(together / all, 1));
}

void
nvmkv_cost_index_path(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_out, Cost *total_out,
					  Selectivity *selectivity_out, double *correlation_out, double *pages_out)
{
	cost_index_path(root, path, true, loop_count, startup_out, total_out, selectivity_out, correlation_out, pages_out);
}

void
nvmkv_cost_arm(PlannerInfo *root, IndexPath *path, Cost *total_out, Selectivity *selectivity_out)
{
	Cost startup;
	double correlation;
	double pages;

	if (path->indexinfo->amcostestimate == nvmkv_cost_index_path)
		cost_index_path(root, path, false, 1, &startup, total_out, selectivity_out, &correlation, &pages);
	else
		cost_key_path(root, path, false, 1, &startup, total_out, selectivity_out, &correlation, &pages);
}

void
nvmkv_cost_table_scan(PlannerInfo *root, RelOptInfo *rel, const NvmkvRelInfo *info, const ParamPathInfo *param_info,
					  double rows, Cost *startup_out, Cost *total_out, Cost *cpu_out)
{
	List *quals = rel->baserestrictinfo;
	double random_page_cost_here;
	double seq_page_cost_here;
	QualCost qual_cost;
	Cost startup;
	Cost pages;

	if (param_info != NULL)
		quals = list_concat_copy(quals, param_info->ppi_clauses);
	cost_qual_eval(&qual_cost, quals, root);
	get_tablespace_page_costs(rel->reltablespace, &random_page_cost_here, &seq_page_cost_here);

	startup = nvmkv_seek_cost(rel, info) + qual_cost.startup + rel->reltarget->cost.startup;
	if (!enable_seqscan)
		startup += NVMKV_DISABLE_COST;
	pages = random_page_cost_here + (Max(rel->pages, 1) - 1) * seq_page_cost_here;
	*cpu_out = rel->tuples * (cpu_tuple_cost + read_cost(info) + qual_cost.per_tuple);
	*cpu_out += rows * rel->reltarget->cost.per_tuple;
	*startup_out = startup;
	*total_out = startup + pages + *cpu_out;
}
