/*
 * generated.h
 *	  Stored generated columns of rows that BEFORE ROW UPDATE triggers may change.
 */
#ifndef NVMKV_FDW_GENERATED_H
#define NVMKV_FDW_GENERATED_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

#include "fdw/modify/modifystate.h"

/* If they have been taken: computes them for a row that is to be written, after its triggers. */
extern void nvmkv_generate(NvmkvModify *modify, ResultRelInfo *rri, TupleTableSlot *slot);

/* Takes them away from the executor, for a table of the statement.  REQUIRES that the executor has prepared them. */
extern void nvmkv_generated_take(ResultRelInfo *rri);

#endif
