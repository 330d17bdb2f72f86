/*
 * reindexconcurrent.c
 *	  REINDEX CONCURRENTLY.
 *
 * A copy of the index is made and filled while others write to the table, who
 * keep both (indexconcurrent.c).  Then the index takes over the storage of the
 * copy, and the copy goes with the storage that the index had.
 *
 * That takes a moment in which nobody else uses the table: who reads may have a
 * scan open in the old storage, and who writes must not find one index in the one
 * storage and the other one in the other.  They are waited for without keeping
 * away those who come meanwhile; only if there is always somebody, these are.
 *
 * AFTER A CRASH OR AN ERROR before that moment the copy is there, invalid, and
 * writers keep it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_class_d.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"

#include "fdw/ddl/indexbuild.h"
#include "fdw/ddl/indexconcurrent.h"
#include "fdw/ddl/indexdef.h"
#include "fdw/ddl/reindexconcurrent.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"
#include "fdw/table/table.h"

/* How often everybody is waited for before others are kept away. */
#define PATIENCE 10

static void
refuse_deferrable(Oid index_oid)
{
	Relation index = index_open(index_oid, AccessShareLock);

	if (!index->rd_index->indimmediate)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot reindex index \"%s\" of a DEFERRABLE constraint of a foreign table concurrently",
						RelationGetRelationName(index)),
				 errhint("REINDEX without CONCURRENTLY keeps others away from the table meanwhile.")));
	index_close(index, NoLock);
}

/* An index that is like it, invalid and empty. */
static Oid
make_copy(Oid relid, Oid index_oid)
{
	char *definition = pg_get_indexdef_string(index_oid);
	IndexStmt *stmt = castNode(IndexStmt, linitial_node(RawStmt, pg_parse_query(definition))->stmt);

	stmt->idxname = ChooseRelationName(get_rel_name(index_oid), NULL, "ccnew", get_rel_namespace(relid), false);
	stmt->concurrent = true;
	stmt->reset_default_tblspc = true;
	return nvmkv_define_index_anew(relid, stmt, definition);
}

/* Returns when nobody else uses the table. */
static void
lock_table(Oid relid)
{
	LOCKTAG tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	for (int i = 0; i < PATIENCE; i++)
	{
		CHECK_FOR_INTERRUPTS();
		WaitForLockers(tag, AccessExclusiveLock, false);
		if (ConditionalLockRelationOid(relid, AccessExclusiveLock))
			return;
	}
	LockRelationOid(relid, AccessExclusiveLock);
}

/* They are both there, and of one definition. */
static void
check_still_alike(Relation rel, Oid index_oid, Oid copy_oid)
{
	const NvmkvTable *table = nvmkv_table(rel);
	const NvmkvIndex *index = nvmkv_find_index(table, index_oid);
	const NvmkvIndex *copy = nvmkv_find_index(table, copy_oid);

	if (index == NULL || copy == NULL || !copy->ready ||
		!nvmkv_keys_equal(index->entries.keys, index->entries.nkeys, copy->entries.keys, copy->entries.nkeys))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("an index of foreign table \"%s\" was changed while it was made anew",
						RelationGetRelationName(rel))));
}

/* In a transaction that has begun. */
static void
take_over(Oid relid, Oid index_oid, Oid copy_oid)
{
	ObjectAddress copy;
	Relation rel;

	lock_table(relid);
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = table_open(relid, NoLock);
	check_still_alike(rel, index_oid, copy_oid);
	nvmkv_index_take_storage(rel, index_oid, copy_oid);
	nvmkv_index_open_to_readers(rel, index_oid);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	ObjectAddressSet(copy, RelationRelationId, copy_oid);
	performDeletion(&copy, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	PopActiveSnapshot();
	CommitTransactionCommand();
	StartTransactionCommand();
}

void
nvmkv_reindex_concurrently(Oid relid, Oid index_oid)
{
	Oid copy_oid;

	if (!ActiveSnapshotSet())
		PushActiveSnapshot(GetTransactionSnapshot());
	refuse_deferrable(index_oid);
	copy_oid = make_copy(relid, index_oid);
	nvmkv_index_fill_concurrently(relid, copy_oid, false);
	take_over(relid, index_oid, copy_oid);
}
