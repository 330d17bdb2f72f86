/*
 * source.h
 *	  What a scan reads: a foreign table by its key, or an index of it.
 */
#ifndef NVMKV_FDW_SOURCE_H
#define NVMKV_FDW_SOURCE_H

#include "postgres.h"

#include "fdw/scan/keyrange.h"
#include "fdw/scan/reader.h"
#include "fdw/table/table.h"
#include "fdw/txn/visibility.h"

/* The table's index with this OID, which a plan names; NULL for InvalidOid: the table's key. */
extern const NvmkvIndex *nvmkv_source_index(const NvmkvTable *table, Oid oid);

/* What ranges of keys are of. */
static inline const NvmkvTable *
nvmkv_source_keyed(const NvmkvTable *table, const NvmkvIndex *index)
{
	return index != NULL ? &index->entries : table;
}

/* In the current memory context. */
extern void nvmkv_source_open(NvmkvReader *reader, const NvmkvTable *table, const NvmkvIndex *index,
							  NvmkvVisibility *visibility, bool backward, bool keys_only, NvmkvScanReport *report);

/* What other serializable transactions would have to know of this read, before it is done; readers lock single keys. */
extern void nvmkv_source_lock(const NvmkvTable *table, const NvmkvIndex *index, const NvmkvVisibility *visibility,
							  const NvmkvKeyRange *range);

#endif
