/*
 * partindex.c
 *	  Indexes of partitioned tables that have partitions of ours.
 *
 * The server makes no index of a foreign partition, and refuses such partitions
 * beside unique indexes, because it could not make their part of it.  We can: it
 * makes the index of the partitioned table ONLY, or does not see it while it adds
 * a partition, and the partitions' indexes are made here.
 *
 * What it does not see has indislive false, in a row of pg_index that nobody else
 * ever sees: the transaction puts it back, or fails.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_utilcmd.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/catalogrow.h"
#include "fdw/ddl/column.h"
#include "fdw/ddl/constraint.h"
#include "fdw/ddl/foreignkey.h"
#include "fdw/ddl/indexdef.h"
#include "fdw/ddl/partindex.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/engine.h"
#include "fdw/table/table.h"

/* ---------------------------------------------------------------- hiding */

static void
set_live(Oid parent, List *indexes, bool live)
{
	ListCell *lc;

	if (indexes == NIL)
		return;
	foreach(lc, indexes)
	{
		NvmkvCatalogRow row;
		Form_pg_index form = nvmkv_index_row(&row, lfirst_oid(lc));

		form->indislive = live;
		nvmkv_catalog_row_save(&row);
	}
	CacheInvalidateRelcacheByRelid(parent);
	CommandCounterIncrement();
}

static List *
index_list(Oid relid)
{
	Relation rel = table_open(relid, NoLock);
	List *indexes = RelationGetIndexList(rel);

	table_close(rel, NoLock);
	return indexes;
}

List *
nvmkv_hide_indexes(Oid parent)
{
	List *hidden;
	ListCell *lc;

	LockRelationOid(parent, ShareUpdateExclusiveLock);
	hidden = index_list(parent);
	foreach(lc, hidden)
		LockRelationOid(lfirst_oid(lc), ShareUpdateExclusiveLock);
	set_live(parent, hidden, false);
	return hidden;
}

void
nvmkv_show_indexes(Oid parent, List *hidden)
{
	set_live(parent, hidden, true);
}

/* ---------------------------------------------------------------- partitions */

/* An index of the child that can be the partition of the parent's, and is none yet. */
static Oid
find_index(Relation child, Relation parent_index, AttrMap *map, bool of_constraint)
{
	IndexInfo *wanted = BuildIndexInfo(parent_index);
	Oid found = InvalidOid;
	ListCell *lc;

	foreach(lc, RelationGetIndexList(child))
	{
		Relation index = index_open(lfirst_oid(lc), AccessExclusiveLock);

		if (!index->rd_rel->relispartition &&
			(!of_constraint || OidIsValid(get_index_constraint(RelationGetRelid(index)))) &&
			CompareIndexInfo(BuildIndexInfo(index), wanted, index->rd_indcollation, parent_index->rd_indcollation,
							 index->rd_opfamily, parent_index->rd_opfamily, map))
			found = RelationGetRelid(index);
		index_close(index, NoLock);
		if (OidIsValid(found))
			break;
	}
	return found;
}

static void
attach_index(Oid index_oid, Oid parent_index, Oid parent_constraint, Oid child)
{
	Relation index = index_open(index_oid, AccessExclusiveLock);

	IndexSetParentIndex(index, parent_index);
	if (OidIsValid(parent_constraint))
		ConstraintSetParentConstraint(get_index_constraint(index_oid), parent_constraint, child);
	index_close(index, NoLock);
}

static void index_children(Oid parent, Oid parent_index, const char *query_string);

/* The child's part of the parent's index. */
static void
index_partition(Oid parent, Oid parent_index_oid, Oid child, const char *query_string)
{
	Relation parent_rel = table_open(parent, NoLock);
	Relation child_rel = table_open(child, NoLock);
	Relation parent_index = index_open(parent_index_oid, AccessShareLock);
	AttrMap *map = nvmkv_build_attrmap(RelationGetDescr(child_rel), RelationGetDescr(parent_rel));
	bool partitioned = child_rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	Oid constraint;
	IndexStmt *stmt = generateClonedIndexStmt(NULL, parent_index, map, &constraint);
	Oid index = find_index(child_rel, parent_index, map, OidIsValid(constraint));

	index_close(parent_index, NoLock);
	table_close(child_rel, NoLock);
	table_close(parent_rel, NoLock);
	if (OidIsValid(index))
		attach_index(index, parent_index_oid, constraint, child);
	else if (nvmkv_is_our_relid(child))
		(void) nvmkv_define_index(child, stmt, query_string, parent_index_oid, constraint);
	else
	{
		/* ONLY: its partitions follow. */
		if (partitioned)
		{
			stmt->relation = makeRangeVar(get_namespace_name(get_rel_namespace(child)), get_rel_name(child), -1);
			stmt->relation->inh = false;
		}
		index = nvmkv_server_define_index(child, stmt, parent_index_oid, constraint).objectId;
		CommandCounterIncrement();
		if (partitioned)
			index_children(child, index, query_string);
	}
	CommandCounterIncrement();
}

/* All children's parts.  The index is valid then. */
static void
index_children(Oid parent, Oid parent_index, const char *query_string)
{
	NvmkvCatalogRow row;
	Form_pg_index form;
	ListCell *lc;

	foreach(lc, find_inheritance_children(parent, ShareLock))
		index_partition(parent, parent_index, lfirst_oid(lc), query_string);
	form = nvmkv_index_row(&row, parent_index);
	form->indisvalid = true;
	nvmkv_catalog_row_save(&row);
	CacheInvalidateRelcacheByRelid(parent);
	CommandCounterIncrement();
}

void
nvmkv_partition_indexes(Oid parent, Oid child, const char *query_string)
{
	ListCell *lc;

	foreach(lc, index_list(parent))
		index_partition(parent, lfirst_oid(lc), child, query_string);
}

/* ---------------------------------------------------------------- CREATE INDEX, ADD constraint */

static Oid
partitioned_relid(const RangeVar *relation)
{
	Oid relid = relation != NULL ? RangeVarGetRelid(relation, NoLock, true) : InvalidOid;

	return OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE ? relid : InvalidOid;
}

/* ALTER TABLE with nothing but a constraint that is an index, but for one that takes an existing index. */
static Constraint *
sole_constraint(Node *stmt)
{
	AlterTableStmt *alter = (AlterTableStmt *) stmt;
	AlterTableCmd *cmd;

	if (!IsA(stmt, AlterTableStmt) || list_length(alter->cmds) != 1)
		return NULL;
	cmd = linitial_node(AlterTableCmd, alter->cmds);
	if (cmd->subtype != AT_AddConstraint || !nvmkv_is_index_constraint(cmd->def) ||
		castNode(Constraint, cmd->def)->indexname != NULL)
		return NULL;
	return castNode(Constraint, cmd->def);
}

static RangeVar *
relation_of(Node *stmt)
{
	if (IsA(stmt, IndexStmt))
		return ((IndexStmt *) stmt)->relation;
	return sole_constraint(stmt) != NULL ? ((AlterTableStmt *) stmt)->relation : NULL;
}

/* The columns of a primary key become NOT NULL in all partitions before the key is made in one table alone. */
static void
set_not_null(const NvmkvStatement *statement, const AlterTableStmt *stmt, Oid relid, const Constraint *key)
{
	AlterTableStmt *not_null = makeNode(AlterTableStmt);
	ListCell *lc;

	not_null->relation = copyObject(stmt->relation);
	not_null->objtype = OBJECT_TABLE;
	foreach(lc, key->keys)
	{
		AlterTableCmd *cmd = makeNode(AlterTableCmd);

		nvmkv_check_not_null_of_key(relid, strVal(lfirst(lc)));
		cmd->subtype = AT_SetNotNull;
		cmd->name = pstrdup(strVal(lfirst(lc)));
		not_null->cmds = lappend(not_null->cmds, cmd);
	}
	nvmkv_statement_part(statement, (Node *) not_null);
}

static void
index_partitions(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	Constraint *constraint = sole_constraint(stmt);
	Oid relid = RangeVarGetRelidExtended(relation_of(stmt), constraint != NULL ? AccessExclusiveLock : ShareLock, 0,
										 RangeVarCallbackOwnsRelation, NULL);
	List *before = index_list(relid);
	Node *only = copyObject(stmt);
	List *made;

	nvmkv_engine_require_preload();
	if (constraint != NULL && constraint->contype == CONSTR_PRIMARY)
		set_not_null(statement, (AlterTableStmt *) stmt, relid, constraint);
	relation_of(only)->inh = false;
	nvmkv_statement_part(statement, only);
	made = list_difference_oid(index_list(relid), before);

	/* None, if there is one of the name and the statement says IF NOT EXISTS. */
	if (made != NIL)
		index_children(relid, linitial_oid(made), statement->query_string);
}

bool
nvmkv_index_partitions(const NvmkvStatement *statement)
{
	const RangeVar *relation = relation_of(statement->pstmt->utilityStmt);
	Oid relid = relation != NULL && relation->inh ? partitioned_relid(relation) : InvalidOid;

	if (!OidIsValid(relid) || nvmkv_our_tables_below(relid) == NIL)
		return false;
	nvmkv_statement_execute(statement, index_partitions, NULL);
	return true;
}

/* ---------------------------------------------------------------- ATTACH PARTITION */

/* The server takes note of children of plain tables alone. */
static void
refuse_inheritance_parent(Oid child)
{
	if (nvmkv_is_our_relid(child) && object_ownercheck(RelationRelationId, child, GetUserId()) &&
		!has_superclass(child) && find_inheritance_children(child, NoLock) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot attach inheritance parent as partition")));
}

bool
nvmkv_attach_partition(const NvmkvStatement *statement, void (*alter) (const NvmkvStatement *rest))
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, statement->pstmt->utilityStmt);
	AlterTableCmd *cmd;
	Oid parent = partitioned_relid(stmt->relation);
	Oid child;
	List *hidden;

	if (list_length(stmt->cmds) != 1 || !OidIsValid(parent))
		return false;
	cmd = linitial_node(AlterTableCmd, stmt->cmds);
	if (cmd->subtype != AT_AttachPartition)
		return false;
	child = RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name, NoLock, true);
	if (!OidIsValid(child) || nvmkv_our_tables_below(child) == NIL)
		return false;

	/* The server's checks come first, but for whether the table is the user's. */
	(void) AlterTableLookupRelation(stmt, AlterTableGetLockLevel(stmt->cmds));
	refuse_inheritance_parent(child);
	hidden = nvmkv_hide_indexes(parent);
	alter(statement);
	CommandCounterIncrement();
	nvmkv_show_indexes(parent, hidden);
	nvmkv_partition_indexes(parent, child, statement->query_string);
	return true;
}
