/*
 * foreignkeyadd.h
 *	  A foreign key that is added, with our tables lent to the server.
 */
#ifndef NVMKV_FDW_FOREIGNKEYADD_H
#define NVMKV_FDW_FOREIGNKEYADD_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "fdw/ddl/statement.h"

/* OIDs of the foreign keys that a table has, those included that belong to others. */
extern List *nvmkv_foreign_keys(Oid relid);

/* FormData_pg_constraint of the foreign keys that these tables have, or that reference them: copies. */
extern List *nvmkv_foreign_key_rows(List *relids);

/*
 * Tables of ours that a foreign key of this table is of, or one that references it: itself, or its partitions, which
 * are locked then.
 */
extern List *nvmkv_foreign_key_tables(Oid relid);

/*
 * Adds a foreign key to a table, which or whose partitions may be ours, and verifies its rows unless key says not to.
 * Locks tables as the server does.  Returns the constraint.
 */
extern Oid nvmkv_foreign_key_add(const NvmkvStatement *statement, const RangeVar *relation, Constraint *key);

/* The server's part of such a change: ALTER TABLE with this one command. */
extern void nvmkv_foreign_key_by_server(const NvmkvStatement *statement, const RangeVar *relation, AlterTableCmd *cmd);

#endif
