/*
 * verify.c
 *	  Questions that DDL asks of the rows of one of our tables.
 *
 * The server verifies existing rows while it rewrites or scans a heap table
 * and trusts foreign tables.  Here a query looks for a row that would have
 * failed; it is run like any other, so that expressions are evaluated with the
 * rights of whoever runs the DDL.
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"

#include "fdw/verify.h"

/*
 * Plans without the table's own constraints as premises: they are what is in
 * question.  The privileges of a SELECT are not asked for, either: who may
 * alter the table need not be able to read it.
 */
static PlannedStmt *
plan_question(const char *sql)
{
	RawStmt *raw = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	Query *query = parse_analyze_fixedparams(raw, sql, NULL, 0, NULL);
	int guc_level = NewGUCNestLevel();
	PlannedStmt *plan;
	ListCell *lc;

	foreach(lc, query->rtable)
		lfirst_node(RangeTblEntry, lc)->requiredPerms = 0;

	(void) set_config_option("constraint_exclusion", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	plan = pg_plan_query(query, sql, 0, NULL);
	AtEOXact_GUC(true, guc_level);
	return plan;
}

bool
nvmkv_has_row(Relation rel, const char *condition)
{
	StringInfoData sql;
	QueryDesc *query;
	bool found;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT FROM ONLY %s",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												RelationGetRelationName(rel)));
	if (condition != NULL)
		appendStringInfo(&sql, " WHERE %s", condition);

	PushActiveSnapshot(GetLatestSnapshot());
	query = CreateQueryDesc(plan_question(sql.data), sql.data, GetActiveSnapshot(), InvalidSnapshot, None_Receiver,
							NULL, NULL, 0);
	ExecutorStart(query, 0);
	ExecutorRun(query, ForwardScanDirection, 1, true);
	found = query->estate->es_processed > 0;
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
	PopActiveSnapshot();
	pfree(sql.data);
	return found;
}

void
nvmkv_report_null_values(Relation rel, AttrNumber attnum)
{
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("column \"%s\" of relation \"%s\" contains null values",
					NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname), RelationGetRelationName(rel)),
			 errtablecol(rel, attnum)));
}

void
nvmkv_verify_not_null(Relation rel, AttrNumber attnum)
{
	const char *name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);

	if (nvmkv_has_row(rel, psprintf("%s IS NULL", quote_identifier(name))))
		nvmkv_report_null_values(rel, attnum);
}

/* SQL that is true where the expression is false. */
static char *
negate(Relation rel, Node *expression)
{
	List *context = deparse_context_for(RelationGetRelationName(rel), RelationGetRelid(rel));

	return psprintf("NOT (%s)", deparse_expression(expression, context, false, false));
}

void
nvmkv_verify_check(Relation rel, const char *name, const char *expression)
{
	if (nvmkv_has_row(rel, negate(rel, stringToNode(expression))))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("check constraint \"%s\" of relation \"%s\" is violated by some row", name, RelationGetRelationName(rel)),
				 errtableconstraint(rel, name)));
}

void
nvmkv_verify_partition(Relation rel)
{
	List *quals = RelationGetPartitionQual(rel);

	if (quals != NIL && nvmkv_has_row(rel, negate(rel, (Node *) make_ands_explicit(quals))))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("partition constraint of relation \"%s\" is violated by some row", RelationGetRelationName(rel)),
				 errtable(rel)));
}
