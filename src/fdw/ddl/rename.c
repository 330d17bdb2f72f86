/*
 * rename.c
 *	  Columns of our tables that get another name, and domains of them that are
 *	  altered.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"

#include "fdw/ddl/keyoption.h"
#include "fdw/ddl/rename.h"
#include "fdw/ddl/verify.h"
#include "fdw/table/table.h"

List *
nvmkv_renamed_tables(const RenameStmt *stmt)
{
	List *relids = NIL;
	Oid relid;
	ListCell *lc;

	if (stmt->renameType != OBJECT_COLUMN ||
		(stmt->relationType != OBJECT_TABLE && stmt->relationType != OBJECT_FOREIGN_TABLE))
		return NIL;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid))
		return NIL;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (nvmkv_is_our_relid(lfirst_oid(lc)))
			relids = lappend_oid(relids, lfirst_oid(lc));
	}
	return relids;
}

void
nvmkv_rename_finish(const RenameStmt *stmt)
{
	ListCell *lc;

	/* The server has locked and changed all of them. */
	CommandCounterIncrement();
	foreach(lc, nvmkv_renamed_tables(stmt))
		nvmkv_primary_key_rename_column(lfirst_oid(lc), stmt->subname, stmt->newname);
}

/* ---------------------------------------------------------------- domains */

Oid
nvmkv_altered_domain(const AlterDomainStmt *stmt)
{
	return typenameTypeId(NULL, makeTypeNameFromNameList(stmt->typeName));
}

void
nvmkv_alter_domain_finish(const AlterDomainStmt *stmt)
{
	Oid domain = nvmkv_altered_domain(stmt);

	switch (stmt->subtype)
	{
		case 'O':
			CommandCounterIncrement();
			nvmkv_verify_domain_not_null(domain);
			break;
		case 'C':
			if (castNode(Constraint, stmt->def)->skip_validation)
				break;
			/* FALLTHROUGH */
		case 'V':
			CommandCounterIncrement();
			nvmkv_verify_domain_checks(domain);
			break;
		default:
			break;
	}
}
