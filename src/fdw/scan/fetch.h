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

/* An entry that waits: what its row is looked up by. */
typedef struct NvmkvFetchItem
{
	NvmkvSlice key; /* of the row; until the first is to be fetched, its size only */
	uint64 fxid;
	bool covered;
} NvmkvFetchItem;

typedef struct NvmkvFetch
{
	NvmkvDb *db;
	const NvmkvTable *table;
	const NvmkvIndex *index;
	const NvmkvVisibility *visibility;
	NvmkvBuf value;
	StringInfoData covered;

	/* Entries that were read. */
	bool in_order;		 /* rows come in the order of their entries */
	int limit;			 /* so many are read before rows are fetched */
	StringInfoData keys; /* of their rows, one behind the other */
	StringInfoData key;
	NvmkvFetchItem *items;
	int size; /* there is room for so many of them */
	int nitems;
	int next; /* to be fetched */
} NvmkvFetch;

/* In the current memory context; db: of the table. */
extern void nvmkv_fetch_init(NvmkvFetch *fetch, NvmkvDb *db, const NvmkvTable *table, const NvmkvIndex *index,
							 const NvmkvVisibility *visibility, bool in_order);

/* Takes an entry, of which nothing is used any more; false: that was enough, its rows are to be fetched. */
extern bool nvmkv_fetch_add(NvmkvFetch *fetch, const NvmkvRowBytes *entry);

/* All that could be added were.  Before the first row of these is asked for. */
extern void nvmkv_fetch_begin(NvmkvFetch *fetch);

/*
 * The row of the next entry, under the snapshot it was read under; its bytes are valid until the next call.  False when
 * there is no further one.  ERROR XX002: it has no row.
 */
extern bool nvmkv_fetch_next(NvmkvFetch *fetch, NvmkvRowBytes *row_out);

/* Forgets its entries; there are few again before rows are fetched. */
extern void nvmkv_fetch_reset(NvmkvFetch *fetch);

/* ERROR XX002: the index has an entry whose row is not there. */
pg_noreturn extern void nvmkv_report_entry_without_row(const NvmkvIndex *index);

/* Gives back what the engine has allocated. */
extern void nvmkv_fetch_release(NvmkvFetch *fetch);

#endif
