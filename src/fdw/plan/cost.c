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
 */
#include "postgres.h"

#include <math.h>

#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "fdw/compat/compat.h"
#include "fdw/plan/cost.h"
#include "fdw/plan/quals.h"

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

void
nvmkv_cost_key_path(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_out, Cost *total_out,
					Selectivity *selectivity_out, double *correlation_out, double *pages_out)
{
	RelOptInfo *rel = path->indexinfo->rel;
	const NvmkvRelInfo *info = rel->fdw_private;
	NvmkvKeyMatch match;
	int ncols;
	double nranges = 1;
	double tuples = Max(rel->tuples, 1);
	double random_page_cost_here;
	double seq_page_cost_here;
	Selectivity selectivity;
	Cost arguments;
	Cost seek;
	ListCell *lc;

	(void) nvmkv_key_columns(info->table, &ncols);
	nvmkv_match_quals(info->table, path->indexclauses, 0, &match);
	foreach(lc, match.clauses)
	{
		if (IsA(lfirst(lc), ScalarArrayOpExpr))
			nranges *= Max(estimate_array_length(root, lsecond(((ScalarArrayOpExpr *) lfirst(lc))->args)), 1);
	}

	/* Rows between the bounds; conditions that do not bound are tests of rows that were read. */
	if (match.nequal == ncols)
		selectivity = Min(nranges / tuples, 1.0);
	else
		selectivity = clauselist_selectivity(root, match.quals, rel->relid, JOIN_INNER, NULL);

	arguments = index_other_operands_eval_cost(root, match.quals);
	seek = nvmkv_seek_cost(rel, info);
	*startup_out = arguments + seek;
	*total_out = arguments + seek * nranges + clamp_row_est(selectivity * tuples) * read_cost(info);

	/* Each further range begins on a page of its own, as long as there are so many. */
	get_tablespace_page_costs(rel->reltablespace, &random_page_cost_here, &seq_page_cost_here);
	if (nranges > 1)
		*total_out += (Min(nranges, rel->pages) - 1) * Max(random_page_cost_here - seq_page_cost_here, 0) / loop_count;

	*selectivity_out = selectivity;
	*correlation_out = 1.0;
	*pages_out = ceil(selectivity * rel->pages);
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
