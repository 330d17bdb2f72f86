/*
 * reader.h
 *	  Reads ranges of keys: rows of a foreign table, or entries of one of its indexes.
 */
#ifndef NVMKV_FDW_READER_H
#define NVMKV_FDW_READER_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/scan/keyrange.h"
#include "fdw/scan/scanreport.h"
#include "fdw/table/table.h"
#include "fdw/txn/visibility.h"

/* A row or an entry as the engine has it, until the next one is asked for. */
typedef struct NvmkvRowBytes
{
	NvmkvSlice key;
	NvmkvSlice value;
	uint64 sequence;
	uint64 fxid;  /* of the version's writer; 0: no longer known */
	uint64 mark;  /* nvmkv_scan_mark() of the scan in which it was the newest entry of its key; 0: that is not known */
	bool covered; /* covered.h */
} NvmkvRowBytes;

typedef struct NvmkvReader
{
	/* Given. */
	NvmkvDb *db;
	const NvmkvTable *table; /* whose keys the ranges are of: a foreign table, or the entries of an index */
	const char *doing;		 /* for messages: "reading foreign table" */
	NvmkvVisibility *visibility;
	bool backward;
	bool keys_only; /* values are not needed, and may be missing */
	bool locks_points; /* for serializable transactions: single keys, each as it is looked up */
	NvmkvScanReport *report;

	/* Its own. */
	NvmkvScan *scan;		/* of ranges that are no single key; NULL: there was none yet */
	bool in_range;			/* it stands in one */
	NvmkvBuf value;			/* of a looked-up key */
	StringInfoData covered; /* value bytes of a covered row */
	bool point_asked;		/* the next thing to do is to look up "point" */
	bool point_waits;		/* its covered row comes first, then what is in value */
	NvmkvSlice point;
	NvmkvVersion point_version;
	const NvmkvScanRow *rows;
	unsigned nrows;
	unsigned next;
	unsigned batch_rows;
} NvmkvReader;

/* In the current memory context.  template: what is given. */
extern void nvmkv_reader_init(NvmkvReader *reader, const NvmkvReader *template);

/* Begins with a range.  The bytes of a single key stay as long as its row is used. */
extern void nvmkv_reader_start(NvmkvReader *reader, const NvmkvKeyRange *range);

/* The next row of the range; false at its end, and before the first range. */
extern bool nvmkv_reader_next(NvmkvReader *reader, NvmkvRowBytes *row_out);

/* How many rows there are from here to the end of the range, where it stands then. */
extern uint64 nvmkv_reader_count(NvmkvReader *reader);

/* Forgets where it is; batches are small again. */
extern void nvmkv_reader_reset(NvmkvReader *reader);

/* Gives back what the engine has allocated. */
extern void nvmkv_reader_release(NvmkvReader *reader);

/* Adds what the engine has done for it. */
extern void nvmkv_reader_add_stats(const NvmkvReader *reader, NvmkvScanStats *stats);

#endif
