/*
 * foreignkey.h
 *	  Foreign keys of our tables, on either side.
 */
#ifndef NVMKV_FDW_FOREIGNKEY_H
#define NVMKV_FDW_FOREIGNKEY_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "fdw/ddl/statement.h"

/*
 * Does ALTER TABLE, of whatever table, add or alter a foreign key that references or is of one of our tables, or
 * validate one of ours?  Takes no locks.
 */
extern bool nvmkv_concerns_foreign_key(const AlterTableStmt *stmt);

/*
 * Executes such a statement: alter does all but that, and then foreign keys are added, altered and validated.  Locks
 * both tables as the server does.  As part of nvmkv_statement_execute().
 */
extern void nvmkv_alter_foreign_keys(const NvmkvStatement *statement, void (*alter) (const NvmkvStatement *statement));

#endif
