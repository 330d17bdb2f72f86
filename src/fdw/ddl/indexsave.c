/*
 * indexsave.c
 *	  Indexes that are removed before a statement and made again after it.
 *
 * When a column gets another type the server makes the indexes on it again, by
 * the function that refuses foreign tables.  So there is none while it looks.
 *
 * Those of partitions go and come with that of the partitioned table, under
 * names that are chosen then, as on heap tables.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "commands/comment.h"
#include "optimizer/optimizer.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "fdw/ddl/constraint.h"
#include "fdw/ddl/indexdef.h"
#include "fdw/ddl/indexsave.h"
#include "fdw/table/table.h"

typedef struct SavedIndex
{
	Oid relid;
	char *name;
	char *definition; /* CREATE INDEX, or ALTER TABLE ADD CONSTRAINT */
	bool is_constraint;
	bool is_primary;
	char *comment; /* NULL: none */
	char *constraint_comment;
} SavedIndex;

static bool
uses_column(Relation index, AttrNumber attnum)
{
	Bitmapset *used = NULL;

	for (int i = 0; i < index->rd_index->indnatts; i++)
		used = bms_add_member(used, index->rd_index->indkey.values[i] - FirstLowInvalidHeapAttributeNumber);
	used = bms_del_member(used, 0 - FirstLowInvalidHeapAttributeNumber); /* an expression; below it is a whole row */
	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &used);
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &used);
	return bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, used) ||
		bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
}

static SavedIndex *
save(Relation index, Oid constraint)
{
	SavedIndex *saved = palloc0(sizeof(SavedIndex));
	Oid oid = RelationGetRelid(index);

	saved->relid = index->rd_index->indrelid;
	saved->name = pstrdup(RelationGetRelationName(index));
	saved->is_constraint = OidIsValid(constraint);
	saved->is_primary = index->rd_index->indisprimary;
	saved->definition = saved->is_constraint ? pg_get_constraintdef_command(constraint) : pg_get_indexdef_string(oid);
	saved->comment = GetComment(oid, RelationRelationId, 0);
	if (saved->is_constraint)
		saved->constraint_comment = GetComment(constraint, ConstraintRelationId, 0);
	return saved;
}

static List *
save_indexes(Relation rel, AttrNumber attnum, ObjectAddresses *to_drop)
{
	bool ours = nvmkv_is_our_table(rel);
	List *saved = NIL;
	ListCell *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Oid oid = lfirst_oid(lc);
		Relation index = index_open(oid, AccessExclusiveLock);
		Oid constraint = get_index_constraint(oid);
		ObjectAddress address;

		if (OidIsValid(constraint))
			ObjectAddressSet(address, ConstraintRelationId, constraint);
		else
			ObjectAddressSet(address, RelationRelationId, oid);
		if (!index->rd_rel->relispartition && (ours || index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX) &&
			uses_column(index, attnum))
		{
			saved = lappend(saved, save(index, constraint));
			add_exact_object_address(&address, to_drop);
		}
		index_close(index, NoLock);
	}
	return saved;
}

List *
nvmkv_indexes_save(List *relids, const char *column)
{
	ObjectAddresses *to_drop = new_object_addresses();
	List *saved = NIL;
	ListCell *lc;

	foreach(lc, relids)
	{
		Relation rel = relation_open(lfirst_oid(lc), NoLock);
		AttrNumber attnum = get_attnum(lfirst_oid(lc), column);

		if (attnum > 0)
			saved = list_concat(saved, save_indexes(rel, attnum, to_drop));
		relation_close(rel, NoLock);
	}
	performMultipleDeletions(to_drop, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	free_object_addresses(to_drop);
	CommandCounterIncrement();
	return saved;
}

bool
nvmkv_saved_key(List *saved_indexes, Oid relid)
{
	List *ancestors = get_rel_relispartition(relid) ? get_partition_ancestors(relid) : NIL;
	ListCell *lc;

	foreach(lc, saved_indexes)
	{
		const SavedIndex *saved = lfirst(lc);

		if (saved->is_primary && (saved->relid == relid || list_member_oid(ancestors, saved->relid)))
			return true;
	}
	return false;
}

static IndexStmt *
index_statement(const SavedIndex *saved, Node *stmt)
{
	AlterTableStmt *alter;

	if (!saved->is_constraint)
		return castNode(IndexStmt, stmt);
	alter = castNode(AlterTableStmt, stmt);
	return nvmkv_index_of_constraint(alter->relation,
									 castNode(Constraint, linitial_node(AlterTableCmd, alter->cmds)->def));
}

/* The index, which may be the one that serves already. */
static Oid
restore(const NvmkvStatement *statement, const SavedIndex *saved)
{
	Node *node = linitial_node(RawStmt, pg_parse_query(saved->definition))->stmt;
	IndexStmt *stmt;

	if (!nvmkv_is_our_relid(saved->relid))
	{
		nvmkv_statement_part(statement, node);
		return get_relname_relid(saved->name, get_rel_namespace(saved->relid));
	}
	stmt = index_statement(saved, node);
	stmt->idxname = saved->name;
	stmt->reset_default_tblspc = true;
	return nvmkv_define_index_anew(saved->relid, stmt, saved->definition);
}

void
nvmkv_indexes_restore(const NvmkvStatement *statement, List *saved_indexes)
{
	ListCell *lc;

	foreach(lc, saved_indexes)
	{
		const SavedIndex *saved = lfirst(lc);
		Oid index = restore(statement, saved);

		if (saved->comment != NULL)
			CreateComments(index, RelationRelationId, 0, saved->comment);
		if (saved->constraint_comment != NULL)
			CreateComments(get_index_constraint(index), ConstraintRelationId, 0, saved->constraint_comment);
		CommandCounterIncrement();
	}
}
