/*
 * alterindex.h
 *	  CREATE INDEX, DROP INDEX, and ALTER TABLE that adds constraints which are indexes.
 */
#ifndef NVMKV_FDW_ALTERINDEX_H
#define NVMKV_FDW_ALTERINDEX_H

#include "postgres.h"

#include "fdw/ddl/statement.h"

/* CREATE INDEX of a table of ours, whole; false: it is none. */
extern bool nvmkv_create_index(const NvmkvStatement *statement);

/*
 * DROP INDEX CONCURRENTLY of an index of a table of ours, which the server takes for one of a partitioned table, as one
 * without CONCURRENTLY, in a copy of the statement.  Any other DROP as it is.  ERROR as of such a statement.
 */
extern PlannedStmt *nvmkv_settle_drop_index(PlannedStmt *pstmt, bool top_level);

/* Does the statement add PRIMARY KEY, UNIQUE or EXCLUDE to a table of ours? */
extern bool nvmkv_adds_index(const AlterTableStmt *stmt);

/* The body of such a statement: alter() runs it without the constraints, and then they are made. */
extern void nvmkv_add_indexes(const NvmkvStatement *statement, void (*alter) (const NvmkvStatement *rest));

/* Indexes of a table of ours get the table's owner. */
extern void nvmkv_indexes_follow_owner(Oid relid);

#endif
