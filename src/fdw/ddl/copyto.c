/*
 * copyto.c
 *	  COPY t TO, which the server refuses for foreign tables, and what pg_dump says in its place.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/copy.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/ddl/copyto.h"
#include "fdw/table/table.h"

/* A session of pg_dump's is told by what it sets, and others have no reason to: its name may be another. */
static bool
is_dump(void)
{
	return !synchronize_seqscans && XactReadOnly && IsolationUsesXactSnapshot();
}

/*
 * pg_dump has the rows of a heap table by COPY t, but those of a foreign table by COPY (SELECT ... FROM t): with the
 * rows of all tables that inherit from it, which the dump has once more.
 */
static PlannedStmt *
leave_out_children(PlannedStmt *pstmt)
{
	SelectStmt *select = (SelectStmt *) castNode(CopyStmt, pstmt->utilityStmt)->query;
	RangeVar *from;
	Oid relid;

	if (!is_dump() || !IsA(select, SelectStmt) || list_length(select->fromClause) != 1 ||
		!IsA(linitial(select->fromClause), RangeVar))
		return pstmt;
	from = linitial_node(RangeVar, select->fromClause);
	relid = RangeVarGetRelid(from, NoLock, true);
	if (!OidIsValid(relid) || !nvmkv_is_our_relid(relid))
		return pstmt;

	pstmt = copyObject(pstmt);
	select = castNode(SelectStmt, castNode(CopyStmt, pstmt->utilityStmt)->query);
	linitial_node(RangeVar, select->fromClause)->inh = false;
	return pstmt;
}

PlannedStmt *
nvmkv_rewrite_copy_to(PlannedStmt *pstmt)
{
	CopyStmt *stmt = castNode(CopyStmt, pstmt->utilityStmt);
	SelectStmt *select;
	RangeVar *from;
	Oid relid;
	Relation rel;
	ListCell *lc;

	if (stmt->query != NULL)
		return leave_out_children(pstmt);
	if (stmt->is_from || stmt->relation == NULL)
		return pstmt;
	relid = RangeVarGetRelid(stmt->relation, AccessShareLock, true);
	if (!OidIsValid(relid) || !nvmkv_is_our_relid(relid))
		return pstmt;

	rel = table_open(relid, NoLock);
	select = makeNode(SelectStmt);
	foreach(lc, CopyGetAttnums(RelationGetDescr(rel), rel, stmt->attlist))
	{
		ColumnRef *column = makeNode(ColumnRef);
		ResTarget *target = makeNode(ResTarget);

		column->fields = list_make1(makeString(get_attname(relid, (AttrNumber) lfirst_int(lc), false)));
		column->location = -1;
		target->val = (Node *) column;
		target->location = -1;
		select->targetList = lappend(select->targetList, target);
	}
	from = makeRangeVar(get_namespace_name(RelationGetNamespace(rel)), pstrdup(RelationGetRelationName(rel)), -1);
	from->inh = false;
	select->fromClause = list_make1(from);
	table_close(rel, NoLock);

	pstmt = copyObject(pstmt);
	stmt = castNode(CopyStmt, pstmt->utilityStmt);
	stmt->relation = NULL;
	stmt->attlist = NIL;
	stmt->query = (Node *) select;
	return pstmt;
}
