/*
 * storage.c
 *	  The storage of a foreign table: where its rows are.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/host/family.h"
#include "fdw/host/ready.h"
#include "fdw/key/keyspec.h"
#include "fdw/storage/registry.h"
#include "fdw/storage/storage.h"
#include "fdw/table/catalog.h"
#include "fdw/table/definition.h"
#include "fdw/table/indexes.h"
#include "fdw/table/table.h"

static char *
key_names(TupleDesc desc, const NvmkvKeyColumn *keys, int nkeys)
{
	List *specs = NIL;

	for (int i = 0; i < nkeys; i++)
	{
		NvmkvKeySpec *spec = palloc(sizeof(NvmkvKeySpec));

		spec->name = keys[i].attnum <= desc->natts ? NameStr(TupleDescAttr(desc, keys[i].attnum - 1)->attname) : "?";
		spec->descending = keys[i].descending;
		specs = lappend(specs, spec);
	}
	return nvmkv_format_primary_key(specs);
}

/* Whoever alters columns with the library says so in the catalogue. */
static void
check_columns(const NvmkvStorageRow *row, Relation rel)
{
	AttrNumber attnum = nvmkv_catalog_changed_column(row, RelationGetDescr(rel));
	const char *name;

	if (attnum == 0)
		return;
	name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("definition of foreign table \"%s\" does not fit its stored rows", RelationGetRelationName(rel)),
			 attnum > row->ncolumns
				 ? errdetail("Column \"%s\" was added by a server that had not loaded nvmkv_fdw.", name)
				 : errdetail("The type of column \"%s\" was changed by a server that had not loaded nvmkv_fdw; rows were stored with type %s.",
							 name, format_type_be(row->column_types[attnum - 1])),
			 attnum > row->ncolumns ? errhint("Drop the column and add it again, or TRUNCATE the table.")
									: errhint("Change the type back, or TRUNCATE the table.")));
}

/* May the caller be about to write? The lock tells statements that do from those that only read. */
static bool
may_write(Relation rel)
{
	return !XactReadOnly && !IsInParallelMode() && !RecoveryInProgress() &&
		   CheckRelationLockedByMe(rel, RowExclusiveLock, true);
}

/*
 * The first key column with sort keys that another version of ICU made than there is now: they may be in another order,
 * and those of the same text other ones.  -1: there is none.
 */
static int
find_old_version(const NvmkvStorageRow *row, const NvmkvKeyColumn *keys, int nkeys)
{
	for (int i = 0; i < nkeys; i++)
	{
		if (strcmp(row->keys[i].collation_version, keys[i].collation_version) != 0)
			return i;
	}
	return -1;
}

/* Of the table's key: is it as it was?  Else rows can be read as a whole, and have to be written to another table. */
static bool
check_versions(const NvmkvStorageRow *row, const NvmkvTable *table, Relation rel)
{
	int i = find_old_version(row, table->keys, table->nkeys);

	if (i < 0)
		return true;
	ereport(may_write(rel) ? ERROR : WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("primary key of foreign table \"%s\" was stored with another version of a collation",
					RelationGetRelationName(rel)),
			 errdetail("It was stored with version %s, but the operating system provides version %s.",
					   row->keys[i].collation_version, table->keys[i].collation_version),
			 errhint("Copy all rows to a new table. Conditions on the key may find too little here.")));
	return false;
}

/*
 * Where the entries of the table's indexes are.  One that is being made may not have a storage yet: nobody else writes
 * to the table then, or it is not ready.
 */
static void
find_index_storages(NvmkvTable *table)
{
	for (int i = 0; i < table->nindexes; i++)
	{
		NvmkvIndex *index = &table->indexes[i];
		NvmkvTable *entries = &index->entries;
		NvmkvStorageRow row;
		bool fits = nvmkv_catalog_lookup(index->oid, &row) && row.dboid == MyDatabaseId &&
			nvmkv_catalog_take_collations(&row, entries->tupdesc) &&
			nvmkv_keys_equal(row.keys, row.nkeys, entries->keys, entries->nkeys) &&
			nvmkv_catalog_changed_column(&row, entries->tupdesc) == 0 && nvmkv_registry_has_storage(row.storage_id);
		int old_version = fits ? find_old_version(&row, entries->keys, entries->nkeys) : -1;

		if (fits && old_version < 0)
		{
			entries->storage_id = row.storage_id;
			entries->storage_known = true;
		}
		else if (index->ready)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("index \"%s\" does not fit the rows of its foreign table", get_rel_name(entries->relid)),
					 old_version >= 0
						 ? errdetail("It was stored with version %s of a collation, but the operating system provides version %s.",
									 row.keys[old_version].collation_version,
									 entries->keys[old_version].collation_version)
						 : 0,
					 errhint("Drop it, or make all indexes of the table anew: REINDEX TABLE %s.",
							 quote_qualified_identifier(get_namespace_name(get_rel_namespace(table->relid)),
														get_rel_name(table->relid)))));
	}
}

/* Reads the catalogue into table->storage_id; false when the table has no storage of this database. */
static bool
find_storage(NvmkvTable *table, Relation rel)
{
	NvmkvStorageRow row;

	if (!nvmkv_catalog_lookup(table->relid, &row) || row.dboid != MyDatabaseId)
		return false;
	(void) nvmkv_catalog_take_collations(&row, RelationGetDescr(rel));
	if (!nvmkv_keys_equal(row.keys, row.nkeys, table->keys, table->nkeys))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("definition of foreign table \"%s\" does not fit its stored rows", RelationGetRelationName(rel)),
				 row.nkeys > 0 ? errdetail("The rows were stored with the primary key '%s'.", key_names(table->tupdesc, row.keys, row.nkeys)) : errdetail("The rows were stored without a primary key."),
				 errhint("Undo the change of the option \"%s\" or of the types of its columns, or TRUNCATE the table.", NVMKV_OPTION_PRIMARY_KEY)));
	check_columns(&row, rel);
	if (!nvmkv_registry_has_storage(row.storage_id))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("rows of foreign table \"%s\" are missing", RelationGetRelationName(rel)),
				 errdetail("The files in directory \"nvmkv\" of the data directory, and the container, are not those the rows were stored in."),
				 errhint("Restore them from a backup; or TRUNCATE the table to start anew.")));
	find_index_storages(table);
	table->storage_id = row.storage_id;
	table->storage_known = check_versions(&row, table, rel); /* who comes next may want to write */
	return true;
}

/* Ends the storage there was. */
static void
replace_row(const NvmkvStorageRow *row)
{
	NvmkvStorageRow old;
	bool had_row = nvmkv_catalog_lookup(row->relid, &old);

	nvmkv_catalog_put(row);
	if (had_row && old.dboid == MyDatabaseId)
		nvmkv_registry_end_storage(old.storage_id);
}

/* A new storage for what the row tells of, in the family of the table; ends the one there was. */
static void
replace_storage(NvmkvStorageRow *row, Relation rel, const char *definition)
{
	row->dboid = MyDatabaseId;
	row->storage_id = nvmkv_family_new_storage_id(rel);
	nvmkv_registry_begin_storage(row->storage_id, definition);
	replace_row(row);
}

void
nvmkv_index_new_storage(Relation rel, Oid index_oid)
{
	const NvmkvIndex *index = nvmkv_find_index(nvmkv_table_definition(rel), index_oid);
	const NvmkvTable *entries;
	NvmkvStorageRow row;

	if (index == NULL)
		elog(ERROR, "foreign table \"%s\" has no index with OID %u", RelationGetRelationName(rel), index_oid);
	entries = &index->entries;
	memset(&row, 0, sizeof(row));
	row.relid = index_oid;
	row.nkeys = entries->nkeys;
	memcpy(row.keys, entries->keys, sizeof(NvmkvKeyColumn) * (size_t) entries->nkeys);
	nvmkv_catalog_take_columns(&row, entries->tupdesc);
	replace_storage(&row, rel, NVMKV_NO_DEFINITION);
	CacheInvalidateRelcache(rel);
	CommandCounterIncrement();
}

void
nvmkv_index_take_storage(Relation rel, Oid index_oid, Oid other_oid)
{
	NvmkvStorageRow row;

	if (!nvmkv_catalog_lookup(other_oid, &row))
		elog(ERROR, "index %u has no storage", other_oid);
	nvmkv_catalog_delete(other_oid);
	row.relid = index_oid;
	replace_row(&row);
	CacheInvalidateRelcache(rel);
	CommandCounterIncrement();
}

void
nvmkv_table_new_storage(Relation rel)
{
	const NvmkvTable *table;
	NvmkvStorageRow row;

	(void) nvmkv_engine();
	memset(&row, 0, sizeof(row));
	row.relid = RelationGetRelid(rel);
	row.nkeys = nvmkv_key_resolve(rel, GetForeignTable(row.relid)->options, row.keys);
	nvmkv_catalog_take_columns(&row, RelationGetDescr(rel));
	replace_storage(&row, rel, nvmkv_definition(rel, row.keys, row.nkeys));

	table = nvmkv_table_definition(rel);
	for (int i = 0; i < table->nindexes; i++)
		nvmkv_index_new_storage(rel, table->indexes[i].oid);
}

static void
end_storage(Oid relid)
{
	NvmkvStorageRow row;

	if (!nvmkv_catalog_lookup(relid, &row))
		return;
	nvmkv_catalog_delete(relid);
	if (row.dboid == MyDatabaseId)
		nvmkv_registry_end_storage(row.storage_id);
}

void
nvmkv_table_end_storage(Relation rel)
{
	ListCell *lc;

	(void) nvmkv_engine();
	foreach(lc, RelationGetIndexList(rel))
		end_storage(lfirst_oid(lc));
	end_storage(RelationGetRelid(rel));
	CommandCounterIncrement();
}

/* The first storage of a table, unless another transaction was faster. */
static void
first_storage(Relation rel)
{
	NvmkvStorageRow row;
	bool had_row;

	nvmkv_catalog_lock(RelationGetRelid(rel));
	had_row = nvmkv_catalog_lookup(RelationGetRelid(rel), &row);
	if (had_row && row.dboid == MyDatabaseId)
		return;
	if (had_row)
		ereport(WARNING,
				(errmsg("foreign table \"%s\" starts empty in this database", RelationGetRelationName(rel)),
				 errdetail("The rows of foreign tables are not copied with a database.")));
	nvmkv_table_new_storage(rel);
}

NvmkvTable *
nvmkv_table(Relation rel)
{
	NvmkvTable *table;

	(void) nvmkv_engine();
	table = nvmkv_table_definition(rel);
	if (likely(table->storage_known) || find_storage(table, rel))
		return table;

	if (may_write(rel))
	{
		first_storage(rel);
		table = nvmkv_table_definition(rel);
		if (!table->storage_known && !find_storage(table, rel))
			elog(ERROR, "foreign table \"%s\" has no storage", RelationGetRelationName(rel));
	}
	return table;
}
