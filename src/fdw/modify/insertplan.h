/*
 * insertplan.h
 *	  Whether an INSERT may keep rows back to write several at a time.
 */
#ifndef NVMKV_FDW_INSERTPLAN_H
#define NVMKV_FDW_INSERTPLAN_H

#include "postgres.h"

#include "nodes/execnodes.h"

/*
 * May rows of this table be written later than the statement inserts them?  For an INSERT that has begun to run.  It is
 * worth while for more than one row.
 */
extern bool nvmkv_insert_keeps_rows(ModifyTableState *mtstate, ResultRelInfo *rri);

/* Does an expression, or list of them, call what may take time on purpose, wait for somebody, or write? */
extern bool nvmkv_expression_may_wait(Node *node);

#endif
