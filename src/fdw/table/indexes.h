/*
 * indexes.h
 *	  What the wrapper knows of the indexes of a foreign table.
 */
#ifndef NVMKV_FDW_INDEXES_H
#define NVMKV_FDW_INDEXES_H

#include "postgres.h"

#include "utils/rel.h"

#include "fdw/key/layout.h"

/*
 * Sets table->indexes, in the current memory context, from the catalogues: all indexes that are there but one that is
 * the table itself.  Entries have no storage yet (storage.h).  ERROR 0A000: a column cannot be in
 * an index of ours.
 */
extern void nvmkv_describe_indexes(NvmkvTable *table, Relation rel);

/*
 * Is the index, of the catalogue, that of a primary key which is the order of rows, and has no entries?  A primary key
 * that is DEFERRABLE is not: rows are in the order of their making then, and its index is one like others.
 */
extern bool nvmkv_index_is_table(Relation index);

/* The table's index with this OID, NULL: it has none. */
extern NvmkvIndex *nvmkv_find_index(const NvmkvTable *table, Oid oid);

/* Of whose keys the ranges of a scan are that goes by this index; InvalidOid: by the table's key.  It must be there. */
extern const NvmkvTable *nvmkv_keyed_by(const NvmkvTable *table, Oid oid);

/*
 * Has the snapshot of a reader not been taken before the index was made?  Of an index that is valid: then it has all
 * rows that this transaction's snapshots see.
 */
extern bool nvmkv_index_is_old_enough(Oid oid);

#endif
