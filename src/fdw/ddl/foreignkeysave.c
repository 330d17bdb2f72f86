/*
 * foreignkeysave.c
 *	  Foreign keys that are removed before a statement and made again after it.
 *
 * When a column gets another type the server makes the foreign keys with it
 * again, by the function that refuses foreign tables.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_constraint.h"
#include "commands/comment.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

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
has_column(Relation constraints, HeapTuple tuple, int array_attnum, AttrNumber attnum)
{
	bool isnull;
	Datum datum = heap_getattr(tuple, array_attnum, RelationGetDescr(constraints), &isnull);
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
uses_column(Relation constraints, HeapTuple tuple, List *relids, const char *column)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

	if (column == NULL)
		return list_member_oid(relids, form->conrelid) || list_member_oid(relids, form->confrelid);
	if (nvmkv_our_tables_below(form->conrelid) == NIL && !nvmkv_is_our_relid(form->confrelid))
		return false;
	return (list_member_oid(relids, form->conrelid) &&
			has_column(constraints, tuple, Anum_pg_constraint_conkey, get_attnum(form->conrelid, column))) ||
		(list_member_oid(relids, form->confrelid) &&
		 has_column(constraints, tuple, Anum_pg_constraint_confkey, get_attnum(form->confrelid, column)));
}

static List *
find_keys(List *relids, const char *column)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	List *found = NIL;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_constraint_contype, BTEqualStrategyNumber, F_CHAREQ, CharGetDatum(CONSTRAINT_FOREIGN));
	scan = systable_beginscan(constraints, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (!OidIsValid(form->conparentid) && uses_column(constraints, tuple, relids, column))
		{
			SavedKey *saved = palloc0(sizeof(SavedKey));

			LockRelationOid(form->conrelid, AccessExclusiveLock);
			LockRelationOid(form->confrelid, AccessExclusiveLock);
			saved->constraint = form->oid;
			saved->relid = form->conrelid;
			saved->name = pstrdup(NameStr(form->conname));
			saved->definition = pg_get_constraintdef_command(form->oid);
			saved->comment = GetComment(form->oid, ConstraintRelationId, 0);
			found = lappend(found, saved);
		}
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
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
