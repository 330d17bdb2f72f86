/*
 * scanstate.h
 *	  The state of one scan, for scan.c and parallel.c.
 */
#ifndef NVMKV_FDW_SCANSTATE_H
#define NVMKV_FDW_SCANSTATE_H

#include "lib/stringinfo.h"
#include "nodes/execnodes.h"

#include "fdw/scan/addressed.h"
#include "fdw/scan/collect.h"
#include "fdw/scan/fetch.h"
#include "fdw/scan/keyscan.h"
#include "fdw/scan/reader.h"
#include "fdw/scan/rowmark.h"
#include "fdw/scan/scanreport.h"
#include "fdw/scan/skip.h"
#include "fdw/txn/visibility.h"

struct NvmkvCurrentOf;
struct NvmkvParallelScan;

typedef struct NvmkvTableScan
{
	MemoryContext context; /* the state and what it points to; its reset frees the engine's part */
	MemoryContextCallback release;
	NvmkvKeyScan *keys;		   /* NULL: collected */
	NvmkvCollector *collected; /* NULL: only one index, or the key, is read */
	NvmkvSkip *skip;		   /* NULL: all of the ranges is meant */
	NvmkvAddressed *addressed; /* NULL: the ctid does not matter */
	struct NvmkvCurrentOf *current_of; /* NULL: no cursor is asked */
	bool whole_table;		   /* keys have no condition */
	bool counts;			   /* their number is the only row (plan/count.h) */
	bool backward;

	/* Made when the first row is asked for. */
	bool open;
	NvmkvDb *db;
	NvmkvTable *table;
	const NvmkvIndex *index; /* whose entries are read; NULL: the rows themselves */
	const NvmkvTable *keyed; /* the table, or the index's entries: of its keys the ranges are */
	NvmkvVisibility visibility;
	NvmkvReader reader;
	NvmkvFetch fetch; /* of the rows of an index's entries */
	NvmkvRowMarks *marks;

	/* Of the rows. */
	bool need_key;	 /* some used attribute is in the key bytes */
	bool need_ctid;	 /* of a table with a primary key */
	int need_values; /* number of the last used attribute that is in the value bytes, 0 for none */

	/* Of the entries, when they cover what is used, or are tested before rows are read. */
	bool covering;
	ExprState *test; /* NULL: none */
	bool entry_need_key;
	int entry_need_values;
	int nmapped; /* attributes that are wanted of them, and where an entry has these, both from 0 */
	int *mapped;
	int *mapped_from;
	Datum *entry_values;
	bool *entry_nulls;

	/* In a parallel plan. */
	struct NvmkvParallelScan *shared; /* in dynamic shared memory; NULL otherwise */
	NvmkvSlice *cuts;				  /* between planning the parts and writing them there */
	int ncuts;
	bool one_range;

	/* Position. */
	NvmkvSlice row_key; /* of the row, or entry that covers it, that was returned last; while the slot has it */
	uint64 row_sequence;
	uint64 row_mark;  /* NvmkvRowBytes.mark */
	bool row_covered; /* covered.h */
	bool evaluated;		  /* the key ranges are those of the current parameters */
	bool counted;		  /* that the scan has begun */
	bool number_returned; /* "counts" */
	uint64 rows_read;	  /* rows, or entries of the index; not counted yet */
	uint32 ranges_passed; /* parallel: taken from keys */
	const NvmkvIndex *unanswered; /* collected: had an entry of the key that is looked up, whose row is still to come */

	NvmkvScanReport report;	   /* of this process; its engine part is filled when it is asked for */
	NvmkvScanReport published; /* parallel: what of it the others have been told */
	NvmkvScanReport total;	   /* parallel: of all processes, as far as it was known at the end */
	bool has_total;
} NvmkvTableScan;

/* What this process has done so far. */
extern void nvmkv_scan_own_report(NvmkvTableScan *state, NvmkvScanReport *report_out);

/* The table that is read. */
extern Relation nvmkv_scan_relation(ForeignScanState *node);

/* Opens the table and takes the snapshot, once. */
extern void nvmkv_scan_open(ForeignScanState *node);

#endif
