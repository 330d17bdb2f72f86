/*
 * kindword.c
 *	  Statements that say TABLE of a foreign table: COMMENT, SECURITY LABEL, ALTER EXTENSION.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/parsenodes.h"

#include "fdw/ddl/kindword.h"
#include "fdw/table/table.h"

/* Where a statement of these says the kind, and the name that is said to be of it; NULL: it is another statement. */
static ObjectType *
kind_of(Node *stmt, Node **name)
{
	switch (nodeTag(stmt))
	{
		case T_CommentStmt:
			*name = ((CommentStmt *) stmt)->object;
			return &((CommentStmt *) stmt)->objtype;
		case T_SecLabelStmt:
			*name = ((SecLabelStmt *) stmt)->object;
			return &((SecLabelStmt *) stmt)->objtype;
		case T_AlterExtensionContentsStmt:
			*name = ((AlterExtensionContentsStmt *) stmt)->object;
			return &((AlterExtensionContentsStmt *) stmt)->objtype;
		default:
			return NULL;
	}
}

PlannedStmt *
nvmkv_settle_kind_word(PlannedStmt *pstmt)
{
	Node *name;
	ObjectType *kind = kind_of(pstmt->utilityStmt, &name);
	Oid relid;

	if (kind == NULL || *kind != OBJECT_TABLE)
		return pstmt;
	relid = RangeVarGetRelid(makeRangeVarFromNameList(castNode(List, name)), NoLock, true);
	if (!OidIsValid(relid) || !nvmkv_is_our_relid(relid))
		return pstmt;
	pstmt = copyObject(pstmt);
	*kind_of(pstmt->utilityStmt, &name) = OBJECT_FOREIGN_TABLE;
	return pstmt;
}
