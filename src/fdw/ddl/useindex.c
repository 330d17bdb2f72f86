/*
 * useindex.c
 *	  ALTER TABLE ADD CONSTRAINT ... USING INDEX of one of our tables.
 *
 * After the server's transformIndexConstraint() and ATExecAddIndexConstraint().
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/ddl/uniquetrigger.h"
#include "fdw/ddl/useindex.h"

#define UNUSABLE "Cannot create a primary key or unique constraint using such an index."

/* Does a column of it sort as that of a constraint does? */
static bool
is_plain(Relation rel, Relation index, int column)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), index->rd_index->indkey.values[column] - 1);
	Oid class = GetDefaultOpClass(att->atttypid, BTREE_AM_OID);

	return OidIsValid(class) && get_opclass_family(class) == index->rd_opfamily[column] &&
		get_opclass_input_type(class) == index->rd_opcintype[column] &&
		att->attcollation == index->rd_indcollation[column] && index->rd_indoption[column] == 0 &&
		get_attoptions(RelationGetRelid(index), column + 1) == (Datum) 0;
}

static void
check_usable(Relation rel, Relation index)
{
	const char *name = RelationGetRelationName(index);

	if (OidIsValid(get_index_constraint(RelationGetRelid(index))))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is already associated with a constraint", name)));
	if (index->rd_index->indrelid != RelationGetRelid(rel))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" does not belong to table \"%s\"", name, RelationGetRelationName(rel))));
	if (!index->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", name)));
	if (!index->rd_index->indisunique)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a unique index", name),
				 errdetail(UNUSABLE)));
	if (RelationGetIndexExpressions(index) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("index \"%s\" contains expressions", name),
				 errdetail(UNUSABLE)));
	if (RelationGetIndexPredicate(index) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partial index", name),
				 errdetail(UNUSABLE)));
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		if (!is_plain(rel, index, i))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("index \"%s\" column number %d does not have default sorting behavior", name, i + 1),
					 errdetail(UNUSABLE)));
	}
}

Oid
nvmkv_use_index(Oid relid, const Constraint *constraint)
{
	Relation rel = table_open(relid, NoLock);
	Oid index_oid = get_relname_relid(constraint->indexname, RelationGetNamespace(rel));
	const char *name = constraint->conname != NULL ? constraint->conname : constraint->indexname;
	bits16 flags = INDEX_CONSTR_CREATE_UPDATE_INDEX | INDEX_CONSTR_CREATE_REMOVE_OLD_DEPS;
	Relation index;
	IndexInfo *info;

	if (constraint->contype == CONSTR_PRIMARY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("constraint \"%s\" cannot take an existing index of foreign table \"%s\"", name,
						RelationGetRelationName(rel)),
				 errhint("Add the constraint with its columns, and drop the index.")));
	if (!OidIsValid(index_oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index \"%s\" does not exist", constraint->indexname)));

	index = index_open(index_oid, AccessExclusiveLock);
	check_usable(rel, index);
	if (strcmp(name, constraint->indexname) != 0)
	{
		ereport(NOTICE,
				(errmsg("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"%s\" to \"%s\"",
						constraint->indexname, name)));
		RenameRelationInternal(index_oid, name, false, true);
		CommandCounterIncrement();
	}
	info = BuildIndexInfo(index);
	flags |= nvmkv_deferrable_begin(relid, constraint->deferrable, constraint->initdeferred);
	(void) index_constraint_create(rel, index_oid, InvalidOid, info, name, CONSTRAINT_UNIQUE, flags, false, false);
	nvmkv_deferrable_end(relid, constraint->deferrable);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	return index_oid;
}
