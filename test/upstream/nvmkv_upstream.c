/*
 * nvmkv_upstream.c
 *	  For tests only: what is written as CREATE TABLE becomes an nvmkv table, but for some.
 *
 * PostgreSQL's own tests are written for heap tables.  With default_table_access_method = nvmkv they
 * run as they are.  This library makes heap tables of those of which something later is asked that a
 * foreign table cannot do: upstream.heap_tables names them in lines "suite/test reason table...".
 *
 * What became of each table is a line of the server's log, "upstream: ...", with the test it was made
 * in, by which test/upstream/compare.pl tells why something is as it is.  The test's name is in
 * application_name: pg_regress and isolationtester set it.
 *
 * Without upstream.heap_tables nothing is done and nothing is said.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "storage/fd.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

PG_MODULE_MAGIC;

void _PG_init(void);

static ProcessUtility_hook_type next_process_utility = NULL;
static char *heap_tables_file = NULL;

/* "regress/name" or "isolation/name" */
static const char *
current_test(void)
{
	static char name[128];
	const char *set = application_name;
	const char *slash;

	if (set == NULL)
		return "?";
	if (strncmp(set, "pg_regress/", 11) == 0)
		snprintf(name, sizeof(name), "regress/%s", set + 11);
	else if (strncmp(set, "isolation/", 10) == 0 && (slash = strchr(set + 10, '/')) != NULL)
		snprintf(name, sizeof(name), "%.*s", (int)(slash - set), set);
	else
		strlcpy(name, set, sizeof(name));
	return name;
}

static void
note(const char *what, const char *table, const char *why)
{
	ereport(LOG_SERVER_ONLY, (errmsg("upstream: %s %s %s: %s", current_test(), what, table, why), errhidestmt(true),
							  errhidecontext(true)));
}

/* Is the table one of those that are to stay? */
static bool
is_heap_table(const char *table)
{
	char line[1024];
	char *save;
	char *word;
	bool found = false;
	FILE *in;

	in = AllocateFile(heap_tables_file, "r");
	if (in == NULL)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open \"%s\": %m", heap_tables_file)));
	while (!found && fgets(line, sizeof(line), in) != NULL)
	{
		word = strtok_r(line, " \t\n", &save);
		if (word == NULL || strcmp(word, current_test()) != 0 || strtok_r(NULL, " \t\n", &save) == NULL)
			continue;
		while (!found && (word = strtok_r(NULL, " \t\n", &save)) != NULL)
			found = strcmp(word, table) == 0;
	}
	FreeFile(in);
	return found;
}

/* The table that the statement makes, if it could be an nvmkv table; and where its access method stands. */
static RangeVar *
table_to_make(Node *statement, char ***access_method)
{
	RangeVar *into = NULL;

	if (IsA(statement, CreateStmt))
	{
		CreateStmt *create = (CreateStmt *) statement;

		if (create->partspec == NULL)
			into = create->relation;
		*access_method = &create->accessMethod;
	}
	else if (IsA(statement, CreateTableAsStmt) && ((CreateTableAsStmt *) statement)->objtype == OBJECT_TABLE)
	{
		IntoClause *clause = ((CreateTableAsStmt *) statement)->into;

		into = clause->rel;
		*access_method = &clause->accessMethod;
	}
	return into;
}

static void
note_kind(RangeVar *table)
{
	Oid oid = RangeVarGetRelid(table, NoLock, true);

	if (!OidIsValid(oid))
		return;
	if (get_rel_relkind(oid) == RELKIND_FOREIGN_TABLE)
		note("converted", table->relname, "");
	else if (get_rel_persistence(oid) == RELPERSISTENCE_TEMP)
		note("heap", table->relname, "temporary"); /* by the search path */
	else if (is_heap_table(table->relname))
		note("heap", table->relname, "listed");
	else
		note("heap", table->relname, "by its definition");
}

static void
upstream_process_utility(PlannedStmt *pstmt, const char *query, bool read_only, ProcessUtilityContext context,
						 ParamListInfo params, QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type run = next_process_utility ? next_process_utility : standard_ProcessUtility;
	RangeVar *table = NULL;
	char **access_method = NULL;

	/* Outside of transactions there is nothing to look names up in. */
	if (heap_tables_file[0] != '\0' && IsTransactionState())
		table = table_to_make(pstmt->utilityStmt, &access_method);
	if (table != NULL && table->relpersistence != RELPERSISTENCE_PERMANENT)
		table = NULL;
	/* Is it there already (IF NOT EXISTS), it has been told of. */
	if (table == NULL || OidIsValid(RangeVarGetRelid(table, NoLock, true)))
	{
		run(pstmt, query, read_only, context, params, env, dest, qc);
		return;
	}
	table = copyObject(table);
	if (*access_method == NULL && is_heap_table(table->relname))
	{
		pstmt = copyObject(pstmt);
		(void) table_to_make(pstmt->utilityStmt, &access_method);
		*access_method = pstrdup("heap");
	}
	note("making", table->relname, "");
	run(pstmt, query, read_only, context, params, env, dest, qc);
	CommandCounterIncrement();
	note_kind(table);
}

void
_PG_init(void)
{
	DefineCustomStringVariable("upstream.heap_tables", "File with the tables that stay heap tables.", NULL,
							   &heap_tables_file, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("upstream");
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = upstream_process_utility;
}
