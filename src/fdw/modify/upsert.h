/*
 * upsert.h
 *	  INSERT ... ON CONFLICT on the primary key of a foreign table.
 */
#ifndef NVMKV_FDW_UPSERT_H
#define NVMKV_FDW_UPSERT_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

struct NvmkvModify;

/*
 * One row of INSERT ... ON CONFLICT, checked and encoded (modify->key, modify->value).  The slot of the row that was
 * inserted or updated, NULL when nothing is left to do for the executor.
 */
extern TupleTableSlot *nvmkv_upsert(struct NvmkvModify *modify, EState *estate, ResultRelInfo *rri,
									TupleTableSlot *slot);

#endif
