/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  What EXPLAIN says of a scan.
 *
 *	  Rows Counted Of	the table, when the scan returns the number of its rows (plan/count.h)
 *	  Key				name of the primary key, when the scan goes by it
 *	  Index				the same of an index whose entries lead to the rows; several that are joined by OR
 *	  Index Only		of an index whose entries have all that is used
 *	  Key Conditions	what bounds the scan, as the plan evaluates it
 *	  Skipped Columns	of the key, before the last conditions: leapt over where that is faster
 *	  Index Filter		what entries are tested with before their rows are read
 *	  Key Order			columns, when the plan relies on their order
 *	  Scan Direction	when backward
 *
 * and with ANALYZE, if it was run by this process or by several together:
 *
 *	  Key Ranges		ranges of keys visited; whole keys that were looked up, and how many had a row
 *	  Leaps				over rows of skipped columns
 *	  Rows Read			rows found in ranges, before filters
 *	  Rows Removed by Index Filter	of these, entries that failed
 *	  Rows Fetched		of these, entries of an index whose rows were read
 *	  Versions Passed	entries looked at and not shown: older or invisible versions, deletions, row locks
 *	  Batches			visits to the engine
 *	  Sources			where the rows read came from
 *
 * and with the option NVMKV, from PostgreSQL 18 on, whether it is run or not:
 *
 *	  Storage			of the table and each index: id, entries and bytes that are estimated, sorted sources to ask
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/plannodes.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "fdw/compat/compat.h"
#include "fdw/host/engine.h"
#include "fdw/plan/estimate.h"
#include "fdw/plan/plan.h"
#include "fdw/plan/quals.h"
#include "fdw/scan/explain.h"
#include "fdw/scan/scan.h"
#include "fdw/scan/scanstate.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"
#include "fdw/table/table.h"

#define OPTION_NAME "nvmkv"

static int option_number;

static List *find_ancestors(Plan *plan, const Plan *wanted, List *ancestors);

static List *
find_in_list(List *plans, const Plan *wanted, List *ancestors)
{
	ListCell *lc;

	foreach(lc, plans)
	{
		List *found = find_ancestors(lfirst(lc), wanted, ancestors);

		if (found != NIL)
			return found;
	}
	return NIL;
}

/*
 * The nodes above a node, the nearest first, and the node itself before them: NIL when it is not below "plan".
 * The callback is not told them, and without them a join's parameter has no name.
 */
static List *
find_ancestors(Plan *plan, const Plan *wanted, List *ancestors)
{
	List *path;
	List *found;

	if (plan == NULL)
		return NIL;
	path = lcons(plan, list_copy(ancestors));
	if (plan == wanted)
		return path;

	found = find_ancestors(outerPlan(plan), wanted, path);
	if (found == NIL)
		found = find_ancestors(innerPlan(plan), wanted, path);
	if (found == NIL && IsA(plan, Append))
		found = find_in_list(((Append *) plan)->appendplans, wanted, path);
	if (found == NIL && IsA(plan, MergeAppend))
		found = find_in_list(((MergeAppend *) plan)->mergeplans, wanted, path);
	if (found == NIL && IsA(plan, SubqueryScan))
		found = find_ancestors(((SubqueryScan *) plan)->subplan, wanted, path);
	return found;
}

static List *
deparse_context(ForeignScanState *node, ExplainState *es)
{
	List *ancestors = find_ancestors(es->pstmt->planTree, node->ss.ps.plan, NIL);

	if (ancestors != NIL)
		ancestors = list_delete_first(ancestors);
	return set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
}

static void
explain_expression(const char *label, Node *expr, ForeignScanState *node, ExplainState *es)
{
	bool useprefix = list_length(es->rtable) > 1 || es->verbose;

	ExplainPropertyText(label, deparse_expression(expr, deparse_context(node, es), useprefix, false), es);
}

static void
explain_conditions(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List *arms = NIL;
	List *arm = NIL;
	Expr *expr;
	ListCell *lc1;
	ListCell *lc2;

	forboth(lc1, plan->fdw_exprs, lc2, list_nth(plan->fdw_private, NVMKV_SCAN_CONDITIONS))
	{
		if (list_nth_int(lfirst(lc2), NVMKV_CONDITION_FIELD_ARM) > list_length(arms))
		{
			arms = lappend(arms, make_ands_explicit(arm));
			arm = NIL;
		}
		arm = lappend(arm, lfirst(lc1));
	}
	arms = lappend(arms, make_ands_explicit(arm));
	expr = list_length(arms) > 1 ? make_orclause(arms) : linitial(arms);
	explain_expression("Key Conditions", (Node *) expr, node, es);
}

/* Columns without conditions between or before those with; keyed: the table, or the entries of an index. */
static void
explain_skip(const NvmkvTable *keyed, ForeignScanState *node, ExplainState *es)
{
	List *skip = list_nth(((ForeignScan *) node->ss.ps.plan)->fdw_private, NVMKV_SCAN_SKIP);
	List *names = NIL;
	int ncols;
	const NvmkvKeyColumn *cols = nvmkv_key_columns(keyed, &ncols);

	if (skip == NIL)
		return;
	for (int column = lsecond_int(skip); column < lthird_int(skip); column++)
		names = lappend(names, NameStr(TupleDescAttr(keyed->tupdesc, cols[column].attnum - 1)->attname));
	ExplainPropertyList("Skipped Columns", names, es);
}

/* What entries are tested with: so many clauses behind those of the conditions. */
static void
explain_tests(ForeignScanState *node, int conditions, int tests, ExplainState *es)
{
	List *clauses = list_truncate(list_copy(((ForeignScan *) node->ss.ps.plan)->fdw_exprs), conditions + tests);

	explain_expression("Index Filter", (Node *) make_ands_explicit(list_copy_tail(clauses, conditions)), node, es);
}

static const char *
table_key_name(const NvmkvTable *table)
{
	return table->nkeys > 0 ? table->key_name : "ctid";
}

/* keyed: the table, or the entries of an index. */
static void
explain_order(const NvmkvTable *keyed, bool backward, ExplainState *es)
{
	StringInfoData order;
	int ncols;
	const NvmkvKeyColumn *cols = nvmkv_key_columns(keyed, &ncols);

	initStringInfo(&order);
	for (int i = 0; i < ncols; i++)
	{
		const NvmkvKeyColumn *col = &cols[i];
		const char *name = "ctid";

		if (col->attnum > 0)
			name = NameStr(TupleDescAttr(keyed->tupdesc, col->attnum - 1)->attname);
		appendStringInfo(&order, "%s%s%s", i > 0 ? ", " : "", quote_identifier(name),
						 col->descending != backward ? " DESC" : "");
		if (col->nullable && (col->descending != backward) != (col->nulls_first != backward))
			appendStringInfoString(&order, col->nulls_first != backward ? " NULLS FIRST" : " NULLS LAST");
	}
	ExplainPropertyText("Key Order", order.data, es);
}

/* Which key or indexes the scan goes by. */
static void
explain_source(const NvmkvTable *table, List *indexes, bool covering, ExplainState *es)
{
	StringInfoData names;
	List *shown = list_concat_unique_oid(NIL, indexes);
	ListCell *lc;

	initStringInfo(&names);
	foreach(lc, shown)
	{
		const char *name = OidIsValid(lfirst_oid(lc)) ? get_rel_name(lfirst_oid(lc)) : table_key_name(table);

		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", quote_identifier(name != NULL ? name : "?"));
	}
	if (shown == NIL)
		ExplainPropertyText("Key", table_key_name(table), es);
	else
		ExplainPropertyText(covering ? "Index Only" : "Index", names.data, es);
}

/* Core names the table of a scan that is a table's. */
static void
explain_counted(ForeignScanState *node, ExplainState *es)
{
	const ForeignScan *plan = (const ForeignScan *) node->ss.ps.plan;
	Relation rel = nvmkv_scan_relation(node);
	const char *name = quote_identifier(RelationGetRelationName(rel));
	const char *alias = list_nth(es->rtable_names, bms_singleton_member(plan->fs_relids) - 1);

	if (es->verbose)
		name = psprintf("%s.%s", quote_identifier(get_namespace_name(RelationGetNamespace(rel))), name);
	if (alias != NULL && strcmp(alias, RelationGetRelationName(rel)) != 0)
		name = psprintf("%s %s", name, quote_identifier(alias));
	ExplainPropertyText("Rows Counted Of", name, es);
}

static void
explain_run(ForeignScanState *node, ExplainState *es)
{
	NvmkvScanReport report;
	const NvmkvScanStats *engine = &report.engine;

	if (!nvmkv_scan_report(node, &report) || report.ranges == 0)
		return;
	ExplainPropertyUInteger("Key Ranges", NULL, report.ranges, es);
	if (report.points > 0)
	{
		ExplainPropertyUInteger("Keys Looked Up", NULL, report.points, es);
		ExplainPropertyUInteger("Keys Found", NULL, report.found, es);
	}
	if (report.ranges > report.points)
	{
		if (list_nth(((ForeignScan *) node->ss.ps.plan)->fdw_private, NVMKV_SCAN_SKIP) != NIL)
			ExplainPropertyUInteger("Leaps", NULL, report.skipped, es);
		ExplainPropertyUInteger("Rows Read", NULL, engine->rows, es);
		if (report.failed > 0)
			ExplainPropertyUInteger("Rows Removed by Index Filter", NULL, report.failed, es);
		if (report.fetched > 0)
			ExplainPropertyUInteger("Rows Fetched", NULL, report.fetched, es);
		ExplainPropertyUInteger("Versions Passed", NULL, engine->versions_passed, es);
		if (engine->leaps > 0)
			ExplainPropertyUInteger("Emptied Ranges Leapt Over", NULL, engine->leaps, es);
		ExplainPropertyUInteger("Batches", NULL, engine->batches, es);
		if (es->format == EXPLAIN_FORMAT_TEXT)
			ExplainPropertyText("Sources",
								psprintf("memtables=" UINT64_FORMAT " container=" UINT64_FORMAT " tables=" UINT64_FORMAT,
										 engine->memtable_entries, engine->level0_entries, engine->table_entries),
								es);
		else
		{
			ExplainPropertyUInteger("Memtable Rows", NULL, engine->memtable_entries, es);
			ExplainPropertyUInteger("Container Rows", NULL, engine->level0_entries, es);
			ExplainPropertyUInteger("Table Rows", NULL, engine->table_entries, es);
		}
	}
}

/* ---------------------------------------------------------------- the option */

static void
take_option(ExplainState *es, DefElem *option, ParseState *pstate)
{
	nvmkv_set_explain_state(es, option_number, defGetBoolean(option) ? &option_number : NULL);
}

void
nvmkv_explain_init(void)
{
	option_number = nvmkv_register_explain_option(OPTION_NAME, take_option);
}

/* keyed: the table, or the entries of an index. */
static void
explain_storage(const char *name, const NvmkvTable *keyed, ExplainState *es)
{
	NvmkvEstimate estimate;

	nvmkv_table_estimate(keyed, &estimate);
	if (es->format == EXPLAIN_FORMAT_TEXT)
	{
		ExplainPropertyText("Storage",
							psprintf("%s id=" INT64_FORMAT " entries=%.0f bytes=%.0f sources=%.0f",
									 quote_identifier(name), (int64) keyed->storage_id, estimate.entries,
									 estimate.bytes, estimate.sources),
							es);
		return;
	}
	ExplainOpenGroup("Storage", NULL, true, es);
	ExplainPropertyText("Name", name, es);
	ExplainPropertyInteger("Id", NULL, (int64) keyed->storage_id, es);
	ExplainPropertyFloat("Entries", NULL, estimate.entries, 0, es);
	ExplainPropertyFloat("Bytes", NULL, estimate.bytes, 0, es);
	ExplainPropertyFloat("Sorted Sources", NULL, estimate.sources, 0, es);
	ExplainCloseGroup("Storage", NULL, true, es);
}

/* The table, and the indexes that lead to its rows or stand for them. */
static void
explain_storages(Relation rel, List *indexes, bool covering, ExplainState *es)
{
	const NvmkvTable *table = nvmkv_engine_or_null() != NULL ? nvmkv_table(rel) : nvmkv_table_definition(rel);
	List *shown = list_concat_unique_oid(NIL, indexes);
	ListCell *lc;

	ExplainOpenGroup("Storages", "Storages", false, es);
	if (!covering)
		explain_storage(RelationGetRelationName(rel), table, es);
	foreach(lc, shown)
	{
		const NvmkvIndex *index = OidIsValid(lfirst_oid(lc)) ? nvmkv_find_index(table, lfirst_oid(lc)) : NULL;
		const char *name = index != NULL ? get_rel_name(lfirst_oid(lc)) : NULL;

		if (name != NULL)
			explain_storage(name, &index->entries, es);
	}
	ExplainCloseGroup("Storages", "Storages", false, es);
}

void
nvmkvExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	bool ordered = boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_ORDERED));
	bool backward = boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_BACKWARD));

	List *conditions = list_nth(plan->fdw_private, NVMKV_SCAN_CONDITIONS);
	List *indexes = list_nth(plan->fdw_private, NVMKV_SCAN_INDEXES);

	bool has_address;
	int tests = nvmkv_scan_tests(plan, &has_address);

	if (plan->scan.scanrelid == 0)
		explain_counted(node, es);
	if (has_address)
		explain_expression("TID Cond", llast(plan->fdw_exprs), node, es);
	if (conditions != NIL || ordered || indexes != NIL)
	{
		NvmkvTable *table = nvmkv_table_definition(nvmkv_scan_relation(node));
		const NvmkvIndex *index = list_length(indexes) == 1 ? nvmkv_find_index(table, linitial_oid(indexes)) : NULL;

		explain_source(table, indexes, boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_COVERING)), es);
		if (conditions != NIL)
			explain_conditions(node, es);
		explain_skip(index != NULL ? &index->entries : table, node, es);
		if (tests > 0)
			explain_tests(node, list_length(conditions), tests, es);
		if (ordered)
			explain_order(index != NULL ? &index->entries : table, backward, es);
		if (backward)
			ExplainPropertyText("Scan Direction", "Backward", es);
	}
	if (nvmkv_explain_state(es, option_number) != NULL)
		explain_storages(nvmkv_scan_relation(node), indexes,
						 boolVal(list_nth(plan->fdw_private, NVMKV_SCAN_COVERING)), es);
	if (es->analyze)
		explain_run(node, es);
}
