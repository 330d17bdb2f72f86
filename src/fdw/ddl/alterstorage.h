/*
 * alterstorage.h
 *	  ALTER TABLE of what is about a heap's files, on foreign tables.
 */
#ifndef NVMKV_FDW_ALTERSTORAGE_H
#define NVMKV_FDW_ALTERSTORAGE_H

#include "postgres.h"

#include "nodes/plannodes.h"

/*
 * ALTER TABLE of a table of ours, in a copy of the statement without what means nothing for it: storage parameters, a
 * tablespace, SET LOGGED, SET WITHOUT CLUSTER.  They are checked as those of a heap table are.  Else the statement
 * itself.  relid_out: that table, which is the user's, and locked for the whole statement; or 0.
 */
extern PlannedStmt *nvmkv_settle_storage(PlannedStmt *pstmt, Oid *relid_out);

/*
 * After ALTER TABLE, if nvmkv_settle_storage() has changed it: sets those options of the table that are storage
 * parameters of a heap.  Takes the statement as it was, and the table.
 */
extern void nvmkv_settle_storage_finish(const AlterTableStmt *stmt, Oid relid);

/* Storage parameters are checked as those of a heap table that are set, or reset. */
extern void nvmkv_check_storage_parameters(List *options, bool reset);

#endif
