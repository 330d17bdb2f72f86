/*
 * relationkind.c
 *	  A relation that becomes one of another kind, in the catalogues.
 *
 * What the server knows of a relation's kind is in its row of pg_class, and it
 * looks there whenever it opens the relation; stored rules take the kind from
 * there, too (AcquireRewriteLocks).  So views, triggers, privileges, comments,
 * statistics and partitions need nothing.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/multixact.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/storage.h"
#include "catalog/toasting.h"
#include "miscadmin.h"
#include "storage/smgr.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/catalogrow.h"
#include "fdw/ddl/relationkind.h"
#include "fdw/table/counters.h"

/* ---------------------------------------------------------------- catalogue */

/* Storage parameters and tablespace go, for they are about the file; there are others, or none. */
static void
set_kind(Oid relid, char relkind, Oid am, NvmkvFileNumber file, Datum parameters)
{
	NvmkvCatalogRow row;
	Datum values[Natts_pg_class] = {0};
	bool nulls[Natts_pg_class] = {false};
	bool replaces[Natts_pg_class] = {false};
	Form_pg_class form;

	(void) nvmkv_class_row(&row, relid);
	nvmkv_counted_change_kind(relid);
	values[Anum_pg_class_reloptions - 1] = parameters;
	nulls[Anum_pg_class_reloptions - 1] = DatumGetPointer(parameters) == NULL;
	replaces[Anum_pg_class_reloptions - 1] = true;
	form = nvmkv_catalog_row_modify(&row, values, nulls, replaces);
	form->relkind = relkind;
	form->relam = am;
	form->relfilenode = file;
	form->reltablespace = InvalidOid;
	form->reltoastrelid = InvalidOid;
	form->relallvisible = 0;
	form->relfrozenxid = InvalidTransactionId;
	form->relminmxid = InvalidMultiXactId;
	if (relkind == RELKIND_RELATION)
		form->relreplident = REPLICA_IDENTITY_DEFAULT;
	else
		form->relreplident = REPLICA_IDENTITY_NOTHING;
	nvmkv_catalog_row_save(&row);
}

static void
set_horizons(Oid relid, TransactionId freeze_xid, MultiXactId min_multi)
{
	NvmkvCatalogRow row;
	Form_pg_class form = nvmkv_class_row(&row, relid);

	form->relfrozenxid = freeze_xid;
	form->relminmxid = min_multi;
	nvmkv_catalog_row_save(&row);
}

/* An index that no snapshot is too old for, and that the table is not ordered by. */
static void
settle_index_flags(Oid index_oid)
{
	NvmkvCatalogRow row;
	Form_pg_index form = nvmkv_index_row(&row, index_oid);

	form->indcheckxmin = false;
	form->indisclustered = false;
	nvmkv_catalog_row_save(&row);
}

/* ---------------------------------------------------------------- to ours */

static void
drop_toast(Oid toast)
{
	ObjectAddress address;

	if (!OidIsValid(toast))
		return;

	/* It would go with the table only. */
	(void) deleteDependencyRecordsFor(RelationRelationId, toast, false);
	CommandCounterIncrement();
	ObjectAddressSet(address, RelationRelationId, toast);
	performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	CommandCounterIncrement();
}

void
nvmkv_become_foreign_table(Oid relid)
{
	Relation rel = table_open(relid, NoLock);
	Oid toast = rel->rd_rel->reltoastrelid;

	RelationDropStorage(rel);
	table_close(rel, NoLock);
	(void) deleteDependencyRecordsForClass(RelationRelationId, relid, AccessMethodRelationId, DEPENDENCY_NORMAL);
	set_kind(relid, RELKIND_FOREIGN_TABLE, InvalidOid, 0, (Datum) 0);
	drop_toast(toast);
}

void
nvmkv_become_foreign_index(Oid index_oid)
{
	Relation index = index_open(index_oid, AccessExclusiveLock);

	RelationDropStorage(index);
	index_close(index, NoLock);
	set_kind(index_oid, RELKIND_PARTITIONED_INDEX, BTREE_AM_OID, 0, (Datum) 0);
	settle_index_flags(index_oid);
}

/* ---------------------------------------------------------------- to a heap */

/* A file that no relation has. */
static NvmkvFileNumber
new_file(void)
{
	return nvmkv_new_file_number(InvalidOid, NULL, RELPERSISTENCE_PERMANENT);
}

void
nvmkv_become_heap(Oid relid, List *parameters)
{
	TransactionId freeze_xid;
	MultiXactId min_multi;
	Relation rel;

	set_kind(relid, RELKIND_RELATION, HEAP_TABLE_AM_OID, new_file(),
			 transformRelOptions((Datum) 0, parameters, NULL, NULL, false, false));
	rel = table_open(relid, NoLock);
	nvmkv_set_new_file(rel, RELPERSISTENCE_PERMANENT, &freeze_xid, &min_multi);
	nvmkv_assume_new_file(rel);
	table_close(rel, NoLock);
	set_horizons(relid, freeze_xid, min_multi);
	AlterTableCreateToastTable(relid, (Datum) 0, AccessExclusiveLock);
	CommandCounterIncrement();
}

void
nvmkv_become_btree(Oid relid, Oid index_oid)
{
	Relation rel = table_open(relid, NoLock);
	Relation index;

	set_kind(index_oid, RELKIND_INDEX, BTREE_AM_OID, new_file(), (Datum) 0);
	settle_index_flags(index_oid);
	index = index_open(index_oid, AccessExclusiveLock);
	smgrclose(RelationCreateStorage(nvmkv_file(index), RELPERSISTENCE_PERMANENT, true));
	nvmkv_assume_new_file(index);
	index_build(rel, index, BuildIndexInfo(index), false, false);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}
