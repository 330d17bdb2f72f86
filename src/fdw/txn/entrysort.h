/*
 * entrysort.h
 *	  The entries that the rows of a table should have in one of its indexes, in
 *	  order.
 */
#ifndef NVMKV_FDW_ENTRYSORT_H
#define NVMKV_FDW_ENTRYSORT_H

#include "postgres.h"

#include "utils/rel.h"
#include "utils/snapshot.h"

#include "fdw/table/table.h"
#include "fdw/txn/entries.h"

typedef struct NvmkvEntrySort NvmkvEntrySort;

/*
 * Makes the entries of all rows that the snapshot sees, which must be active: the index's expressions may ask for it.
 * Takes maintenance_work_mem, and temporary files.
 */
extern NvmkvEntrySort *nvmkv_entrysort_create(Relation rel, const NvmkvTable *table, const NvmkvIndex *index,
											  Snapshot snapshot);

/* The next entry, until the one after it is asked for; false after the last one. */
extern bool nvmkv_entrysort_next(NvmkvEntrySort *sort, NvmkvEntry *entry_out);

extern void nvmkv_entrysort_destroy(NvmkvEntrySort *sort);

#endif
