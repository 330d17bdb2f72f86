/*
 * foreignkeypart.c
 *	  Foreign keys that partitions have from their partitioned tables.
 *
 * The server makes them when it adds a partition, and refuses to where that is a
 * foreign table, or references one.  So it does not see the foreign keys of the
 * partitioned table while it does so, and the partition's are added afterwards
 * like others (foreignkeyadd.c) and then tied to them, as the server ties one that
 * a partition brings along (its tryAttachPartitionForeignKey()).
 *
 * What it does not see has another type of constraint, in a row of pg_constraint
 * that nobody else ever sees: the transaction puts it back, or fails.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "fdw/ddl/catalogrow.h"
#include "fdw/ddl/foreignkeyadd.h"
#include "fdw/ddl/foreignkeypart.h"
#include "fdw/ddl/foreignkeytrigger.h"
#include "fdw/ddl/lend.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/engine.h"
#include "fdw/table/table.h"

/* What is to be known of a foreign key. */
typedef struct Key
{
	Oid relid;
	Oid referenced;
	Oid parent;
} Key;

static Key
look_up(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint form;
	Key key;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	key.relid = form->conrelid;
	key.referenced = form->confrelid;
	key.parent = form->conparentid;
	ReleaseSysCache(tuple);
	return key;
}

/* ---------------------------------------------------------------- hiding */

/* Those for partitions of a referenced table go with the one that references the table itself. */
List *
nvmkv_keys_to_inherit(Oid parent, bool child_is_ours)
{
	List *all = nvmkv_foreign_keys(parent);
	List *keys = NIL;
	ListCell *lc;

	foreach(lc, all)
	{
		Key key = look_up(lfirst_oid(lc));

		if (!list_member_oid(all, key.parent) && (child_is_ours || nvmkv_is_our_relid(key.referenced)))
			keys = lappend_oid(keys, lfirst_oid(lc));
	}
	return keys;
}

static void
set_type(Oid parent, List *keys, char type)
{
	ListCell *lc;

	foreach(lc, keys)
	{
		NvmkvCatalogRow row;
		Form_pg_constraint form = nvmkv_constraint_row(&row, lfirst_oid(lc));

		form->contype = type;
		nvmkv_catalog_row_save(&row);
	}
	CacheInvalidateRelcacheByRelid(parent);
	CommandCounterIncrement();
}

/* And their parts that are for partitions of the referenced table. */
static List *
with_parts(Oid parent, List *keys)
{
	List *all = list_copy(keys);
	ListCell *lc;

	foreach(lc, nvmkv_foreign_keys(parent))
	{
		if (list_member_oid(keys, look_up(lfirst_oid(lc)).parent))
			all = lappend_oid(all, lfirst_oid(lc));
	}
	return all;
}

List *
nvmkv_hide_foreign_keys(Oid parent, List *keys)
{
	List *hidden;

	LockRelationOid(parent, ShareUpdateExclusiveLock);
	hidden = with_parts(parent, keys);
	set_type(parent, hidden, CONSTRAINT_TRIGGER);
	return hidden;
}

void
nvmkv_show_foreign_keys(Oid parent, List *hidden)
{
	set_type(parent, hidden, CONSTRAINT_FOREIGN);
}

/* ---------------------------------------------------------------- tying */

/* The triggers that a foreign key has on a table, those of one event alone, or all (0). */
static List *
triggers_on(Oid constraint, Oid relid, int16 event)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	List *found = NIL;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgconstraint, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(constraint));
	scan = systable_beginscan(triggers, TriggerConstraintIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (form->tgrelid == relid && (event == 0 || (form->tgtype & event) != 0))
			found = lappend_oid(found, form->oid);
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return found;
}

/* Those of the parent's key do for all partitions. */
static void
drop_actions(Oid constraint, const Key *key)
{
	ListCell *lc;

	foreach(lc, triggers_on(constraint, key->referenced, 0))
	{
		ObjectAddress trigger;

		(void) deleteDependencyRecordsFor(TriggerRelationId, lfirst_oid(lc), false);
		CommandCounterIncrement();
		ObjectAddressSet(trigger, TriggerRelationId, lfirst_oid(lc));
		performDeletion(&trigger, DROP_RESTRICT, 0);
		CommandCounterIncrement();
	}
}

/* So do its parts for partitions of the referenced table. */
static void
drop_parts(Oid constraint, const Key *key)
{
	ListCell *lc;

	foreach(lc, list_difference_oid(with_parts(key->relid, list_make1_oid(constraint)), list_make1_oid(constraint)))
	{
		ObjectAddress part;

		(void) deleteDependencyRecordsForSpecific(ConstraintRelationId, lfirst_oid(lc), DEPENDENCY_INTERNAL,
												  ConstraintRelationId, constraint);
		CommandCounterIncrement();
		ObjectAddressSet(part, ConstraintRelationId, lfirst_oid(lc));
		performDeletion(&part, DROP_RESTRICT, 0);
		CommandCounterIncrement();
	}
}

static void
tie_trigger(Oid constraint, Oid child, Oid parent_constraint, Oid parent, int16 event)
{
	List *own = triggers_on(constraint, child, event);
	List *others = triggers_on(parent_constraint, parent, event);
	Relation triggers = table_open(TriggerRelationId, RowExclusiveLock);

	if (list_length(own) != 1 || list_length(others) != 1)
		elog(ERROR, "foreign keys %u and %u do not have one trigger each", constraint, parent_constraint);
	TriggerSetParentTrigger(triggers, linitial_oid(own), linitial_oid(others), child);
	table_close(triggers, RowExclusiveLock);
}

/* The partition's key becomes a part of the parent's.  The tables are not the referenced one. */
static void
tie(Oid constraint, Oid parent_constraint)
{
	Key key = look_up(constraint);
	Key parent = look_up(parent_constraint);

	drop_actions(constraint, &key);
	drop_parts(constraint, &key);
	ConstraintSetParentConstraint(constraint, parent_constraint, key.relid);
	CommandCounterIncrement();
	tie_trigger(constraint, key.relid, parent_constraint, parent.relid, TRIGGER_TYPE_INSERT);
	tie_trigger(constraint, key.relid, parent_constraint, parent.relid, TRIGGER_TYPE_UPDATE);
	CommandCounterIncrement();
}

/* ---------------------------------------------------------------- inheriting */

static char *
definition(Oid constraint)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef, ObjectIdGetDatum(constraint)));
}

/* A key of the partition that says the same, and is its own; InvalidOid: there is none. */
static Oid
find_same(Oid child, const char *wanted)
{
	ListCell *lc;

	foreach(lc, nvmkv_foreign_keys(child))
	{
		if (!OidIsValid(look_up(lfirst_oid(lc)).parent) && strcmp(definition(lfirst_oid(lc)), wanted) == 0)
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

/* As the parent's, with its name if that is free. */
static Oid
add(const NvmkvStatement *statement, Oid child, Oid parent_constraint)
{
	RangeVar *relation = makeRangeVar(get_namespace_name(get_rel_namespace(child)), get_rel_name(child), -1);
	char *command = pg_get_constraintdef_command(parent_constraint);
	AlterTableStmt *stmt = castNode(AlterTableStmt, linitial_node(RawStmt, pg_parse_query(command))->stmt);
	Constraint *key = castNode(Constraint, linitial_node(AlterTableCmd, stmt->cmds)->def);

	if (ConstraintNameIsUsed(CONSTRAINT_RELATION, child, key->conname))
		key->conname = NULL;
	return nvmkv_foreign_key_add(statement, relation, key);
}

void
nvmkv_inherit_foreign_keys(const NvmkvStatement *statement, Oid child, List *keys, bool adopt)
{
	ListCell *lc;

	nvmkv_engine_require_preload();
	foreach(lc, keys)
	{
		Oid constraint = InvalidOid;

		if (look_up(lfirst_oid(lc)).referenced == child)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach table \"%s\" as a partition because it is referenced by foreign key \"%s\"",
							get_rel_name(child), get_constraint_name(lfirst_oid(lc)))));
		if (adopt)
			constraint = find_same(child, definition(lfirst_oid(lc)));
		if (!OidIsValid(constraint))
			constraint = add(statement, child, lfirst_oid(lc));
		tie(constraint, lfirst_oid(lc));
	}
}

/* ---------------------------------------------------------------- ATTACH and DETACH PARTITION */

/* What the statement is about. */
typedef struct Change
{
	void (*alter) (const NvmkvStatement *statement);
	Oid parent;
	Oid child;
	List *keys;
} Change;

static void
attach(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	const Change *change = arg;
	NvmkvStatement rest = nvmkv_statement_rest(statement);
	AlterTableStmt *attach_stmt = castNode(AlterTableStmt, rest.pstmt->utilityStmt);
	List *hidden;

	(void) AlterTableLookupRelation(attach_stmt, AlterTableGetLockLevel(attach_stmt->cmds));
	hidden = nvmkv_hide_foreign_keys(change->parent, change->keys);
	change->alter(&rest);
	CommandCounterIncrement();
	nvmkv_show_foreign_keys(change->parent, hidden);
	nvmkv_inherit_foreign_keys(statement, change->child, change->keys, true);
}

/* The server makes keys of its own of the partition's, and needs to know them for that. */
static void
detach(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	const Change *change = arg;
	NvmkvStatement rest = nvmkv_statement_rest(statement);
	AlterTableStmt *detach_stmt = castNode(AlterTableStmt, rest.pstmt->utilityStmt);
	List *referenced = NIL;
	List *tables;
	ListCell *lc;

	nvmkv_engine_require_preload();
	if (castNode(PartitionCmd, linitial_node(AlterTableCmd, detach_stmt->cmds)->def)->concurrent)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot detach partition \"%s\" concurrently", get_rel_name(change->child)),
				 errdetail("It has a foreign key of or to a foreign table.")));
	(void) AlterTableLookupRelation(detach_stmt, AlterTableGetLockLevel(detach_stmt->cmds));
	LockRelationOid(change->child, AccessExclusiveLock);
	tables = nvmkv_foreign_key_tables(change->child);
	foreach(lc, change->keys)
	{
		Oid relid = look_up(lfirst_oid(lc)).referenced;

		LockRelationOid(relid, ShareRowExclusiveLock);
		if (nvmkv_is_our_relid(relid))
			referenced = list_append_unique_oid(referenced, relid);
	}
	foreach(lc, tables)
		nvmkv_foreign_key_triggers_give_back(lfirst_oid(lc));
	foreach(lc, referenced)
		nvmkv_lend_table(lfirst_oid(lc));
	change->alter(&rest);
	CommandCounterIncrement();
	foreach(lc, referenced)
		nvmkv_return_table(lfirst_oid(lc));
	foreach(lc, list_concat_unique_oid(tables, referenced))
		nvmkv_foreign_key_triggers_settle(lfirst_oid(lc));
}

static bool
has_ours(Oid relid)
{
	return nvmkv_is_our_relid(relid) || nvmkv_our_tables_below(relid) != NIL;
}

/* Those that the partition has from its parent. */
static List *
keys_from_parent(Oid child)
{
	List *all = nvmkv_foreign_keys(child);
	bool ours = has_ours(child);
	List *keys = NIL;
	ListCell *lc;

	foreach(lc, all)
	{
		Key key = look_up(lfirst_oid(lc));

		if (OidIsValid(key.parent) && !list_member_oid(all, key.parent) &&
			(ours || nvmkv_is_our_relid(key.referenced)))
			keys = lappend_oid(keys, lfirst_oid(lc));
	}
	return keys;
}

bool
nvmkv_alter_partition_keys(const NvmkvStatement *statement, void (*alter) (const NvmkvStatement *statement))
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, statement->pstmt->utilityStmt);
	const AlterTableCmd *cmd;
	Change change = {.alter = alter, .parent = RangeVarGetRelid(stmt->relation, NoLock, true)};

	if (list_length(stmt->cmds) != 1)
		return false;
	cmd = linitial_node(AlterTableCmd, stmt->cmds);
	if ((cmd->subtype != AT_AttachPartition && cmd->subtype != AT_DetachPartition) || !OidIsValid(change.parent) ||
		get_rel_relkind(change.parent) != RELKIND_PARTITIONED_TABLE)
		return false;
	change.child = RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name, NoLock, true);
	if (!OidIsValid(change.child))
		return false;
	change.keys = cmd->subtype == AT_AttachPartition ? nvmkv_keys_to_inherit(change.parent, has_ours(change.child))
													 : keys_from_parent(change.child);
	if (change.keys == NIL)
		return false;
	nvmkv_statement_execute(statement, cmd->subtype == AT_AttachPartition ? attach : detach, &change);
	return true;
}
