/*
 * indexsave.h
 *	  Indexes that are removed before a statement and made again after it.
 */
#ifndef NVMKV_FDW_INDEXSAVE_H
#define NVMKV_FDW_INDEXSAVE_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "fdw/ddl/statement.h"

/*
 * Removes the indexes that depend on the column of the name, with their constraints: of tables of ours, and of
 * partitioned tables with those of their partitions; relids are those of the statement, parents first.  Returns what
 * the functions below need.  An index of a partition whose parent is not among the tables stays, and the server refuses
 * the statement.  ERROR 2BP01: something else depends on one.
 */
extern List *nvmkv_indexes_save(List *relids, const char *column);

/* Is the primary key of the table one of them, or goes with one of them? */
extern bool nvmkv_saved_key(List *saved_indexes, Oid relid);

/* Makes them again, with their names and comments, on the tables as they are now. */
extern void nvmkv_indexes_restore(const NvmkvStatement *statement, List *saved_indexes);

#endif
