/*
 * createas.h
 *	  CREATE TABLE AS and SELECT INTO that make a foreign table.
 */
#ifndef NVMKV_FDW_CREATEAS_H
#define NVMKV_FDW_CREATEAS_H

#include "postgres.h"

#include "fdw/ddl/statement.h"

/*
 * Executes CREATE TABLE AS, SELECT INTO, CREATE MATERIALIZED VIEW, or EXPLAIN of one, whatever table it makes; kinds of
 * tables are as for CREATE TABLE (createtable.h).  False: it is another EXPLAIN.
 */
extern bool nvmkv_create_as(NvmkvStatement *statement);

/* When the library is loaded. */
extern void nvmkv_create_as_init(void);

#endif
