/*
 * alterindex.h
 *	  CREATE INDEX, and ALTER TABLE that adds constraints which are indexes.
 */
#ifndef NVMKV_FDW_ALTERINDEX_H
#define NVMKV_FDW_ALTERINDEX_H

#include "postgres.h"

#include "fdw/ddl/statement.h"

/* CREATE INDEX of a table of ours, whole; false: it is none. */
extern bool nvmkv_create_index(const NvmkvStatement *statement);

/* Does the statement add PRIMARY KEY, UNIQUE or EXCLUDE to a table of ours? */
extern bool nvmkv_adds_index(const AlterTableStmt *stmt);

/* The body of such a statement: alter() runs it without the constraints, and then they are made. */
extern void nvmkv_add_indexes(const NvmkvStatement *statement, void (*alter) (const NvmkvStatement *rest));

/* Indexes of a table of ours get the table's owner. */
extern void nvmkv_indexes_follow_owner(Oid relid);

#endif
