/*
 * epq.h
 *	  READ COMMITTED: does a row that another transaction has changed meanwhile
 *	  still satisfy the statement?
 */
#ifndef NVMKV_FDW_EPQ_H
#define NVMKV_FDW_EPQ_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

struct NvmkvModify;

/*
 * Evaluates the statement's plan for the newest version of the target row (modify->old_key, newest).  The plan's slot
 * for it, or NULL when the row is no longer meant.  REQUIRES: this transaction keeps the row from changing (LOCK
 * entry).
 */
extern TupleTableSlot *nvmkv_epq_recheck(struct NvmkvModify *modify, ResultRelInfo *rri);

/* For UPDATE: the new row from the plan's slot, generated columns computed. */
extern TupleTableSlot *nvmkv_epq_new_row(EState *estate, ResultRelInfo *rri, TupleTableSlot *plan_slot);

#endif
