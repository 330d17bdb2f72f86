/*
 * target.h
 *	  The row an UPDATE or DELETE is about to change: may it?
 */
#ifndef NVMKV_FDW_TARGET_H
#define NVMKV_FDW_TARGET_H

#include "postgres.h"

#include "storage/lmgr.h"

#include "fdw/host/latch.h"
#include "fdw/modify/modifystate.h"

typedef enum NvmkvTargetState
{
	NVMKV_TARGET_READY,	  /* go ahead: the latches are held */
	NVMKV_TARGET_LOCKED,  /* as asked for: it is the row the statement means, and cannot change any more */
	NVMKV_TARGET_CHANGED, /* another transaction has changed it; it is locked for us, modify->newest has it */
	NVMKV_TARGET_GONE	  /* nothing to do */
} NvmkvTargetState;

typedef struct NvmkvTarget
{
	bool is_delete;		   /* for messages and error contexts */
	NvmkvLockMode mode;	   /* EXCLUSIVE if the key changes or goes, else NO_KEY_UPDATE */
	bool lock_only;		   /* LOCKED is wanted instead of READY */
	bool brings_values;	   /* the latches of unique values in modify->entries are wanted, too (txn/unique.h) */
	uint64 sequence;	   /* READY: of the version that is to be replaced */
	NvmkvRowAnchor anchor; /* which row at old_key; moves on with CHANGED: the version found then may be replaced */
	NvmkvLatchSet latches;
} NvmkvTarget;

/*
 * Decides about the row at modify->old_key under the rules of heap_update and heap_delete, waiting as long as it
 * takes.  A row that has got another key meanwhile is followed: old_key changes, and the result is CHANGED or GONE.
 * extra_key: another key whose latch the caller needs (size 0: none).  READY: modify->standing has the locks to be
 * written again above a version that follows in place.  Raises 40001, 27000 as the executor does for a heap table.
 */
extern NvmkvTargetState nvmkv_target_claim(NvmkvModify *modify, EState *estate, NvmkvTarget *target,
										   NvmkvSlice extra_key);

/*
 * Before an UPDATE or DELETE claims the row that its plan has found (modify->old_key, old_slot): 40001 if that is a
 * covered one (covered.h).
 */
extern void nvmkv_target_check_covered(NvmkvModify *modify, EState *estate);

/* The same when the scan has said that it is a covered one. */
extern void nvmkv_target_refuse_covered(NvmkvModify *modify, EState *estate);

#endif
