/*
 * foreignkeysave.c
 *	  Foreign keys that are removed before a statement and made again after it.
 *
 * When a column gets another type the server makes the foreign keys with it
 * again, by the function that refuses foreign tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_constraint.h"
#include "commands/comment.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "fdw/ddl/foreignkeyadd.h"
#include "fdw/ddl/foreignkeysave.h"
#include "fdw/ddl/verify.h"
#include "fdw/table/table.h"

typedef struct SavedKey
{
	Oid constraint; /* as it was */
	Oid relid;
	char *name;
	char *definition; /* ALTER TABLE ADD CONSTRAINT */
	char *comment;    /* NULL: none */
} SavedKey;

/* Is the column among those that the constraint's array has? */
static bool
has_column(HeapTuple tuple, int array_attnum, AttrNumber attnum)
{
	bool isnull;
	Datum datum = SysCacheGetAttr(CONSTROID, tuple, array_attnum, &isnull);
	ArrayType *array = isnull ? NULL : DatumGetArrayTypeP(datum);
	const int16 *attnums = isnull ? NULL : (const int16 *) ARR_DATA_PTR(array);

	for (int i = 0; array != NULL && i < ARR_DIMS(array)[0]; i++)
	{
		if (attnums[i] == attnum)
			return true;
	}
	return false;
}

static bool
uses_column(Form_pg_constraint form, List *relids, const char *column)
{
	HeapTuple tuple;
	bool uses;

	if (nvmkv_our_tables_below(form->conrelid) == NIL && nvmkv_our_tables_below(form->confrelid) == NIL)
		return false;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(form->oid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", form->oid);
	uses = (list_member_oid(relids, form->conrelid) &&
			has_column(tuple, Anum_pg_constraint_conkey, get_attnum(form->conrelid, column))) ||
		(list_member_oid(relids, form->confrelid) &&
		 has_column(tuple, Anum_pg_constraint_confkey, get_attnum(form->confrelid, column)));
	ReleaseSysCache(tuple);
	return uses;
}

static List *
find_keys(List *relids, const char *column)
{
	List *found = NIL;
	ListCell *lc;

	foreach(lc, nvmkv_foreign_key_rows(relids))
	{
		Form_pg_constraint form = lfirst(lc);
		SavedKey *saved;

		if (OidIsValid(form->conparentid) || !uses_column(form, relids, column))
			continue;
		LockRelationOid(form->conrelid, AccessExclusiveLock);
		LockRelationOid(form->confrelid, AccessExclusiveLock);
		saved = palloc0(sizeof(SavedKey));
		saved->constraint = form->oid;
		saved->relid = form->conrelid;
		saved->name = pstrdup(NameStr(form->conname));
		saved->definition = pg_get_constraintdef_command(form->oid);
		saved->comment = GetComment(form->oid, ConstraintRelationId, 0);
		found = lappend(found, saved);
	}
	return found;
}

List *
nvmkv_foreign_keys_save(List *relids, const char *column)
{
	List *saved_keys = find_keys(relids, column);
	ListCell *lc;

	foreach(lc, saved_keys)
	{
		ObjectAddress address;

		ObjectAddressSet(address, ConstraintRelationId, ((SavedKey *) lfirst(lc))->constraint);
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
	CommandCounterIncrement();
	return saved_keys;
}

void
nvmkv_foreign_keys_restore(const NvmkvStatement *statement, List *saved_keys)
{
	ListCell *lc;

	foreach(lc, saved_keys)
	{
		const SavedKey *saved = lfirst(lc);

		nvmkv_statement_part(statement, linitial_node(RawStmt, pg_parse_query(saved->definition))->stmt);
		if (saved->comment != NULL)
			CreateComments(get_relation_constraint_oid(saved->relid, saved->name, false), ConstraintRelationId, 0,
						   saved->comment);
	}
}
