/*
 * scanstate.h
 *	  The state of one scan, for scan.c and parallel.c.
 */
#ifndef NVMKV_FDW_SCANSTATE_H
#define NVMKV_FDW_SCANSTATE_H

#include "lib/stringinfo.h"
#include "nodes/execnodes.h"

#include "fdw/scan/addressed.h"
#include "fdw/scan/keyscan.h"
#include "fdw/scan/rowmark.h"
#include "fdw/scan/scanreport.h"
#include "fdw/txn/visibility.h"

struct NvmkvParallelScan;

typedef struct NvmkvTableScan
{
	MemoryContext context; /* the state and what it points to; its reset frees the engine's part */
	MemoryContextCallback release;
	NvmkvKeyScan *keys;
	NvmkvAddressed *addressed; /* NULL: the ctid does not matter */
	bool whole_table;		   /* keys have no condition */
	bool backward;

	/* Made when the first row is asked for. */
	bool open;
	NvmkvDb *db;
	NvmkvTable *table;
	NvmkvVisibility visibility;
	NvmkvRowMarks *marks;
	bool need_key;	 /* some used attribute is in the key bytes */
	bool need_ctid;	 /* of a table with a primary key */
	int need_values; /* number of the last used attribute that is in the value bytes, 0 for none */

	/* In a parallel plan. */
	struct NvmkvParallelScan *shared; /* in dynamic shared memory; NULL otherwise */
	NvmkvSlice *cuts;				  /* between planning the parts and writing them there */
	int ncuts;
	bool one_range;

	/* Position. */
	bool evaluated;		  /* the key ranges are those of the current parameters */
	uint32 ranges_passed; /* parallel: taken from keys */
	bool in_range;		  /* the engine scan stands in a range */
	NvmkvScan *scan;
	NvmkvBuf value; /* of a looked-up row */
	StringInfoData covered; /* value bytes of a covered row (covered.h) */
	bool row_waits;			/* the covered row of a looked-up key comes first, then what is in value */
	NvmkvSlice point;		/* that key */
	uint64 point_sequence;	/* of what is in value */
	const NvmkvScanRow *rows;
	unsigned nrows;
	unsigned next;
	unsigned batch_rows;

	NvmkvScanReport report;	   /* of this process; its engine part is filled when it is asked for */
	NvmkvScanReport published; /* parallel: what of it the others have been told */
	NvmkvScanReport total;	   /* parallel: of all processes, as far as it was known at the end */
	bool has_total;
} NvmkvTableScan;

/* What this process has done so far. */
extern void nvmkv_scan_own_report(NvmkvTableScan *state, NvmkvScanReport *report_out);

/* Opens the table and takes the snapshot, once. */
extern void nvmkv_scan_open(ForeignScanState *node);

#endif
