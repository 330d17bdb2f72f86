/*
 * scanreport.h
 *	  What a scan has done since it began, for EXPLAIN ANALYZE.
 */
#ifndef NVMKV_FDW_SCANREPORT_H
#define NVMKV_FDW_SCANREPORT_H

#include "postgres.h"

#include "engine/nvmkv.h"

typedef struct NvmkvScanReport
{
	uint64 ranges;	/* started, points included */
	uint64 points;	/* looked up singly */
	uint64 found;	/* of these, with a visible row */
	uint64 fetched; /* rows read for entries of an index */
	uint64 skipped; /* times that a range was left for a place nearer to its end (skip.h) */
	uint64 failed;	/* entries whose rows were not read, for a test failed */
	NvmkvScanStats engine; /* of the other ranges */
} NvmkvScanReport;

#endif
