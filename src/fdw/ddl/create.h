/*
 * create.h
 *	  CREATE FOREIGN TABLE of a table of ours.
 */
#ifndef NVMKV_FDW_CREATE_H
#define NVMKV_FDW_CREATE_H

#include "postgres.h"

#include "catalog/objectaddress.h"
#include "nodes/parsenodes.h"

#include "fdw/ddl/statement.h"

/*
 * CREATE FOREIGN TABLE on a server of ours, whole: with storage, sequences of its columns, indexes, the primary key's
 * option and constraint, whichever of them is told.  Errors as of CREATE TABLE, and of CREATE FOREIGN TABLE.  False:
 * the server is not ours.
 */
extern bool nvmkv_create_foreign_table(const NvmkvStatement *statement);

/*
 * Makes a foreign table of a CREATE TABLE that is not analysed yet, with all that the statement says of it.  The tree
 * is changed.  "told": what event triggers are told of.  In nvmkv_statement_execute().
 */
extern void nvmkv_create_parts(const NvmkvStatement *statement, CreateStmt *base, const char *server, List *options,
							   Node *told);

/* The same of a CREATE TABLE that is analysed, or needs no analysis: without what comes before and after the table. */
extern ObjectAddress nvmkv_make_table(CreateStmt *base, const char *server, List *options, const char *query_string,
									  Node *told);

/* The relation a CREATE statement makes, or would make; InvalidOid before. */
extern Oid nvmkv_created_relid(const RangeVar *relation);

/*
 * After the server has made a foreign table: if it is ours it gets its storage, and NOT NULL in key columns.  ERROR
 * 0A000 for a temporary one.
 */
extern void nvmkv_create_finish(Oid relid);

/* After the server has made a partition, ours or not: it takes values away from the default one. */
extern void nvmkv_create_partition_finish(Oid relid);

#endif
