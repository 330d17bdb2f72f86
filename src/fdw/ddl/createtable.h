/*
 * createtable.h
 *	  CREATE TABLE that makes a foreign table.
 */
#ifndef NVMKV_FDW_CREATETABLE_H
#define NVMKV_FDW_CREATETABLE_H

#include "postgres.h"

#include "catalog/objectaddress.h"
#include "nodes/parsenodes.h"

#include "fdw/ddl/statement.h"

/*
 * CREATE TABLE that asks for our access method by name or default, or by that of the partitioned table it is a
 * partition of: executes it, and returns true.  A table that cannot be ours and was not asked to be becomes one of a
 * heap, in a copy of the statement.  ERROR 0A000 for what cannot be ours and was asked to be.
 */
extern bool nvmkv_create_table(NvmkvStatement *statement);

/*
 * Will CREATE TABLE or CREATE FOREIGN TABLE (which begins with such a node) make a table of ours?  ERROR 0A000 as
 * nvmkv_create_table().
 */
extern bool nvmkv_makes_our_table(const CreateStmt *stmt);

/*
 * Makes the foreign table of server nvmkv that a CREATE TABLE without keys, sequences and the like is about, with its
 * storage.  Errors as of CREATE TABLE and of CREATE FOREIGN TABLE.  "told": what event triggers are told.
 */
extern ObjectAddress nvmkv_make_default_table(CreateStmt *create, Node *told);

/* The name of the server that tables are on which are made without one.  ERROR: there is none, or it is not ours. */
extern char *nvmkv_default_server(void);

#endif
