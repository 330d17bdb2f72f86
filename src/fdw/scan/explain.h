/*
 * explain.h
 *	  What EXPLAIN says of a scan.
 */
#ifndef NVMKV_FDW_EXPLAIN_H
#define NVMKV_FDW_EXPLAIN_H

#include "commands/explain.h"
#include "nodes/execnodes.h"

#include "fdw/compat/compat.h"

/* Called once, from _PG_init: the option of EXPLAIN. */
extern void nvmkv_explain_init(void);

extern void nvmkvExplainForeignScan(ForeignScanState *node, ExplainState *es);

#endif
