/*
 * primarykey.c
 *	  A constraint PRIMARY KEY beside the option that tells a table's key.
 *
 * Rows are in the order of the key, so the key is told when the table is made:
 * by the option primary_key.  A constraint with an index says the same to who
 * reads the catalogues: the server's parser, psql, drivers.  That index has no
 * entries.
 *
 * PRIMARY KEY writes the option, the option makes the constraint
 * (keyconstraint.c).  pg_dump writes both, the option in CREATE FOREIGN TABLE,
 * and the constraint after the rows: by then it is there, and gets its name.
 * The two agree if they have the same columns; which order these have in keys of
 * rows, and DESC, is the option's to say.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/column.h"
#include "fdw/ddl/keyoption.h"
#include "fdw/ddl/primarykey.h"
#include "fdw/ddl/rewrite.h"
#include "fdw/ddl/verify.h"
#include "fdw/key/keyspec.h"
#include "fdw/storage/storage.h"
#include "fdw/table/catalog.h"

/* Does the constraint name the columns that the option does, in whatever order?  Then it gets their directions. */
static bool
take_direction(List *specs, List *elements)
{
	ListCell *lc;

	if (list_length(specs) != list_length(elements))
		return false;
	foreach(lc, specs)
	{
		const NvmkvKeySpec *spec = lfirst(lc);
		bool found = false;
		ListCell *other;

		foreach(other, elements)
		{
			IndexElem *element = lfirst_node(IndexElem, other);

			if (element->name == NULL || strcmp(element->name, spec->name) != 0)
				continue;
			element->ordering = spec->descending ? SORTBY_DESC : SORTBY_DEFAULT;
			found = true;
		}
		if (!found)
			return false;
	}
	return true;
}

List *
nvmkv_primary_key_specs(const IndexStmt *stmt)
{
	List *specs = NIL;
	ListCell *lc;

	foreach(lc, stmt->indexParams)
	{
		const IndexElem *element = lfirst_node(IndexElem, lc);
		NvmkvKeySpec *spec = palloc0(sizeof(NvmkvKeySpec));

		spec->name = pstrdup(element->name);
		spec->descending = element->ordering == SORTBY_DESC;
		specs = lappend(specs, spec);
	}
	return specs;
}

/* Is the constraint's index as the statement would make it, but for its name? */
static bool
looks_the_same(Relation rel, Oid index_oid, const IndexStmt *stmt)
{
	Relation index = relation_open(index_oid, AccessShareLock);
	List *elements = list_concat_copy(stmt->indexParams, stmt->indexIncludingParams);
	bool same = stmt->options == NIL && stmt->tableSpace == NULL &&
		index->rd_index->indnatts == list_length(elements) &&
		index->rd_index->indnkeyatts == list_length(stmt->indexParams);
	int i = 0;
	ListCell *lc;

	foreach(lc, elements)
	{
		const IndexElem *element = lfirst_node(IndexElem, lc);

		same = same && element->name != NULL &&
			index->rd_index->indkey.values[i] == get_attnum(RelationGetRelid(rel), element->name);
		i++;
	}
	relation_close(index, AccessShareLock);
	return same;
}

/* The key of a table that has none. */
static void
set_key(Relation rel, const IndexStmt *stmt)
{
	Oid relid = RelationGetRelid(rel);
	const NvmkvTable *old = NULL; /* with its rows */
	NvmkvStorageRow row;
	Snapshot snapshot;
	ListCell *lc;

	foreach(lc, stmt->indexParams)
	{
		const IndexElem *element = lfirst_node(IndexElem, lc);

		if (element->name == NULL || get_attnum(relid, element->name) == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" named in key does not exist", element->name != NULL ? element->name : "?")));
	}
	if (nvmkv_table_has_rows(rel))
		old = nvmkv_table(rel);
	nvmkv_primary_key_set_option(relid, nvmkv_primary_key_specs(stmt));
	nvmkv_set_key_not_null(rel);
	if (!nvmkv_catalog_lookup(relid, &row) || row.dboid != MyDatabaseId)
		return;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	nvmkv_table_new_storage(rel);
	if (old != NULL)
		nvmkv_rewrite_rows(rel, old, snapshot, NIL,
						   stmt->idxname != NULL ? stmt->idxname
												 : makeObjectName(RelationGetRelationName(rel), NULL, "pkey"));
	UnregisterSnapshot(snapshot);
}

Oid
nvmkv_primary_key_settle(Relation rel, IndexStmt *stmt)
{
	const char *definition = nvmkv_primary_key_option(RelationGetRelid(rel));
	List *specs;
	Oid index;

	if (definition == NULL)
	{
		set_key(rel, stmt);
		return InvalidOid;
	}
	specs = nvmkv_parse_primary_key(definition);
	if (!take_direction(specs, stmt->indexParams))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("multiple primary keys for table \"%s\" are not allowed", RelationGetRelationName(rel)),
				 errdetail("The foreign table has option %s '%s'.", NVMKV_OPTION_PRIMARY_KEY, definition)));

	index = nvmkv_primary_key_index(rel);
	if (!OidIsValid(index))
		return InvalidOid;
	if (!looks_the_same(rel, index, stmt))
	{
		nvmkv_primary_key_hide(rel);
		return InvalidOid;
	}
	if (stmt->idxname != NULL && strcmp(stmt->idxname, get_rel_name(index)) != 0)
	{
		RenameRelationInternal(index, stmt->idxname, false, true);
		CommandCounterIncrement();
	}
	return index;
}

void
nvmkv_primary_key_hide(Relation rel)
{
	Oid index = nvmkv_primary_key_index(rel);
	ObjectAddress constraint;

	if (!OidIsValid(index))
		return;
	ObjectAddressSet(constraint, ConstraintRelationId, get_index_constraint(index));
	performDeletion(&constraint, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	CommandCounterIncrement();
}
