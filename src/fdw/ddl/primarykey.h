/*
 * primarykey.h
 *	  A constraint PRIMARY KEY beside the option that tells a table's key.
 */
#ifndef NVMKV_FDW_PRIMARYKEY_H
#define NVMKV_FDW_PRIMARYKEY_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/rel.h"

/*
 * Before a constraint PRIMARY KEY is made.  A table without rows that has no key gets it: the option is written, the
 * columns become NOT NULL, and rows will go to a new storage.  A table that has that key already has its constraint
 * renamed if the statement names it otherwise, or loses it if it does not look the same.  The statement gets the
 * option's directions.  Returns the constraint's index when it serves, InvalidOid if it is to be made.
 *
 * ERROR 42P16: the table has another key; 0A000: rows are in its way.  The caller holds the lock of ALTER TABLE.
 */
extern Oid nvmkv_primary_key_settle(Relation rel, IndexStmt *stmt);

/* The columns of a constraint PRIMARY KEY as those of the option: a list of NvmkvKeySpec. */
extern List *nvmkv_primary_key_specs(const IndexStmt *stmt);

/* Removes the constraint, if there is one; the option stays. */
extern void nvmkv_primary_key_hide(Relation rel);

#endif
