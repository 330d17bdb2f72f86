/*
 * alter.h
 *	  ALTER TABLE on our tables, before and after the server does its part.
 */
#ifndef NVMKV_FDW_ALTER_H
#define NVMKV_FDW_ALTER_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/rel.h"

/*
 * Locks what the statement will change as the server would, refuses what would misread stored rows, and remembers
 * how each of our tables looks that the statement reaches (itself, children, a partition to attach).  NIL: none of
 * ours is concerned.  ERROR 55000 if one is and the server has not preloaded the library.
 */
extern List *nvmkv_alter_begin(AlterTableStmt *stmt);

/*
 * After the server's part: new columns get their value in old rows, new constraints are verified, a new key starts a
 * new storage.
 */
extern void nvmkv_alter_finish(List *alters);

#endif
