/*
 * foreignkeyclone.h
 *	  What tables have of the foreign keys that reference them.
 */
#ifndef NVMKV_FDW_FOREIGNKEYCLONE_H
#define NVMKV_FDW_FOREIGNKEYCLONE_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* The foreign keys that reference a table, those included that belong to others. */
extern List *nvmkv_keys_that_reference(Oid relid);

/*
 * Gives the new partition, and its own partitions, their parts of a foreign key that references its parent.  The
 * partition has its indexes, and is locked so that nobody writes to it; so is the table that the key is of.
 */
extern void nvmkv_clone_foreign_key(Oid constraint, Oid partition);

/*
 * A partition has left its partitioned table: its foreign key is no part of that one's any more, and needs what that
 * has on the table that is referenced.  Takes ShareRowExclusiveLock on this and its partitions, as the server does.
 */
extern void nvmkv_foreign_key_on_its_own(Oid constraint);

#endif
