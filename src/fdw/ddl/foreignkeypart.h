/*
 * foreignkeypart.h
 *	  Foreign keys that partitions have from their partitioned tables.
 */
#ifndef NVMKV_FDW_FOREIGNKEYPART_H
#define NVMKV_FDW_FOREIGNKEYPART_H

#include "postgres.h"

#include "fdw/ddl/statement.h"

/*
 * The foreign keys of a partitioned table, and those that reference it, that a new partition has to get from us: all if
 * it is ours, or has partitions of ours, else those of the partitioned table that reference a table of ours.
 */
extern List *nvmkv_keys_to_inherit(Oid parent, bool child_is_ours);

/*
 * Makes the server overlook these foreign keys of the partitioned table, in this transaction, until
 * nvmkv_show_foreign_keys() gets what this has returned.  The caller holds the lock of the command that adds a
 * partition.
 */
extern List *nvmkv_hide_foreign_keys(Oid parent, List *keys);
extern void nvmkv_show_foreign_keys(Oid parent, List *hidden);

/*
 * Gives the new partition its part of each of these keys, and verifies its rows.  adopt: that may be a key which it
 * has, and which says the same.
 */
extern void nvmkv_inherit_foreign_keys(const NvmkvStatement *statement, Oid parent, Oid child, List *keys,
									   bool adopt);

/* The server's hook: a table is no partition any more of the one that it was of. */
extern void nvmkv_partition_has_left(Oid child);

/*
 * ALTER TABLE ATTACH or DETACH PARTITION, if foreign keys with tables of ours are concerned: executes it, and returns
 * true.  alter() does all but that.
 */
extern bool nvmkv_alter_partition_keys(const NvmkvStatement *statement,
									   void (*alter) (const NvmkvStatement *statement));

#endif
