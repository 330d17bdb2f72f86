/*
 * foreignkeyclone.c
 *	  What tables have of the foreign keys that reference them.
 *
 * That is two triggers, for DELETE and UPDATE; and in each partition of a partitioned
 * table as much for a constraint of its own, which is of the table that references,
 * too, and part of the whole.  The server makes these when it adds or detaches a
 * partition (its CloneFkReferenced(), addFkRecurseReferenced()), and has no way to
 * make them later; so it is done here, where foreign tables are among them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/foreignkeyadd.h"
#include "fdw/ddl/foreignkeyclone.h"
#include "fdw/ddl/foreignkeytrigger.h"
#include "fdw/ddl/lend.h"
#include "fdw/table/table.h"

List *
nvmkv_keys_that_reference(Oid relid)
{
	List *keys = NIL;
	ListCell *lc;

	foreach(lc, nvmkv_foreign_key_rows(list_make1_oid(relid)))
	{
		Form_pg_constraint form = lfirst(lc);

		if (form->confrelid == relid)
			keys = lappend_oid(keys, form->oid);
	}
	return keys;
}

/* As the constraint's, if that name is free. */
static char *
choose_name(Relation rel, const FormData_pg_constraint *form, const AttrNumber *columns, int ncolumns)
{
	StringInfoData names;

	if (!ConstraintNameIsUsed(CONSTRAINT_RELATION, RelationGetRelid(rel), NameStr(form->conname)))
		return pstrdup(NameStr(form->conname));
	initStringInfo(&names);
	for (int i = 0; i < ncolumns && names.len < NAMEDATALEN; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? "_" : "",
						 NameStr(TupleDescAttr(RelationGetDescr(rel), columns[i] - 1)->attname));
	return nvmkv_choose_part_name(rel, NameStr(form->conname), names.data);
}

/* The constraint. */
static Oid
add_part(HeapTuple tuple, Relation rel, Relation partition)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	Oid index_oid = index_get_partition(partition, form->conindid);
	Relation parent = table_open(form->confrelid, NoLock);
	AttrMap *map = nvmkv_build_attrmap(RelationGetDescr(partition), RelationGetDescr(parent));
	AttrNumber columns[INDEX_MAX_KEYS];
	AttrNumber referenced[INDEX_MAX_KEYS];
	AttrNumber set_columns[INDEX_MAX_KEYS];
	Oid pf_equal[INDEX_MAX_KEYS];
	Oid pp_equal[INDEX_MAX_KEYS];
	Oid ff_equal[INDEX_MAX_KEYS];
	ObjectAddress whole;
	ObjectAddress part;
	int nset_columns;
	int n;

	if (!OidIsValid(index_oid))
		elog(ERROR, "index for %u not found in partition %s", form->conindid, RelationGetRelationName(partition));
	DeconstructFkConstraintRow(tuple, &n, columns, referenced, pf_equal, pp_equal, ff_equal, &nset_columns,
							   set_columns);
	for (int i = 0; i < n; i++)
		referenced[i] = map->attnums[referenced[i] - 1];
	free_attrmap(map);
	table_close(parent, NoLock);

	ObjectAddressSet(whole, ConstraintRelationId, form->oid);
	ObjectAddressSet(part, ConstraintRelationId,
					 nvmkv_create_part_of_foreign_key(choose_name(rel, form, columns, n), form, index_oid,
													  RelationGetRelid(partition), n, columns, referenced, pf_equal,
													  pp_equal, ff_equal, nset_columns, set_columns));
	recordDependencyOn(&part, &whole, DEPENDENCY_INTERNAL);
	CommandCounterIncrement();
	return part.objectId;
}

/*
 * The trigger for one event of a table that is referenced by a constraint, which is of "form" or a part of it: so is the
 * trigger then.
 */
static void
add_action(const FormData_pg_constraint *form, Oid constraint, Relation referenced, Oid index_oid, int16 event)
{
	char action = event == TRIGGER_TYPE_DELETE ? form->confdeltype : form->confupdtype;
	bool waits = action == FKCONSTR_ACTION_NOACTION;
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);
	Oid whole = InvalidOid;

	if (constraint != form->oid)
		whole = nvmkv_foreign_key_trigger(form->oid, form->confrelid, RI_TRIGGER_PK, event);
	stmt->isconstraint = true;
	stmt->trigname = "RI_ConstraintTrigger_a";
	stmt->row = true;
	stmt->timing = TRIGGER_TYPE_AFTER;
	stmt->events = event;
	stmt->deferrable = waits && form->condeferrable;
	stmt->initdeferred = waits && form->condeferred;
	stmt->funcname = list_make2(makeString("pg_catalog"),
								makeString(get_func_name(nvmkv_foreign_key_action_function(action, event))));
	(void) CreateTrigger(stmt, NULL, RelationGetRelid(referenced), form->conrelid, constraint, index_oid, InvalidOid,
						 whole, NULL, true, false);
	CommandCounterIncrement();
}

/* What the table that is referenced has, or a partition of it, and the partitions below it. */
static void
add_referenced_side(const FormData_pg_constraint *form, Oid constraint, Relation referenced, Oid index_oid)
{
	Oid relid = RelationGetRelid(referenced);
	bool ours = nvmkv_is_our_relid(relid);

	if (nvmkv_is_enforced(form))
	{
		if (ours)
			nvmkv_lend_table(relid);
		add_action(form, constraint, referenced, index_oid, TRIGGER_TYPE_DELETE);
		add_action(form, constraint, referenced, index_oid, TRIGGER_TYPE_UPDATE);
		if (ours)
		{
			nvmkv_return_table(relid);
			nvmkv_foreign_key_triggers_settle(relid);
		}
	}
	if (referenced->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		PartitionDesc parts = RelationGetPartitionDesc(referenced, true);

		for (int i = 0; i < parts->nparts; i++)
			nvmkv_clone_foreign_key(constraint, parts->oids[i]);
	}
}

static HeapTuple
look_up(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	return tuple;
}

void
nvmkv_clone_foreign_key(Oid constraint, Oid partition_relid)
{
	HeapTuple tuple = look_up(constraint);
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	Relation rel = table_open(form->conrelid, NoLock);
	Relation partition = table_open(partition_relid, ShareRowExclusiveLock);
	Oid part = add_part(tuple, rel, partition);

	add_referenced_side(form, part, partition, index_get_partition(partition, form->conindid));
	table_close(partition, NoLock);
	table_close(rel, NoLock);
	ReleaseSysCache(tuple);
}

static void
untie_check(Relation triggers, const FormData_pg_constraint *form, int16 event)
{
	Oid trigger = nvmkv_foreign_key_trigger(form->oid, form->conrelid, RI_TRIGGER_FK, event);

	TriggerSetParentTrigger(triggers, trigger, InvalidOid, form->conrelid);
}

void
nvmkv_foreign_key_on_its_own(Oid constraint)
{
	Relation triggers = table_open(TriggerRelationId, RowExclusiveLock);
	HeapTuple tuple = look_up(constraint);
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	Relation referenced = table_open(form->confrelid, ShareRowExclusiveLock);

	ConstraintSetParentConstraint(constraint, InvalidOid, InvalidOid);
	if (nvmkv_is_enforced(form))
	{
		untie_check(triggers, form, TRIGGER_TYPE_INSERT);
		untie_check(triggers, form, TRIGGER_TYPE_UPDATE);
	}
	CommandCounterIncrement();
	add_referenced_side(form, constraint, referenced, form->conindid);
	table_close(referenced, NoLock);
	ReleaseSysCache(tuple);
	table_close(triggers, RowExclusiveLock);
}
