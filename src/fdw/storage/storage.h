/*
 * storage.h
 *	  The storage of a foreign table: where its rows are.
 */
#ifndef NVMKV_FDW_STORAGE_H
#define NVMKV_FDW_STORAGE_H

#include "postgres.h"

#include "utils/rel.h"

#include "fdw/table/table.h"

/*
 * The table's description (table.h) with its storage.  A table without one (created while the library was absent, or
 * in a copied database) gets one if the caller holds RowExclusiveLock or more, that is, may write; otherwise storage_id
 * is 0, which nothing is stored under: the table reads as empty.  Errors: library not preloaded or engine not open
 * (nvmkv_engine), catalogue and definition disagree.
 */
extern NvmkvTable *nvmkv_table(Relation rel);

/*
 * Gives the table and its indexes new, empty storages and freezes its key columns as they are defined now; what it had
 * is dropped, all with the current transaction.  The caller keeps others from writing to the table:
 * AccessExclusiveLock, or no storage yet and nvmkv_catalog_lock.
 */
extern void nvmkv_table_new_storage(Relation rel);

/* Ends the storages of the table and its indexes, with the current transaction.  REQUIRES AccessExclusiveLock. */
extern void nvmkv_table_end_storage(Relation rel);

/* A new storage for one index of the table.  Nobody writes to the table meanwhile, or the index is not ready. */
extern void nvmkv_index_new_storage(Relation rel, Oid index_oid);

/*
 * The index gets the storage of another one that is like it, which has none then; what it had is dropped, with the
 * current transaction.  REQUIRES AccessExclusiveLock on the table.
 */
extern void nvmkv_index_take_storage(Relation rel, Oid index_oid, Oid other_oid);

#endif
