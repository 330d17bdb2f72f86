/*
 * indexcheck.h
 *	  Does an index have the entries of its table's rows, and no other ones?
 */
#ifndef NVMKV_FDW_INDEXCHECK_H
#define NVMKV_FDW_INDEXCHECK_H

#include "postgres.h"

#include "utils/rel.h"

#include "fdw/table/table.h"

typedef void (*NvmkvReportProblem)(void *ctx, const char *object, const char *problem);

/*
 * Compares all entries that the active snapshot sees with those that are made of the rows it sees; what differs is
 * reported, the first ones by their keys.  Reads table and index whole, and sorts.  ERROR as a scan.
 */
extern void nvmkv_check_index(Relation rel, const NvmkvTable *table, const NvmkvIndex *index,
							  NvmkvReportProblem report, void *ctx);

#endif
