/*
 * migrate.h
 *	  ALTER TABLE ... SET ACCESS METHOD that makes a heap table one of ours, or the other way round.
 */
#ifndef NVMKV_FDW_MIGRATE_H
#define NVMKV_FDW_MIGRATE_H

#include "postgres.h"

#include "fdw/ddl/statement.h"

/*
 * Executes the statement if it makes one kind of table of the other, or would make one of ours what it is; false: it is
 * the server's.  The table keeps its OID, and with it what refers to it: views, triggers, privileges, comments, owned
 * sequences, statistics, partitions.  Indexes and constraints keep theirs; foreign keys are made again.  Rows are
 * copied as this transaction's, so that snapshots which are older see none.  ERROR 0A000 naming what the table has and
 * foreign tables cannot have.
 */
extern bool nvmkv_set_access_method(const NvmkvStatement *statement);

#endif
