/*
 * catalog.h
 *	  nvmkv.storage: which storage the rows of a foreign table, or the entries of
 *	  an index, are in, and the key they were written with.
 *
 * A row is changed only by who holds AccessExclusiveLock on its foreign table,
 * or, while there is none yet, the lock of nvmkv_catalog_lock.  Changes are
 * seen at once by the transaction that makes them, and by others when it has
 * committed.
 */
#ifndef NVMKV_FDW_CATALOG_H
#define NVMKV_FDW_CATALOG_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "fdw/key/layout.h"

/* What the extension makes is there. */
#define NVMKV_CATALOG_SCHEMA "nvmkv"

typedef struct NvmkvStorageRow
{
	Oid relid;
	Oid dboid; /* not MyDatabaseId: this database was copied, the storage is another's */
	uint64 storage_id;
	int nkeys;
	/* Of the keys: attnum, how.type, collation, descending, collation_version; the rest is zero. */
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	/* Types of all columns by attribute number, InvalidOid: dropped; palloc'd. */
	int ncolumns;
	Oid *column_types;
} NvmkvStorageRow;

/* Puts the columns, as they are now, into the row. */
extern void nvmkv_catalog_take_columns(NvmkvStorageRow *row, TupleDesc desc);

/*
 * The first column that rows of the storage were not written with, or with another type; 0: all are as they were.
 * Dropped ones do not count: they read as NULL.
 */
extern AttrNumber nvmkv_catalog_changed_column(const NvmkvStorageRow *row, TupleDesc desc);

/*
 * OIDs of collations in a row are those of the cluster it was written in.  Where pg_upgrade has brought it, row and
 * definition have come together, and the collations of the definition are those that are meant: puts them in.  True.
 */
extern bool nvmkv_catalog_take_collations(NvmkvStorageRow *row, TupleDesc desc);

/* The catalogue's OID; InvalidOid when the extension is not (any more) in this database. */
extern Oid nvmkv_catalog_relid(void);

/*
 * Keeps an update of the extension, which makes the catalogue anew, away until the end of the transaction.  Who goes by
 * a snapshot takes it after that: one from before the update sees nothing in the catalogue that it has made.
 */
extern void nvmkv_catalog_hold(void);

/* Is this the extension's own script, which may change the catalogue? */
extern bool nvmkv_catalog_is_updated(void);

/* Serialises the first assignment of a storage to a table, until the end of the transaction. */
extern void nvmkv_catalog_lock(Oid relid);

extern bool nvmkv_catalog_lookup(Oid relid, NvmkvStorageRow *row_out);

/*
 * Inserts or replaces the row of row->relid and invalidates what is cached of the table.  55000 for what the catalogue
 * of version 1.0 has no place for.
 */
extern void nvmkv_catalog_put(const NvmkvStorageRow *row);

/* The row, if there was one, is gone. */
extern void nvmkv_catalog_delete(Oid relid);

/* The storages of this database that the snapshot sees: NvmkvStoredTable *, palloc'd. */
typedef struct NvmkvStoredTable
{
	Oid relid;
	uint64 storage_id;
} NvmkvStoredTable;

extern List *nvmkv_catalog_storages(Snapshot snapshot);

#endif
