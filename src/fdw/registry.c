/*
 * registry.c
 *	  Which storages belong to a database.
 *
 * An entry is a row of the engine like any other, tagged with the transaction
 * that wrote it: key = REGISTRY_STORAGE_ID (8 bytes big-endian), OID of the
 * database (4), storage id (8), without a value.  The prefix is larger than
 * any position in the log, so that no table ever has it.
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

#include "fdw/engine.h"
#include "fdw/family.h"
#include "fdw/registry.h"
#include "fdw/visibility.h"
#include "fdw/write.h"

#define REGISTRY_STORAGE_ID PG_UINT64_MAX
#define SCAN_BATCH_ROWS 256
#define SCAN_BATCH_BYTES (64 * 1024)

typedef struct RegistryKey
{
	uint64 prefix;
	uint32 dboid;
	uint64 storage_id;
} pg_attribute_packed() RegistryKey;

StaticAssertDecl(sizeof(RegistryKey) == 20, "a key is its bytes");

/* Bytes before the storage id. */
#define DATABASE_PREFIX_BYTES 12

static RegistryKey
make_key(Oid dboid, uint64 storage_id)
{
	RegistryKey key = {pg_hton64(REGISTRY_STORAGE_ID), pg_hton32(dboid), pg_hton64(storage_id)};

	return key;
}

static void
write_entry(unsigned type, Oid dboid, uint64 storage_id)
{
	NvmkvDb *db = nvmkv_engine();
	RegistryKey key = make_key(dboid, storage_id);

	nvmkv_write_begin();
	nvmkv_write_put(type, nvmkv_slice(&key, sizeof(key)), GetCurrentFullTransactionId(), GetCurrentCommandId(true),
					nvmkv_slice(NULL, 0));
	while (!nvmkv_write_finish(db, NULL))
		nvmkv_write_wait_room(db, NULL);
}

static void
end_storage(Oid dboid, uint64 storage_id)
{
	nvmkv_storage_drop(storage_id);
	write_entry(NVMKV_TYPE_TAGGED_DELETION, dboid, storage_id);
}

void
nvmkv_registry_begin_storage(uint64 storage_id)
{
	write_entry(NVMKV_TYPE_TAGGED_VALUE, MyDatabaseId, storage_id);
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

	nvmkv_check_status(nvmkv_versions(nvmkv_engine(), nvmkv_slice(&key, sizeof(key)), note_version, &found),
					   "reading the list of storages", NULL);
	return found;
}

/* Storage ids (uint64 *) of the entries in [lower, upper), palloc'd. */
static List *
storages_between(NvmkvScan *scan, RegistryKey lower, RegistryKey upper, const NvmkvVisibility *visibility)
{
	List *ids = NIL;

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
			return ids;
		for (unsigned i = 0; i < count; i++)
		{
			uint64 *id = palloc(sizeof(uint64));

			if (rows[i].key.size != sizeof(RegistryKey))
				ereport(ERROR,
						(errcode(ERRCODE_DATA_CORRUPTED),
						 errmsg("malformed entry in the list of storages")));
			memcpy(id, rows[i].key.data + DATABASE_PREFIX_BYTES, sizeof(uint64));
			*id = pg_ntoh64(*id);
			ids = lappend(ids, id);
		}
	}
}

/* The same, of those that the latest snapshot sees. */
static List *
current_storages(RegistryKey lower, RegistryKey upper)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	NvmkvScan *volatile scan = NULL;
	NvmkvVisibility visibility;
	List *ids = NIL;

	nvmkv_visibility_init(&visibility, snapshot, NULL);
	PG_TRY();
	{
		NvmkvScan *new_scan = NULL;

		nvmkv_check_status(nvmkv_scan_create(nvmkv_engine(), &new_scan), "reading the list of storages", NULL);
		scan = new_scan;
		ids = storages_between(new_scan, lower, upper, &visibility);
	}
	PG_FINALLY();
	{
		nvmkv_scan_destroy(scan);
	}
	PG_END_TRY();
	UnregisterSnapshot(snapshot);
	return ids;
}

void
nvmkv_registry_drop_database(Oid dboid)
{
	List *ids = current_storages(make_key(dboid, 0), make_key(dboid, PG_UINT64_MAX));
	ListCell *lc;

	foreach(lc, ids)
		end_storage(dboid, *(uint64 *) lfirst(lc));
}

bool
nvmkv_registry_has_family(unsigned family)
{
	List *ids = current_storages(make_key(0, 0), make_key(PG_UINT32_MAX, PG_UINT64_MAX));
	ListCell *lc;

	foreach(lc, ids)
		if (nvmkv_family_of_storage(*(uint64 *) lfirst(lc)) == family)
			return true;
	return false;
}
