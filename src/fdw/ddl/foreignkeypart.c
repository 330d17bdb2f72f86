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

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
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
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "fdw/ddl/catalogrow.h"
#include "fdw/ddl/foreignkeyadd.h"
#include "fdw/ddl/foreignkeyclone.h"
#include "fdw/ddl/foreignkeypart.h"
#include "fdw/ddl/foreignkeytrigger.h"
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

/*
 * Those for partitions of a referenced table go with the one that references the table itself; those of partitions that
 * reference the parent with that of their partitioned table.
 */
List *
nvmkv_keys_to_inherit(Oid parent, bool child_is_ours)
{
	List *all = nvmkv_foreign_keys(parent);
	List *referencing = child_is_ours ? nvmkv_keys_that_reference(parent) : NIL;
	List *keys = NIL;
	ListCell *lc;

	foreach(lc, all)
	{
		Key key = look_up(lfirst_oid(lc));

		if (!list_member_oid(all, key.parent) && (child_is_ours || nvmkv_is_our_relid(key.referenced)))
			keys = lappend_oid(keys, lfirst_oid(lc));
	}
	foreach(lc, referencing)
	{
		if (!list_member_oid(referencing, look_up(lfirst_oid(lc)).parent))
			keys = list_append_unique_oid(keys, lfirst_oid(lc));
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
	List *own = nvmkv_foreign_keys(parent);
	int before;

	/* And parts of parts. */
	do
	{
		ListCell *lc;

		before = list_length(all);
		foreach(lc, own)
		{
			if (list_member_oid(all, look_up(lfirst_oid(lc)).parent))
				all = list_append_unique_oid(all, lfirst_oid(lc));
		}
	} while (list_length(all) > before);
	return all;
}

/*
 * The tables that reference the parent: the server locks them when it makes the partition's part of their keys.  Are
 * there any?
 */
static bool
lock_referencing(Oid parent, List *keys)
{
	bool found = false;
	ListCell *lc;

	foreach(lc, keys)
	{
		Key key = look_up(lfirst_oid(lc));

		if (key.referenced != parent)
			continue;
		LockRelationOid(key.relid, ShareRowExclusiveLock);
		found = true;
	}
	return found;
}

List *
nvmkv_hide_foreign_keys(Oid parent, List *keys)
{
	List *hidden;

	LockRelationOid(parent, ShareUpdateExclusiveLock);
	hidden = with_parts(parent, keys);
	if (lock_referencing(parent, keys))
		hidden = list_concat_unique_oid(hidden, nvmkv_keys_that_reference(parent));
	set_type(parent, hidden, CONSTRAINT_TRIGGER);
	return hidden;
}

void
nvmkv_show_foreign_keys(Oid parent, List *hidden)
{
	set_type(parent, hidden, CONSTRAINT_FOREIGN);
}

/* ---------------------------------------------------------------- tying */

/* Those of the parent's key do for all partitions. */
static void
drop_actions(Oid constraint, const Key *key)
{
	ListCell *lc;

	foreach(lc, nvmkv_foreign_key_triggers(constraint, key->referenced))
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

	foreach(lc, nvmkv_foreign_keys(key->relid))
	{
		ObjectAddress part;

		/* Parts of parts go with them. */
		if (!SearchSysCacheExists1(CONSTROID, ObjectIdGetDatum(lfirst_oid(lc))) ||
			look_up(lfirst_oid(lc)).parent != constraint)
			continue;
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
	Relation triggers = table_open(TriggerRelationId, RowExclusiveLock);

	TriggerSetParentTrigger(triggers, nvmkv_foreign_key_trigger(constraint, child, RI_TRIGGER_FK, event),
							nvmkv_foreign_key_trigger(parent_constraint, parent, RI_TRIGGER_FK, event), child);
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
nvmkv_inherit_foreign_keys(const NvmkvStatement *statement, Oid parent, Oid child, List *keys, bool adopt)
{
	List *inherited = NIL;
	ListCell *lc;

	nvmkv_engine_require_preload();

	/* First, as the server does it: one of these may be the partition's own, and becomes part of the parent's below. */
	foreach(lc, keys)
	{
		Key key = look_up(lfirst_oid(lc));

		if (key.referenced == parent)
			nvmkv_clone_foreign_key(lfirst_oid(lc), child);
		if (key.relid == parent)
			inherited = lappend_oid(inherited, lfirst_oid(lc));
	}
	foreach(lc, inherited)
	{
		Oid constraint = InvalidOid;
		Key key = look_up(lfirst_oid(lc));

		if (key.referenced == child)
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
	nvmkv_inherit_foreign_keys(statement, change->parent, change->child, change->keys, true);
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
			(ours || has_ours(key.referenced)))
			keys = lappend_oid(keys, lfirst_oid(lc));
	}
	return keys;
}

/*
 * The server makes keys of its own of the partition's, with triggers on the tables that these reference, and knows
 * neither such tables nor our triggers.  So it does not see those keys while it does that, but sees them before: with
 * CONCURRENTLY in a transaction that others see the end of.  In between it says that the partition has left, and
 * deletes the triggers that this has from its parent, as a command of its own.
 */
typedef struct Leaving
{
	Oid child; /* InvalidOid: none is about to */
	List *hidden;
} Leaving;

static Leaving leaving;

/* From the next command on.  Until then, while it looks for rows that are referenced, the server sees a partition. */
static void
hide_later(Oid child, List *keys)
{
	Relation constraints = table_open(ConstraintRelationId, RowExclusiveLock);
	ListCell *lc;

	foreach(lc, keys)
	{
		HeapTuple tuple = SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for constraint %u", lfirst_oid(lc));
		((Form_pg_constraint) GETSTRUCT(tuple))->contype = CONSTRAINT_TRIGGER;
		CatalogTupleUpdate(constraints, &tuple->t_self, tuple);
		heap_freetuple(tuple);
	}
	table_close(constraints, RowExclusiveLock);
	CacheInvalidateRelcacheByRelid(child);
}

void
nvmkv_partition_has_left(Oid child)
{
	MemoryContext old_context;

	if (child != leaving.child)
		return;
	old_context = MemoryContextSwitchTo(TopTransactionContext);
	leaving.hidden = keys_from_parent(child);
	MemoryContextSwitchTo(old_context);
	hide_later(child, leaving.hidden);
}

static void
let_go(const NvmkvStatement *statement, Change *change)
{
	Leaving outer = leaving; /* a statement of an event trigger's */
	ListCell *lc;

	nvmkv_engine_require_preload();
	leaving = (Leaving) {.child = change->child};
	PG_TRY();
	{
		change->alter(statement);
		change->keys = leaving.hidden;
	}
	PG_FINALLY();
	{
		leaving = outer;
	}
	PG_END_TRY();
	CommandCounterIncrement();
	set_type(change->child, change->keys, CONSTRAINT_FOREIGN);
	foreach(lc, change->keys)
		nvmkv_foreign_key_on_its_own(lfirst_oid(lc));
}

static void
detach(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	NvmkvStatement rest = nvmkv_statement_rest(statement);

	let_go(&rest, arg);
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
	if ((cmd->subtype != AT_AttachPartition && cmd->subtype != AT_DetachPartition &&
		 cmd->subtype != AT_DetachPartitionFinalize) ||
		!OidIsValid(change.parent) || get_rel_relkind(change.parent) != RELKIND_PARTITIONED_TABLE)
		return false;
	change.child = RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name, NoLock, true);
	if (!OidIsValid(change.child))
		return false;
	change.keys = cmd->subtype == AT_AttachPartition ? nvmkv_keys_to_inherit(change.parent, has_ours(change.child))
													 : keys_from_parent(change.child);
	if (change.keys == NIL)
		return false;

	/* That one ends a transaction, which the server does for no part of a statement. */
	if (cmd->subtype == AT_DetachPartition && castNode(PartitionCmd, cmd->def)->concurrent)
		let_go(statement, &change);
	else
		nvmkv_statement_execute(statement, cmd->subtype == AT_AttachPartition ? attach : detach, &change);
	return true;
}
