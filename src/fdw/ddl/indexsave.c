/*
 * indexsave.c
 *	  Indexes that are removed before a statement and made again after it.
 *
 * When a column gets another type the server makes the indexes on it again, by
 * the function that refuses foreign tables.  So there is none while it looks.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "commands/comment.h"
#include "tcop/tcopprot.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "fdw/ddl/constraint.h"
#include "fdw/ddl/indexdef.h"
#include "fdw/ddl/indexsave.h"

typedef struct SavedIndex
{
	char *name;
	char *definition; /* CREATE INDEX, or ALTER TABLE ADD CONSTRAINT */
	bool is_constraint;
	char *comment; /* NULL: none */
	char *constraint_comment;
} SavedIndex;

/* Does the object depend on the column? */
static bool
depends_on_column(Oid class, Oid object, Oid relid, AttrNumber attnum)
{
	Relation depends = relation_open(DependRelationId, AccessShareLock);
	bool found = false;
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(class));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
	scan = systable_beginscan(depends, DependDependerIndexId, true, NULL, 2, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		found = depend->refclassid == RelationRelationId && depend->refobjid == relid &&
			(depend->refobjsubid == attnum || depend->refobjsubid == 0);
	}
	systable_endscan(scan);
	relation_close(depends, AccessShareLock);
	return found;
}

static SavedIndex *
save(Oid index, Oid constraint)
{
	SavedIndex *saved = palloc0(sizeof(SavedIndex));

	saved->name = get_rel_name(index);
	saved->is_constraint = OidIsValid(constraint);
	saved->definition = saved->is_constraint ? pg_get_constraintdef_command(constraint) : pg_get_indexdef_string(index);
	saved->comment = GetComment(index, RelationRelationId, 0);
	if (saved->is_constraint)
		saved->constraint_comment = GetComment(constraint, ConstraintRelationId, 0);
	return saved;
}

List *
nvmkv_indexes_save(Relation rel, AttrNumber attnum)
{
	List *saved = NIL;
	ListCell *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Oid index = lfirst_oid(lc);
		Oid constraint = get_index_constraint(index);
		ObjectAddress address;

		if (OidIsValid(constraint))
			ObjectAddressSet(address, ConstraintRelationId, constraint);
		else
			ObjectAddressSet(address, RelationRelationId, index);
		if (!depends_on_column(address.classId, address.objectId, RelationGetRelid(rel), attnum) &&
			!depends_on_column(RelationRelationId, index, RelationGetRelid(rel), attnum))
			continue;

		saved = lappend(saved, save(index, constraint));
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
		CommandCounterIncrement();
	}
	return saved;
}

static IndexStmt *
parse_definition(const SavedIndex *saved)
{
	Node *stmt = linitial_node(RawStmt, pg_parse_query(saved->definition))->stmt;
	AlterTableStmt *alter;

	if (!saved->is_constraint)
		return castNode(IndexStmt, stmt);
	alter = castNode(AlterTableStmt, stmt);
	return nvmkv_index_of_constraint(alter->relation,
									 castNode(Constraint, linitial_node(AlterTableCmd, alter->cmds)->def));
}

void
nvmkv_indexes_restore(Oid relid, List *saved_indexes)
{
	ListCell *lc;

	foreach(lc, saved_indexes)
	{
		const SavedIndex *saved = lfirst(lc);
		IndexStmt *stmt = parse_definition(saved);
		Oid index;

		stmt->idxname = saved->name;
		stmt->idxcomment = saved->comment;
		stmt->reset_default_tblspc = true;
		index = nvmkv_define_index(relid, stmt, saved->definition, InvalidOid, InvalidOid);
		if (saved->constraint_comment != NULL)
			CreateComments(get_index_constraint(index), ConstraintRelationId, 0, saved->constraint_comment);
	}
}
