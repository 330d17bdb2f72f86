/*
 * sweep.c
 *	  Storages whose table or database is gone, although nobody told the engine:
 *	  it was dropped by a server that had not loaded the library, or whose engine
 *	  could not open.
 *
 * A storage is ended only where the list of storages and the catalogues say so
 * in one snapshot.  CREATE, TRUNCATE and DROP change both in one transaction,
 * so that no snapshot sees one change without the other, whether the
 * transaction is running, prepared or undone.  What has come since the
 * snapshot was taken is not in the list; what has gone since is ended twice,
 * which is as good as once.  An update of the extension makes nvmkv.storage
 * anew: it waits, or has been before the snapshot.
 *
 * A storage that nvmkv.storage does not name at all may also be one whose row
 * there was lost, or all of nvmkv.storage, under another name.  As long as
 * there is a table that no row names it is kept, and told.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "fdw/storage/registry.h"
#include "fdw/storage/sweep.h"
#include "fdw/table/catalog.h"
#include "fdw/table/table.h"

List *
nvmkv_sweep_databases(int *ended_out)
{
	List *existing = NIL;
	ListCell *lc;

	*ended_out = 0;
	/* First the list: a database whose storages it has was there before. */
	foreach(lc, nvmkv_registry_databases())
	{
		Oid dboid = lfirst_oid(lc);

		if (SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(dboid)))
			existing = lappend_oid(existing, dboid);
		else
			*ended_out += nvmkv_registry_drop_database(dboid);
	}
	return existing;
}

/* The storages in the list, as a set. */
static HTAB *
set_of_storages(List *ids)
{
	HASHCTL ctl = {.keysize = sizeof(uint64), .entrysize = sizeof(uint64), .hcxt = CurrentMemoryContext};
	HTAB *set = hash_create("nvmkv storages", Max(list_length(ids), 16), &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ListCell *lc;

	foreach(lc, ids)
		(void) hash_search(set, lfirst(lc), HASH_ENTER, NULL);
	return set;
}

/* The table has gone and left its row. */
static void
end_dropped(const NvmkvStoredTable *table, bool has_storage)
{
	NvmkvStorageRow row;

	if (nvmkv_catalog_lookup(table->relid, &row) && row.storage_id == table->storage_id)
		nvmkv_catalog_delete(table->relid);
	if (has_storage)
		nvmkv_registry_end_storage(table->storage_id);
}

/* One of our tables without a row in nvmkv.storage; InvalidOid: there is none. */
static Oid
table_without_row(void)
{
	ListCell *lc;

	foreach(lc, nvmkv_our_relids())
	{
		NvmkvStorageRow row;

		if (!OidIsValid(nvmkv_catalog_relid()) || !nvmkv_catalog_lookup(lfirst_oid(lc), &row))
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

/* Ends what is left in the set; returns how many. */
static int
end_unnamed(HTAB *storages)
{
	int count = (int) hash_get_num_entries(storages);
	HASH_SEQ_STATUS status;
	uint64 *id;
	Oid homeless;

	if (count == 0)
		return 0;
	homeless = table_without_row();
	if (OidIsValid(homeless))
	{
		ereport(LOG,
				(errmsg("nvmkv_fdw keeps the rows of %d foreign tables in database \"%s\" that nothing refers to",
						count, get_database_name(MyDatabaseId)),
				 errdetail("They could be those of foreign table \"%s\", whose rows nothing tells.", get_rel_name(homeless)),
				 OidIsValid(nvmkv_catalog_relid())
					 ? errhint("TRUNCATE or drop that table; the rows are removed at the next start of the server.")
					 : errhint("Give materialized view nvmkv.storage and its schema their names back.  If it was dropped, save the rows with \"nvmkv_dump salvage\" before you drop the tables.")));
		return 0;
	}
	hash_seq_init(&status, storages);
	while ((id = hash_seq_search(&status)) != NULL)
		nvmkv_registry_end_storage(*id);
	return count;
}

int
nvmkv_sweep_tables(void)
{
	Snapshot snapshot;
	HTAB *storages;
	List *tables;
	int count = 0;
	ListCell *lc;

	nvmkv_catalog_hold();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	storages = set_of_storages(nvmkv_registry_storages(snapshot));
	/* One that comes now is none that the snapshot sees. */
	tables = OidIsValid(nvmkv_catalog_relid()) ? nvmkv_catalog_storages(snapshot) : NIL;
	UnregisterSnapshot(snapshot);
	foreach(lc, tables)
	{
		const NvmkvStoredTable *table = lfirst(lc);
		bool has_storage = hash_search(storages, &table->storage_id, HASH_REMOVE, NULL) != NULL;

		switch (get_rel_relkind(table->relid))
		{
			case RELKIND_FOREIGN_TABLE:
			case RELKIND_PARTITIONED_INDEX:
				continue;
			default:
				break;
		}
		end_dropped(table, has_storage);
		count++;
	}
	return count + end_unnamed(storages);
}
