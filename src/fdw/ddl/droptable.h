/*
 * droptable.h
 *	  DROP TABLE of foreign tables.
 */
#ifndef NVMKV_FDW_DROPTABLE_H
#define NVMKV_FDW_DROPTABLE_H

#include "postgres.h"

#include "fdw/ddl/statement.h"

/* Executes DROP TABLE, of all its tables, if one of them is ours; false: neither. */
extern bool nvmkv_drop_tables(const NvmkvStatement *statement);

#endif
