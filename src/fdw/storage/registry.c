/*
 * registry.c
 *	  Which storages belong to a database.
 *
 * An entry is a row of the engine like any other, tagged with the transaction
 * that wrote it: key = NVMKV_REGISTRY_STORAGE_ID (8 bytes big-endian), OID of the
 * database (4), storage id (8); value = the definition of its table, or nothing when that was dropped or truncated
 * while the rows could not be reached.  The prefix is larger than any position in the log, so that no table ever has
 * it.
 *
 * Nobody else writes an entry's key: a storage is made by one transaction, and
 * ended by one that holds AccessExclusiveLock on the table, or on the database.
 * So no latch is needed.
 *
 * A database that is a copy has rows of nvmkv.storage that name the storages
 * of its original.  It has no entries here for them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/snapmgr.h"

#include "fdw/host/family.h"
#include "fdw/host/ready.h"
#include "fdw/host/status.h"
#include "fdw/storage/registry.h"
#include "fdw/txn/visibility.h"
#include "fdw/txn/write.h"

#define SCAN_BATCH_ROWS 256
#define SCAN_BATCH_BYTES (64 * 1024)

typedef struct RegistryKey
{
	uint64 prefix;
	uint32 dboid;
	uint64 storage_id;
} pg_attribute_packed() RegistryKey;

StaticAssertDecl(sizeof(RegistryKey) == 20, "a key is its bytes");

typedef struct RegistryEntry
{
	Oid dboid;
	uint64 storage_id;
	bool ended; /* all but its rows */
} RegistryEntry;

static RegistryKey
make_key(Oid dboid, uint64 storage_id)
{
	RegistryKey key = {pg_hton64(NVMKV_REGISTRY_STORAGE_ID), pg_hton32(dboid), pg_hton64(storage_id)};

	return key;
}

static void
write_entry(unsigned type, Oid dboid, uint64 storage_id, const char *definition)
{
	NvmkvDb *db = nvmkv_engine();
	RegistryKey key = make_key(dboid, storage_id);

	nvmkv_write_begin();
	nvmkv_write_put(type, nvmkv_slice(&key, sizeof(key)), GetCurrentFullTransactionId(), GetCurrentCommandId(true),
					nvmkv_slice(definition, strlen(definition)));
	while (!nvmkv_write_finish(db, NULL))
		nvmkv_write_wait_room(db, NULL);
}

/*
 * Where the storage's family cannot be used, the entry stays, without a definition: a later start's sweep, which can,
 * ends the storage.
 */
static void
end_storage(Oid dboid, uint64 storage_id)
{
	NvmkvDb *family;
	NvmkvStatus status = nvmkv_family(nvmkv_engine(), nvmkv_family_of_storage(storage_id), &family);

	if (status != NVMKV_OK && status != NVMKV_NOT_FOUND)
	{
		ereport(WARNING,
				(errmsg("rows of a foreign table that was dropped or truncated keep their space for now"),
				 errdetail("%s", nvmkv_error()->text),
				 errhint("They are removed by the next start with which the column family can be used, or with the family (nvmkv.drop_column_family()).")));
		write_entry(NVMKV_TYPE_TAGGED_VALUE, dboid, storage_id, "");
		return;
	}
	/* Rows that were in a family that is no more went with it. */
	if (status == NVMKV_OK)
		nvmkv_storage_drop(storage_id);
	write_entry(NVMKV_TYPE_TAGGED_DELETION, dboid, storage_id, "");
}

void
nvmkv_registry_begin_storage(uint64 storage_id, const char *definition)
{
	write_entry(NVMKV_TYPE_TAGGED_VALUE, MyDatabaseId, storage_id, definition);
}

void
nvmkv_registry_describe(uint64 storage_id, const char *definition)
{
	write_entry(NVMKV_TYPE_TAGGED_VALUE, MyDatabaseId, storage_id, definition);
}

void
nvmkv_registry_end_storage(uint64 storage_id)
{
	end_storage(MyDatabaseId, storage_id);
}

static bool
note_version(void *ctx, const NvmkvVersion *version)
{
	*(bool *) ctx = true;
	return false;
}

bool
nvmkv_registry_has_storage(uint64 storage_id)
{
	RegistryKey key = make_key(MyDatabaseId, storage_id);
	bool found = false;
	NvmkvStatus status = nvmkv_versions(nvmkv_engine(), nvmkv_slice(&key, sizeof(key)), note_version, &found);

	/* Damage of the list is none of the tables: what is asked for is there, nvmkv.storage says so. */
	if (status == NVMKV_CORRUPTION)
		return true;
	nvmkv_check_status(status, "reading the list of storages", NULL);
	return found;
}

void
nvmkv_registry_renew_storage(uint64 storage_id, const char *definition)
{
	RegistryKey key = make_key(MyDatabaseId, storage_id);
	RegistryKey next = make_key(MyDatabaseId, storage_id + 1);
	bool found = false;
	NvmkvStatus status = nvmkv_versions(nvmkv_engine(), nvmkv_slice(&key, sizeof(key)), note_version, &found);

	if (status == NVMKV_CORRUPTION)
		status = nvmkv_forget_damage(nvmkv_engine(), nvmkv_slice(&key, sizeof(key)), nvmkv_slice(&next, sizeof(next)));
	nvmkv_check_status(status, "accepting damage in the list of storages", NULL);
	if (!nvmkv_registry_has_storage(storage_id))
		nvmkv_registry_begin_storage(storage_id, definition);
}

/* Entries (RegistryEntry *) in [lower, upper), palloc'd. */
static List *
entries_between(NvmkvScan *scan, RegistryKey lower, RegistryKey upper, const NvmkvVisibility *visibility)
{
	List *entries = NIL;

	nvmkv_check_status(nvmkv_scan_start(scan, nvmkv_slice(&lower, sizeof(lower)), nvmkv_slice(&upper, sizeof(upper)),
										false, &visibility->engine),
					   "reading the list of storages", NULL);
	for (;;)
	{
		const NvmkvScanRow *rows;
		unsigned count;

		CHECK_FOR_INTERRUPTS();
		nvmkv_check_status(nvmkv_scan_batch(scan, SCAN_BATCH_ROWS, SCAN_BATCH_BYTES, &rows, &count),
						   "reading the list of storages", NULL);
		if (count == 0)
			return entries;
		for (unsigned i = 0; i < count; i++)
		{
			RegistryEntry *entry = palloc(sizeof(RegistryEntry));
			RegistryKey key;

			if (rows[i].key.size != sizeof(RegistryKey))
				ereport(ERROR,
						(errcode(ERRCODE_DATA_CORRUPTED),
						 errmsg("malformed entry in the list of storages")));
			memcpy(&key, rows[i].key.data, sizeof(key));
			entry->dboid = pg_ntoh32(key.dboid);
			entry->storage_id = pg_ntoh64(key.storage_id);
			entry->ended = rows[i].value.size == 0;
			entries = lappend(entries, entry);
		}
	}
}

/* The same, of a database, or of all (InvalidOid), that the snapshot sees. */
static List *
visible_entries(Oid dboid, Snapshot snapshot)
{
	RegistryKey lower = make_key(dboid, 0);
	RegistryKey upper = make_key(OidIsValid(dboid) ? dboid : PG_UINT32_MAX, PG_UINT64_MAX);
	NvmkvScan *volatile scan = NULL;
	NvmkvVisibility visibility;
	List *entries = NIL;

	nvmkv_visibility_init(&visibility, snapshot, NULL);
	PG_TRY();
	{
		NvmkvScan *new_scan = NULL;

		nvmkv_check_status(nvmkv_scan_create(nvmkv_engine(), &new_scan), "reading the list of storages", NULL);
		scan = new_scan;
		entries = entries_between(new_scan, lower, upper, &visibility);
	}
	PG_FINALLY();
	{
		nvmkv_scan_destroy(scan);
	}
	PG_END_TRY();
	return entries;
}

static List *
current_entries(Oid dboid)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	List *entries = visible_entries(dboid, snapshot);

	UnregisterSnapshot(snapshot);
	return entries;
}

int
nvmkv_registry_drop_database(Oid dboid)
{
	List *entries = current_entries(dboid);
	ListCell *lc;

	foreach(lc, entries)
		end_storage(dboid, ((RegistryEntry *) lfirst(lc))->storage_id);
	return list_length(entries);
}

bool
nvmkv_registry_has_family(unsigned family)
{
	ListCell *lc;

	foreach(lc, current_entries(InvalidOid))
	{
		const RegistryEntry *entry = lfirst(lc);

		if (!entry->ended && nvmkv_family_of_storage(entry->storage_id) == family)
			return true;
	}
	return false;
}

List *
nvmkv_registry_storages(Snapshot snapshot)
{
	List *ids = NIL;
	ListCell *lc;

	foreach(lc, visible_entries(MyDatabaseId, snapshot))
		ids = lappend(ids, &((RegistryEntry *) lfirst(lc))->storage_id);
	return ids;
}

List *
nvmkv_registry_databases(void)
{
	List *databases = NIL;
	ListCell *lc;

	/* In the order of keys. */
	foreach(lc, current_entries(InvalidOid))
	{
		const RegistryEntry *entry = lfirst(lc);

		if (databases == NIL || llast_oid(databases) != entry->dboid)
			databases = lappend_oid(databases, entry->dboid);
	}
	return databases;
}
