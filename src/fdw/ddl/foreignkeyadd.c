/*
 * foreignkeyadd.c
 *	  A foreign key that is added, with our tables lent to the server.
 *
 * That of a partitioned table has one of its own in each partition; the server
 * makes these, too.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "fdw/ddl/foreignkeyadd.h"
#include "fdw/ddl/foreignkeytrigger.h"
#include "fdw/ddl/foreignkeyverify.h"
#include "fdw/ddl/lend.h"
#include "fdw/ddl/verify.h"
#include "fdw/table/table.h"

List *
nvmkv_foreign_keys(Oid relid)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	List *result = NIL;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(constraints, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == CONSTRAINT_FOREIGN)
			result = lappend_oid(result, form->oid);
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return result;
}

List *
nvmkv_foreign_key_rows(List *relids)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	List *rows = NIL;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_constraint_contype, BTEqualStrategyNumber, F_CHAREQ, CharGetDatum(CONSTRAINT_FOREIGN));
	scan = systable_beginscan(constraints, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (list_member_oid(relids, form->conrelid) || list_member_oid(relids, form->confrelid))
			rows = lappend(rows, memcpy(palloc(sizeof(*form)), form, sizeof(*form)));
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return rows;
}

void
nvmkv_foreign_key_by_server(const NvmkvStatement *statement, const RangeVar *relation, AlterTableCmd *cmd)
{
	NvmkvStatement part = *statement;
	AlterTableStmt *alter = makeNode(AlterTableStmt);

	alter->relation = copyObject(unconstify(RangeVar *, relation));
	alter->cmds = list_make1(cmd);
	alter->objtype = OBJECT_TABLE;

	part.pstmt = makeNode(PlannedStmt);
	part.pstmt->commandType = CMD_UTILITY;
	part.pstmt->utilityStmt = (Node *) alter;
	part.pstmt->stmt_location = statement->pstmt->stmt_location;
	part.pstmt->stmt_len = statement->pstmt->stmt_len;
	part.read_only_tree = false;
	part.context = PROCESS_UTILITY_SUBCOMMAND; /* event triggers are called for the whole */
	part.dest = None_Receiver;
	part.completion = NULL;
	part.next(&part);
	CommandCounterIncrement();
}

static void
add_by_server(const NvmkvStatement *statement, const RangeVar *relation, Constraint *key)
{
	AlterTableCmd *cmd = makeNode(AlterTableCmd);

	cmd->subtype = AT_AddConstraint;
	cmd->def = (Node *) key;
	nvmkv_foreign_key_by_server(statement, relation, cmd);
}

/* Of a foreign key of a partitioned table those of the tables that have rows; else itself. */
static List *
leaf_keys(Oid constraint)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	HeapTuple own = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	List *leaves = NIL;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;
	Oid relid;

	if (!HeapTupleIsValid(own))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	relid = ((Form_pg_constraint) GETSTRUCT(own))->conrelid;
	ReleaseSysCache(own);
	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		leaves = list_make1_oid(constraint);
	else
	{
		ScanKeyInit(&key, Anum_pg_constraint_conparentid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(constraint));
		scan = systable_beginscan(constraints, ConstraintParentIndexId, true, NULL, 1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

			/* Those of the same table are for partitions of the referenced one. */
			if (form->contype == CONSTRAINT_FOREIGN && form->conrelid != relid)
				leaves = list_concat(leaves, leaf_keys(form->oid));
		}
		systable_endscan(scan);
	}
	table_close(constraints, AccessShareLock);
	return leaves;
}

List *
nvmkv_foreign_key_tables(Oid relid)
{
	if (nvmkv_is_our_relid(relid))
		return list_make1_oid(relid);
	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return NIL;
	(void) find_all_inheritors(relid, ShareRowExclusiveLock, NULL);
	return nvmkv_our_tables_below(relid);
}

/* The one that is not in the list, and is no part of another. */
static Oid
find_new_key(Oid relid, List *before)
{
	ListCell *lc;

	foreach(lc, list_difference_oid(nvmkv_foreign_keys(relid), before))
	{
		HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(lfirst_oid(lc)));
		Oid parent = ((Form_pg_constraint) GETSTRUCT(tuple))->conparentid;

		ReleaseSysCache(tuple);
		if (!OidIsValid(parent))
			return lfirst_oid(lc);
	}
	elog(ERROR, "no foreign key was made");
}

Oid
nvmkv_foreign_key_add(const NvmkvStatement *statement, const RangeVar *relation, Constraint *key)
{
	Oid relid = RangeVarGetRelid(relation, NoLock, false);
	Oid referenced = RangeVarGetRelid(key->pktable, ShareRowExclusiveLock, false);
	List *tables = nvmkv_foreign_key_tables(relid);
	bool verify = !key->skip_validation;
	List *before = nvmkv_foreign_keys(relid);
	Oid made;
	ListCell *lc;

	key->skip_validation = true;
	tables = list_concat_unique_oid(tables, nvmkv_foreign_key_tables(referenced));

	foreach(lc, tables)
	{
		nvmkv_foreign_key_triggers_give_back(lfirst_oid(lc));
		nvmkv_lend_table(lfirst_oid(lc));
	}
	add_by_server(statement, relation, key);
	foreach(lc, tables)
		nvmkv_return_table(lfirst_oid(lc));
	foreach(lc, tables)
		nvmkv_foreign_key_triggers_settle(lfirst_oid(lc));

	made = find_new_key(relid, before);
	foreach(lc, verify ? leaf_keys(made) : NIL)
		nvmkv_foreign_key_verify(lfirst_oid(lc));
	return made;
}
