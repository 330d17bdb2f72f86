/*
 * analyze.h
 *	  ANALYZE of foreign tables.
 */
#ifndef NVMKV_FDW_ANALYZE_H
#define NVMKV_FDW_ANALYZE_H

#include "foreign/fdwapi.h"

extern bool nvmkvAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func, BlockNumber *totalpages);

#endif
