/*
 * stored.h
 *	  From a storage to what is in it.
 */
#ifndef NVMKV_FDW_STORED_H
#define NVMKV_FDW_STORED_H

#include "postgres.h"

#include "utils/rel.h"

#include "fdw/table/table.h"

/*
 * What a storage of nvmkv.storage is of: *rel_out, the foreign table, opened with AccessShareLock, and the description
 * of what the storage has: the table's, or the entries' of one of its indexes (*index_out, else NULL).  NULL: it has
 * gone, or, with nowait, somebody has it locked.
 */
extern const NvmkvTable *nvmkv_open_stored(Oid relid, bool nowait, Relation *rel_out, const NvmkvIndex **index_out);

#endif
