/*
 * createas.c
 *	  CREATE TABLE AS and SELECT INTO that make a foreign table.
 *
 * The server executes the statement: it looks whether the table exists, plans
 * the query or takes a prepared one, explains it, counts its rows.  It sends
 * them to a receiver that makes a heap table when the query starts; the hook at
 * the beginning of the query's run puts ours in its place (intotable.c).
 *
 * WITH NO DATA no query is run, and the table is made here.
 */
#include "postgres.h"

#include "commands/createas.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/accessmethod.h"
#include "fdw/ddl/createas.h"
#include "fdw/ddl/intotable.h"

/* A statement that is executed, inside of another one when a function of its query does it. */
typedef struct Running
{
	const IntoClause *into; /* NULL: not a table of ours, or its query runs already */
	Node *stmt;
	struct Running *outer;
} Running;

static Running *running = NULL;
static ExecutorRun_hook_type previous_executor_run = NULL;

/* ---------------------------------------------------------------- the statement */

/* NULL: it is another one. */
static CreateTableAsStmt *
create_as_of(Node *stmt)
{
	if (IsA(stmt, ExplainStmt))
	{
		const Query *query = castNode(Query, ((ExplainStmt *) stmt)->query);

		if (query->commandType != CMD_UTILITY)
			return NULL;
		stmt = query->utilityStmt;
	}
	return IsA(stmt, CreateTableAsStmt) ? (CreateTableAsStmt *) stmt : NULL;
}

static NvmkvKindOfTable
kind_wanted(const CreateTableAsStmt *create)
{
	return nvmkv_kind_of_table(create->into->accessMethod, create->into->rel,
							   create->objtype == OBJECT_MATVIEW ? "materialized view" : NULL);
}

/* The rows of an EXECUTE come from a query that has been analysed before, which the server looks up. */
static bool
has_query(const CreateTableAsStmt *create)
{
	return castNode(Query, create->query)->commandType == CMD_SELECT;
}

static void
make_without_rows(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	CreateTableAsStmt *create = castNode(CreateTableAsStmt, stmt);
	ListCell *names = list_head(create->into->colNames);
	List *columns = NIL;
	ListCell *lc;

	if (CreateTableAsRelExists(create))
		return;
	foreach(lc, castNode(Query, create->query)->targetList)
	{
		const TargetEntry *target = lfirst_node(TargetEntry, lc);
		Node *expr = (Node *) target->expr;

		if (!target->resjunk)
			columns = lappend(columns, nvmkv_into_column(create->into, &names, target->resname, exprType(expr),
														 exprTypmod(expr), exprCollation(expr)));
	}
	nvmkv_into_end_of_columns(names);
	(void) nvmkv_into_make(create->into, columns, stmt);
}

static void
run_by_server(NvmkvStatement *statement, const IntoClause *into)
{
	Running here = {into, statement->pstmt->utilityStmt, running};

	running = &here;
	PG_TRY();
	{
		statement->next(statement);
	}
	PG_FINALLY();
	{
		running = here.outer;
	}
	PG_END_TRY();
}

bool
nvmkv_create_as(NvmkvStatement *statement)
{
	CreateTableAsStmt *create = create_as_of(statement->pstmt->utilityStmt);
	bool explained = IsA(statement->pstmt->utilityStmt, ExplainStmt);

	if (create == NULL)
		return false;
	switch (kind_wanted(create))
	{
		case NVMKV_TABLE_OURS:
			if (create->into->skipData && has_query(create) && !explained)
				nvmkv_statement_execute(statement, make_without_rows, NULL);
			else
				run_by_server(statement, create->into);
			break;
		case NVMKV_TABLE_HEAP:
			statement->pstmt = copyObject(statement->pstmt);
			statement->read_only_tree = false;
			create_as_of(statement->pstmt->utilityStmt)->into->accessMethod = pstrdup("heap");
			run_by_server(statement, NULL);
			break;
		case NVMKV_TABLE_OTHER:
			run_by_server(statement, NULL);
			break;
	}
	return true;
}

/* ---------------------------------------------------------------- its query */

static void
executor_run(QueryDesc *query, ScanDirection direction, uint64 count NVMKV_RUN_ONCE_PARAMETER)
{
	if (running != NULL && running->into != NULL && query->dest != NULL && query->dest->mydest == DestIntoRel)
	{
		query->dest = nvmkv_into_receiver(running->into, running->stmt, query->estate);
		running->into = NULL;
	}
	if (previous_executor_run != NULL)
		previous_executor_run(query, direction, count NVMKV_RUN_ONCE);
	else
		standard_ExecutorRun(query, direction, count NVMKV_RUN_ONCE);
}

void
nvmkv_create_as_init(void)
{
	previous_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
}
