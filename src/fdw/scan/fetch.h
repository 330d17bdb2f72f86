/*
 * fetch.h
 *	  The rows that entries of an index are of.
 */
#ifndef NVMKV_FDW_FETCH_H
#define NVMKV_FDW_FETCH_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/compat/compat.h"
#include "fdw/scan/reader.h"
#include "fdw/table/table.h"
#include "fdw/txn/visibility.h"

typedef struct NvmkvFetch
{
	NvmkvDb *db;
	const NvmkvTable *table;
	const NvmkvIndex *index;
	const NvmkvVisibility *visibility;
	StringInfoData key;
	NvmkvBuf value;
	StringInfoData covered;
} NvmkvFetch;

/* In the current memory context; db: of the table. */
extern void nvmkv_fetch_init(NvmkvFetch *fetch, NvmkvDb *db, const NvmkvTable *table, const NvmkvIndex *index,
							 const NvmkvVisibility *visibility);

/*
 * The row of an entry that was read under the same snapshot; its bytes are valid until the next call.  ERROR XX002: it
 * has none.
 */
extern void nvmkv_fetch_row(NvmkvFetch *fetch, const NvmkvRowBytes *entry, NvmkvRowBytes *row_out);

/* ERROR XX002: the index has an entry whose row is not there. */
pg_noreturn extern void nvmkv_report_entry_without_row(const NvmkvIndex *index);

/* Gives back what the engine has allocated. */
extern void nvmkv_fetch_release(NvmkvFetch *fetch);

#endif
