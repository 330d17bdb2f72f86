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
extern List *nvmkv_alter_begin(const AlterTableStmt *stmt, const char *query_string);

/*
 * After the server's part: new columns get their value in old rows, rows that cannot stay as they are are written anew,
 * new constraints are verified.  The statement is what event triggers for table_rewrite are told of.
 */
extern void nvmkv_alter_finish(List *alters, const AlterTableStmt *stmt);

#endif
