/*
 * keyconstraint.c
 *	  The constraint that shows a primary key which the option has told.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/index.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/indexdef.h"
#include "fdw/ddl/keyconstraint.h"
#include "fdw/ddl/keyoption.h"
#include "fdw/key/keyspec.h"

static List *
elements_of_specs(List *specs)
{
	List *elements = NIL;
	ListCell *lc;

	foreach(lc, specs)
	{
		const NvmkvKeySpec *spec = lfirst(lc);
		IndexElem *element = makeNode(IndexElem);

		element->name = pstrdup(spec->name);
		element->ordering = spec->descending ? SORTBY_DESC : SORTBY_DEFAULT;
		elements = lappend(elements, element);
	}
	return elements;
}

static bool
has_constraint(Oid relid)
{
	Relation rel = table_open(relid, NoLock);
	Oid index = nvmkv_primary_key_index(rel);

	table_close(rel, NoLock);
	return OidIsValid(index);
}

void
nvmkv_primary_key_show(Oid relid)
{
	const char *definition = nvmkv_primary_key_option(relid);
	IndexStmt *stmt;

	/* In pg_upgrade the constraint comes with its own statement, and its OID. */
	if (definition == NULL || IsBinaryUpgrade || has_constraint(relid))
		return;
	stmt = makeNode(IndexStmt);
	stmt->accessMethod = pstrdup(DEFAULT_INDEX_TYPE);
	stmt->indexParams = elements_of_specs(nvmkv_parse_primary_key(definition));
	stmt->unique = true;
	stmt->primary = true;
	stmt->isconstraint = true;
	stmt->transformed = true;
	stmt->reset_default_tblspc = true;
	(void) nvmkv_define_index(relid, stmt, NULL, InvalidOid, InvalidOid);
}
