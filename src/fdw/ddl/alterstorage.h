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
 * itself.
 */
extern PlannedStmt *nvmkv_settle_storage(PlannedStmt *pstmt);

/* Storage parameters are checked as those of a heap table that are set, or reset. */
extern void nvmkv_check_storage_parameters(List *options, bool reset);

#endif
