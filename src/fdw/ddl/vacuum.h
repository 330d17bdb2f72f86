/*
 * vacuum.h
 *	  VACUUM of foreign tables.
 */
#ifndef NVMKV_FDW_VACUUM_H
#define NVMKV_FDW_VACUUM_H

#include "postgres.h"

#include "fdw/ddl/statement.h"

/*
 * Executes VACUUM if it names a table of ours, or a partitioned table that has some: there is nothing to vacuum in
 * them, but VACUUM ANALYZE analyzes them.  False: another VACUUM, or ANALYZE.
 */
extern bool nvmkv_vacuum(const NvmkvStatement *statement);

#endif
