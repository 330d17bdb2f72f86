/*
 * useindex.h
 *	  ALTER TABLE ADD CONSTRAINT ... USING INDEX of one of our tables.
 */
#ifndef NVMKV_FDW_USEINDEX_H
#define NVMKV_FDW_USEINDEX_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/*
 * Makes a unique index that there is a constraint, which gives it its name.  Returns the index.  Errors as on a heap
 * table; 0A000 for a primary key, which no such index can be.  The caller holds the lock of ALTER TABLE.
 */
extern Oid nvmkv_use_index(Oid relid, const Constraint *constraint);

#endif
