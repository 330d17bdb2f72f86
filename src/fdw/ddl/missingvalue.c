/*
 * missingvalue.c
 *	  See missingvalue.h.
 *
 * pg_dump writes a SELECT of the one function, and each
 * statement is analysed right before it is executed, so that is when it is seen.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "fdw/ddl/column.h"
#include "fdw/ddl/missingvalue.h"
#include "fdw/table/table.h"

#define MISSING_VALUE_ARGS 3 /* table, name of the column, array of the one value as text */

static post_parse_analyze_hook_type previous_post_parse_analyze;

/* The call that the query consists of; NULL: it is another one. */
static const FuncExpr *
find_call(const Query *query)
{
	const FuncExpr *call;

	if (query->commandType != CMD_SELECT || list_length(query->targetList) != 1)
		return NULL;
	call = (const FuncExpr *) linitial_node(TargetEntry, query->targetList)->expr;
	return IsA(call, FuncExpr) && call->funcid == F_BINARY_UPGRADE_SET_MISSING_VALUE &&
		list_length(call->args) == MISSING_VALUE_ARGS && !contain_var_clause((Node *) call->args) ? call : NULL;
}

/* False: one of them is NULL. */
static bool
evaluate_args(EState *estate, const FuncExpr *call, Datum *args)
{
	int n = 0;
	ListCell *lc;

	foreach(lc, call->args)
	{
		bool isnull;

		args[n++] = ExecEvalExpr(ExecPrepareExpr(lfirst(lc), estate), GetPerTupleExprContext(estate), &isnull);
		if (isnull)
			return false;
	}
	return true;
}

static void
set_missing_value(Oid relid, const char *column, char *value)
{
	Relation rel = table_open(relid, AccessExclusiveLock);
	AttrNumber attnum = get_attnum(relid, column);
	Form_pg_attribute att;
	Datum array;
	int index = 1;
	bool isnull;

	if (attnum <= 0)
		elog(ERROR, "cache lookup failed for attribute %s of relation %u", column, relid);
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	array = OidFunctionCall3(F_ARRAY_IN, CStringGetDatum(value), ObjectIdGetDatum(att->atttypid),
							 Int32GetDatum(att->atttypmod));
	nvmkv_set_missing_value(rel, attnum, array_get_element(array, 1, &index, -1, att->attlen, att->attbyval,
														   att->attalign, &isnull));
	table_close(rel, NoLock);
}

static void
look_for_call(ParseState *pstate, Query *query, JumbleState *jstate)
{
	const FuncExpr *call = find_call(query);
	Datum args[MISSING_VALUE_ARGS];
	EState *estate;

	if (previous_post_parse_analyze != NULL)
		previous_post_parse_analyze(pstate, query, jstate);
	if (call == NULL)
		return;
	estate = CreateExecutorState();
	if (evaluate_args(estate, call, args) && nvmkv_is_our_relid(DatumGetObjectId(args[0])))
		set_missing_value(DatumGetObjectId(args[0]), TextDatumGetCString(args[1]), TextDatumGetCString(args[2]));
	FreeExecutorState(estate);
}

void
nvmkv_missing_value_init(void)
{
	if (!IsBinaryUpgrade)
		return;
	previous_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = look_for_call;
}
