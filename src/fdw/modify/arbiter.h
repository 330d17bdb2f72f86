/*
 * arbiter.h
 *	  INSERT ... ON CONFLICT into a table with unique indexes: is there a row
 *	  that the new one conflicts with?
 */
#ifndef NVMKV_FDW_ARBITER_H
#define NVMKV_FDW_ARBITER_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/modify/modifystate.h"
#include "fdw/txn/unique.h"

typedef enum NvmkvConflictLook
{
	NVMKV_CONFLICT_NONE,  /* and the row has been inserted; the slot has its ctid */
	NVMKV_CONFLICT_AGAIN, /* somebody's end, or room, has been waited for */
	NVMKV_CONFLICT_ROW	  /* with the row that had *row_key a moment ago */
} NvmkvConflictLook;

/*
 * One turn under the latches of the row's key (its own bytes, for modify->key changes) and of its values; waits after
 * it.  Conflicts count in the order of a heap: first those with the statement's arbiters, then all others, which are
 * errors (23505); but who has waited for one of the others goes on there.  *key_first: false at first, then what the
 * turn before has left.  *rival_out: of CONFLICT_ROW by an index; index is table->nindexes if it is by the primary key.
 */
extern NvmkvConflictLook nvmkv_arbiter_look(NvmkvModify *modify, NvmkvSlice key, TupleTableSlot *slot,
											bool *key_first, StringInfo row_key, NvmkvRival *rival_out);

/* Has the row, that is in the slot, still the value that was conflicted with? */
extern bool nvmkv_arbiter_still_conflicts(NvmkvModify *modify, TupleTableSlot *row, const NvmkvRival *rival);

#endif
