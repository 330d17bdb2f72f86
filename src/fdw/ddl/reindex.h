/*
 * reindex.h
 *	  REINDEX of indexes of our tables.
 */
#ifndef NVMKV_FDW_REINDEX_H
#define NVMKV_FDW_REINDEX_H

#include "fdw/ddl/statement.h"

/*
 * REINDEX INDEX and TABLE: makes indexes of one of our tables anew, under AccessExclusiveLock on the table.  False: it
 * is about other relations, and not executed.  REINDEX SCHEMA and the like pass over our indexes.
 */
extern bool nvmkv_reindex(const NvmkvStatement *statement);

#endif
