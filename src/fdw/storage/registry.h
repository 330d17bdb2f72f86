/*
 * registry.h
 *	  Which storages belong to a database: kept in the engine, because DROP
 *	  DATABASE is run from another database and cannot read its catalogues.
 */
#ifndef NVMKV_FDW_REGISTRY_H
#define NVMKV_FDW_REGISTRY_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/snapshot.h"

/*
 * A storage of this database begins, has another definition (definition.h), or ends with the current transaction;
 * ending drops its rows.  While the column family cannot be used, the entry stays, as one that has ended, with a
 * warning: a later sweep (sweep.h) drops the rows.
 */
#define NVMKV_NO_DEFINITION "" /* of an index: a reader without a server needs none */
extern void nvmkv_registry_begin_storage(uint64 storage_id, const char *definition);
extern void nvmkv_registry_describe(uint64 storage_id, const char *definition);
extern void nvmkv_registry_end_storage(uint64 storage_id);

/*
 * For who accepts that the storage's entry is lost: damage of it is forgotten, and where there is none any more one is
 * written with the current transaction.
 */
extern void nvmkv_registry_renew_storage(uint64 storage_id, const char *definition);

/*
 * Is there an entry, whoever's, or damage where it would be?  None for a storage that nvmkv.storage names: the
 * engine's files are not those it was made in.
 */
extern bool nvmkv_registry_has_storage(uint64 storage_id);

/*
 * Is a storage of any database in this column family that has not ended?  Of those that committed transactions have
 * left.
 */
extern bool nvmkv_registry_has_family(unsigned family);

/* Ends all storages of a database that the current transaction drops, or another has; returns how many. */
extern int nvmkv_registry_drop_database(Oid dboid);

/* Storage ids (uint64 *) of this database that the snapshot sees, palloc'd. */
extern List *nvmkv_registry_storages(Snapshot snapshot);

/* OIDs of databases that have storages, existing or not. */
extern List *nvmkv_registry_databases(void);

#endif
