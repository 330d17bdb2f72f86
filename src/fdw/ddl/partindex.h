/*
 * partindex.h
 *	  Indexes of partitioned tables that have partitions of ours.
 */
#ifndef NVMKV_FDW_PARTINDEX_H
#define NVMKV_FDW_PARTINDEX_H

#include "postgres.h"

#include "fdw/ddl/statement.h"

/*
 * Makes the server overlook the indexes of a partitioned table, in this transaction, until nvmkv_show_indexes(): beside
 * unique ones it would refuse a foreign partition, itself or below the one it adds, and leave it out of the others.
 * Returns them.  The caller holds the lock of the command that adds the partition.
 */
extern List *nvmkv_hide_indexes(Oid parent);
extern void nvmkv_show_indexes(Oid parent, List *hidden);

/*
 * Gives a new partition, of ours or with such below it, an index for each of its parent's that has none in it, and
 * makes them partitions of those.  Errors as of CREATE INDEX.
 */
extern void nvmkv_partition_indexes(Oid parent, Oid child, const char *query_string);

/*
 * CREATE INDEX, or ALTER TABLE ADD PRIMARY KEY or UNIQUE alone, of a partitioned table with partitions of ours below
 * it: executes it, and returns true.
 */
extern bool nvmkv_index_partitions(const NvmkvStatement *statement);

/*
 * ALTER TABLE ATTACH PARTITION of a table of ours, or of one with such below it; the same.  alter() runs what the
 * server does.
 */
extern bool nvmkv_attach_partition(const NvmkvStatement *statement, void (*alter) (const NvmkvStatement *rest));

#endif
