/*
 * alter.h
 *	  ALTER TABLE on our tables, before and after the server does its part.
 */
#ifndef NVMKV_FDW_ALTER_H
#define NVMKV_FDW_ALTER_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "fdw/ddl/statement.h"

typedef struct NvmkvAlter
{
	List *tables;		 /* NvmkvTableBefore, of those that are ours or become partitions */
	List *saved_indexes; /* removed, to be made again */
	List *saved_keys;	 /* foreign keys, also between others' tables and ours */
} NvmkvAlter;

/*
 * Locks what the statement will change as the server would, refuses what would misread stored rows, and remembers
 * how each of our tables looks that the statement reaches (itself, children, a partition to attach).  NULL: none of
 * ours is concerned.  ERROR 55000 if one is and the server has not preloaded the library.
 */
extern NvmkvAlter *nvmkv_alter_begin(const AlterTableStmt *stmt, const char *query_string);

/*
 * After the server's part: new columns get their value in old rows, rows that cannot stay as they are are written anew,
 * new constraints are verified.  The statement is what event triggers for table_rewrite are told of.
 */
extern void nvmkv_alter_finish(const NvmkvAlter *alter, const NvmkvStatement *statement);

#endif
