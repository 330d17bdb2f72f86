/*
 * guard.c
 *	  See guard.h.
 *
 * nvmkv.storage is found by its name, and rows of tables by what is in it.  It
 * goes with the extension, and with that all tables; by itself it must not.  A
 * member of the extension cannot be dropped, so it has to stay one.  What a
 * cascade takes is only known when it has: so whatever drops objects is looked
 * at afterwards, too.
 *
 * Where the library is not loaded at server start the event trigger comes here
 * before a statement, and nobody after it.  What gets by costs no rows: those
 * of which nothing is known are kept as long as a table lacks its rows
 * (sweep.c).
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"

#include "fdw/ddl/guard.h"
#include "fdw/table/catalog.h"
#include "fdw/table/table.h"

static void
refuse(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot %s materialized view \"storage\" because it tells where the rows of foreign tables are", what)));
}

bool
nvmkv_could_harm_catalogue(const Node *stmt)
{
	return IsA(stmt, RefreshMatViewStmt) || IsA(stmt, AlterObjectSchemaStmt) || IsA(stmt, RenameStmt) ||
		IsA(stmt, AlterExtensionContentsStmt) || IsA(stmt, DropStmt) || IsA(stmt, DropOwnedStmt);
}

/* The catalogue or its index. */
static bool
is_of_catalogue(const RangeVar *relation, Oid catalogue)
{
	Oid relid = relation != NULL ? RangeVarGetRelid(relation, NoLock, true) : InvalidOid;

	if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_INDEX)
		relid = IndexGetRelation(relid, true);
	return relid == catalogue;
}

static bool
is_renamed(const RenameStmt *stmt, Oid catalogue)
{
	if (stmt->renameType == OBJECT_SCHEMA)
		return get_namespace_oid(stmt->subname, true) == get_rel_namespace(catalogue);
	return stmt->renameType != OBJECT_COLUMN && is_of_catalogue(stmt->relation, catalogue);
}

static bool
is_named(List *name, Oid catalogue)
{
	return RangeVarGetRelid(makeRangeVarFromNameList(name), NoLock, true) == catalogue;
}

static bool
is_detached(const AlterExtensionContentsStmt *stmt, Oid catalogue)
{
	return stmt->action < 0 && stmt->objtype == OBJECT_MATVIEW && is_named(castNode(List, stmt->object), catalogue);
}

static bool
is_dropped(const DropStmt *stmt, Oid catalogue)
{
	ListCell *lc;

	if (stmt->removeType != OBJECT_MATVIEW)
		return false;
	foreach(lc, stmt->objects)
	{
		if (is_named(lfirst_node(List, lc), catalogue))
			return nvmkv_our_relids() != NIL;
	}
	return false;
}

bool
nvmkv_guard_catalogue(Node *stmt)
{
	Oid catalogue = nvmkv_catalog_relid();

	if (!OidIsValid(catalogue) || nvmkv_catalog_is_updated())
		return false;
	/* A REFRESH leaves it as it is, but this one would leave it empty. */
	if (IsA(stmt, RefreshMatViewStmt) && ((RefreshMatViewStmt *) stmt)->skipData &&
		is_of_catalogue(((RefreshMatViewStmt *) stmt)->relation, catalogue))
		refuse("empty");
	if (IsA(stmt, AlterObjectSchemaStmt) && is_of_catalogue(((AlterObjectSchemaStmt *) stmt)->relation, catalogue))
		refuse("move");
	if (IsA(stmt, RenameStmt) && is_renamed((RenameStmt *) stmt, catalogue))
		refuse("rename");
	if (IsA(stmt, AlterExtensionContentsStmt) && is_detached((AlterExtensionContentsStmt *) stmt, catalogue))
		refuse("detach");
	if (IsA(stmt, DropStmt) && is_dropped((DropStmt *) stmt, catalogue))
		refuse("drop");
	return IsA(stmt, DropStmt) || IsA(stmt, DropOwnedStmt);
}

void
nvmkv_require_catalogue(void)
{
	if (!OidIsValid(nvmkv_catalog_relid()) && nvmkv_our_relids() != NIL)
		refuse("drop");
}
