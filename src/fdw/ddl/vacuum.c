/*
 * vacuum.c
 *	  VACUUM of foreign tables.
 *
 * The server passes over a foreign table with a warning, and does not analyze
 * it, either.  Here ours are taken out of the statement, which the server then
 * executes for what is left of it.  Of ours each is locked for a moment, as it
 * would be to be vacuumed, and then ANALYZE is executed for those that could be.
 *
 * VACUUM ends transactions, and begins one: all that is executed is made before the first of it, in memory that stays,
 * and finds that as the current memory, and a snapshot.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/vacuum.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/vacuum.h"
#include "fdw/ddl/verify.h"
#include "fdw/table/table.h"

/* The statement, by what is done for it. */
typedef struct Parts
{
	List *by_server; /* not our business */
	List *ours;		 /* our tables, and partitioned ones that have some, with OIDs; partitions without names */
	List *leaves;	 /* partitions that the server vacuums, of tables that it is not to see */
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
		parts->ours = lappend(parts->ours, makeVacuumRelation(rel->relation, relid, rel->va_cols));
		if (nvmkv_is_our_relid(relid))
			continue;
		foreach(child, find_all_inheritors(relid, NoLock, NULL))
		{
			Oid childid = lfirst_oid(child);
			VacuumRelation *part = makeVacuumRelation(NULL, childid, rel->va_cols);

			if (childid == relid)
				continue;
			if (nvmkv_is_our_relid(childid) || get_rel_relkind(childid) == RELKIND_PARTITIONED_TABLE)
				parts->ours = lappend(parts->ours, part);
			else
				parts->leaves = lappend(parts->leaves, part);
		}
	}
}

/*
 * There is nothing to vacuum, but it has to be allowed, and waits for those who hold locks on the table.  Warns as the
 * server does, and returns false, if it cannot be.
 */
static bool
vacuum_one(const VacuumRelation *rel, bool full, bool skip_locked)
{
	const bits32 options = VACOPT_VACUUM | (full ? VACOPT_FULL : 0) | (skip_locked ? VACOPT_SKIP_LOCKED : 0);
	const LOCKMODE lockmode = full ? AccessExclusiveLock : ShareUpdateExclusiveLock;
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rel->oid));
	bool allowed = true;
	Relation opened;

	/* What is named is looked at before it is locked: who may not vacuum it does not wait. */
	if (HeapTupleIsValid(tuple))
	{
		if (rel->relation != NULL)
			allowed = vacuum_is_permitted_for_relation(rel->oid, (Form_pg_class) GETSTRUCT(tuple), options);
		ReleaseSysCache(tuple);
	}
	if (!allowed)
		return false;
	opened = vacuum_open_relation(rel->oid, rel->relation, options, false, lockmode);
	if (opened == NULL)
		return false;
	allowed = vacuum_is_permitted_for_relation(rel->oid, opened->rd_rel, options);
	relation_close(opened, lockmode);
	return allowed;
}

static bool
says(const VacuumStmt *stmt, const char *name)
{
	bool said = false;
	ListCell *lc;

	foreach(lc, stmt->options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			said = defGetBoolean(option);
	}
	return said;
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

static List *
options_of_analyze(const VacuumStmt *stmt)
{
	List *options = NIL;
	ListCell *lc;

	foreach(lc, stmt->options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (is_option_of_analyze(option))
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

/* In a transaction that may be another one afterwards. */
static void
execute(const NvmkvStatement *statement, PlannedStmt *pstmt)
{
	NvmkvStatement single = *statement;
	bool has_snapshot = ActiveSnapshotSet();

	single.read_only_tree = false;
	single.pstmt = pstmt;
	if (!has_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	single.next(&single);
	if (!has_snapshot && ActiveSnapshotSet())
		PopActiveSnapshot();
}

bool
nvmkv_vacuum(const NvmkvStatement *statement)
{
	const VacuumStmt *stmt = (const VacuumStmt *) statement->pstmt->utilityStmt;
	MemoryContext context = CurrentMemoryContext;
	Parts parts = {NIL, NIL, NIL};
	List *statements;
	List *vacuumed = NIL;
	ListCell *lc;

	/* Columns without ANALYZE: the server says what is wrong. */
	if (!stmt->is_vacuumcmd || (names_columns(stmt) && !says(stmt, "analyze")))
		return false;
	divide(stmt, &parts);
	if (parts.ours == NIL)
		return false;

	/*
	 * Without any table the server would take all: it gets one that does not exist, and passes over it without a word,
	 * after it has looked at the statement.  No relation has the OID of a built-in type.
	 */
	if (parts.by_server == NIL)
		parts.by_server = list_make1(makeVacuumRelation(NULL, BOOLOID, NIL));
	statements = list_make1(make_statement(statement, parts.by_server, stmt->options, true));
	if (parts.leaves != NIL)
		statements = lappend(statements, make_statement(statement, parts.leaves, stmt->options, true));
	parts.ours = copyObject(parts.ours);

	foreach(lc, statements)
	{
		MemoryContextSwitchTo(context);
		execute(statement, lfirst_node(PlannedStmt, lc));
	}
	MemoryContextSwitchTo(context);
	foreach(lc, parts.ours)
	{
		VacuumRelation *rel = lfirst_node(VacuumRelation, lc);

		if (vacuum_one(rel, says(stmt, "full"), says(stmt, "skip_locked")))
			vacuumed = lappend(vacuumed, rel);
	}
	if (vacuumed != NIL && says(stmt, "analyze"))
		execute(statement, make_statement(statement, vacuumed, options_of_analyze(stmt), false));
	return true;
}
