/*
 * vacuum.c
 *	  VACUUM of foreign tables.
 *
 * The server passes over a foreign table with a warning, and does not analyze
 * it, either.  Here ours are taken out of the statement, which the server then
 * executes for what is left of it, and ANALYZE is executed for ours.
 *
 * VACUUM ends transactions, and begins one: all that is executed is made before the first of it, in memory that stays,
 * and finds that as the current memory, and a snapshot.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "fdw/ddl/vacuum.h"
#include "fdw/ddl/verify.h"
#include "fdw/table/table.h"

/* The statement, by what is done for it. */
typedef struct Parts
{
	List *by_server; /* not our business */
	List *leaves;	 /* partitions that the server vacuums, of tables that it is not to see */
	List *analyzed;
} Parts;

static Oid
relid_of(const VacuumRelation *rel)
{
	return rel->relation != NULL ? RangeVarGetRelid(rel->relation, NoLock, true) : rel->oid;
}

static void
divide(const VacuumStmt *stmt, Parts *parts)
{
	ListCell *lc;

	foreach(lc, stmt->rels)
	{
		VacuumRelation *rel = lfirst_node(VacuumRelation, lc);
		Oid relid = relid_of(rel);
		ListCell *child;

		if (nvmkv_our_tables_below(relid) == NIL ||
			(get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE && !nvmkv_is_our_relid(relid)))
		{
			parts->by_server = lappend(parts->by_server, rel);
			continue;
		}
		parts->analyzed = lappend(parts->analyzed, rel);
		if (nvmkv_is_our_relid(relid))
			continue;
		foreach(child, find_all_inheritors(relid, NoLock, NULL))
		{
			if (get_rel_relkind(lfirst_oid(child)) == RELKIND_RELATION)
				parts->leaves = lappend(parts->leaves, makeVacuumRelation(NULL, lfirst_oid(child), NIL));
		}
	}
}

static bool
says_analyze(const VacuumStmt *stmt)
{
	bool says = false;
	ListCell *lc;

	foreach(lc, stmt->options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "analyze") == 0)
			says = defGetBoolean(option);
	}
	return says;
}

static bool
names_columns(const VacuumStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->rels)
	{
		if (lfirst_node(VacuumRelation, lc)->va_cols != NIL)
			return true;
	}
	return false;
}

static bool
is_option_of_analyze(const DefElem *option)
{
	return strcmp(option->defname, "verbose") == 0 || strcmp(option->defname, "skip_locked") == 0 ||
		strcmp(option->defname, "buffer_usage_limit") == 0;
}

/* The options that are left without "analyze", or those that ANALYZE has, too. */
static List *
choose_options(const VacuumStmt *stmt, bool of_analyze)
{
	List *options = NIL;
	ListCell *lc;

	foreach(lc, stmt->options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (of_analyze ? is_option_of_analyze(option) : strcmp(option->defname, "analyze") != 0)
			options = lappend(options, option);
	}
	return options;
}

static PlannedStmt *
make_statement(const NvmkvStatement *statement, List *rels, List *options, bool is_vacuum)
{
	PlannedStmt *pstmt = copyObject(statement->pstmt);
	VacuumStmt *stmt = castNode(VacuumStmt, pstmt->utilityStmt);

	stmt->rels = copyObject(rels);
	stmt->options = copyObject(options);
	stmt->is_vacuumcmd = is_vacuum;
	return pstmt;
}

bool
nvmkv_vacuum(const NvmkvStatement *statement)
{
	const VacuumStmt *stmt = (const VacuumStmt *) statement->pstmt->utilityStmt;
	MemoryContext context = CurrentMemoryContext;
	NvmkvStatement single = *statement;
	Parts parts = {NIL, NIL, NIL};
	List *statements;
	ListCell *lc;

	/* Columns without ANALYZE: the server says what is wrong. */
	if (!stmt->is_vacuumcmd || (names_columns(stmt) && !says_analyze(stmt)))
		return false;
	divide(stmt, &parts);
	if (parts.analyzed == NIL)
		return false;

	/*
	 * Without any table the server would take all: it gets one that does not exist, and passes over it without a word,
	 * after it has looked at the statement.  No relation has the OID of a built-in type.
	 */
	if (parts.by_server == NIL)
		parts.by_server = list_make1(makeVacuumRelation(NULL, BOOLOID, NIL));
	statements = list_make1(make_statement(statement, parts.by_server, stmt->options, true));
	if (parts.leaves != NIL)
		statements = lappend(statements, make_statement(statement, parts.leaves, choose_options(stmt, false), true));
	if (says_analyze(stmt))
		statements = lappend(statements, make_statement(statement, parts.analyzed, choose_options(stmt, true), false));

	single.read_only_tree = false;
	foreach(lc, statements)
	{
		bool has_snapshot = ActiveSnapshotSet();

		MemoryContextSwitchTo(context);
		single.pstmt = lfirst_node(PlannedStmt, lc);
		if (!has_snapshot)
			PushActiveSnapshot(GetTransactionSnapshot());
		single.next(&single);
		if (!has_snapshot && ActiveSnapshotSet())
			PopActiveSnapshot();
	}
	return true;
}
