/*
 * copyto.c
 *	  COPY t TO, which the server refuses for foreign tables.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/copy.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/ddl/copyto.h"
#include "fdw/table/table.h"

PlannedStmt *
nvmkv_rewrite_copy_to(PlannedStmt *pstmt)
{
	CopyStmt *stmt = castNode(CopyStmt, pstmt->utilityStmt);
	SelectStmt *select;
	RangeVar *from;
	Oid relid;
	Relation rel;
	ListCell *lc;

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
