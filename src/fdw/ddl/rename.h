/*
 * rename.h
 *	  Columns of our tables that get another name, and domains of them that are
 *	  altered.
 */
#ifndef NVMKV_FDW_RENAME_H
#define NVMKV_FDW_RENAME_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Our tables whose columns the statement renames.  Takes no locks. */
extern List *nvmkv_renamed_tables(const RenameStmt *stmt);

/* After the server has renamed: options that name the column follow. */
extern void nvmkv_rename_finish(const RenameStmt *stmt);

/* The domain that the statement alters. */
extern Oid nvmkv_altered_domain(const AlterDomainStmt *stmt);

/* After the server has altered it: rows of our tables are verified.  ERROR as ALTER DOMAIN. */
extern void nvmkv_alter_domain_finish(const AlterDomainStmt *stmt);

#endif
