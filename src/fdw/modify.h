/*
 * modify.h
 *	  INSERT, COPY FROM, UPDATE and DELETE of foreign tables.
 */
#ifndef NVMKV_FDW_MODIFY_H
#define NVMKV_FDW_MODIFY_H

#include "postgres.h"

#include "foreign/fdwapi.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"

#include "fdw/table.h"
#include "fdw/write.h"

/* One target relation of a statement: ri_FdwState. */
typedef struct NvmkvModify
{
	NvmkvDb *db;
	Relation rel;
	NvmkvTable *table;
	ModifyTableState *mtstate;
	CommandId cid;			   /* what this statement writes */
	MemoryContext row_context; /* reset for each row */
	StringInfoData key;		   /* of the row to write; meaningless with hidden row ids */
	StringInfoData value;
	StringInfoData old_key; /* of the row to replace or delete */
	StringInfoData newest;	/* value bytes of a version that the statement's snapshot does not see */
	StringInfoData moved;	/* where a tombstone says the row is now */
	AttrNumber wholerow_attno; /* in the plan's slot */
	AttrNumber ctid_attno;
	HeapTupleData old_tuple; /* the row as the plan found it */
	TupleTableSlot *old_slot;
	NvmkvWriteBatch *batch;
	int batch_size;
} NvmkvModify;

/* Sets the callbacks of modify.c and rowmark.c in the wrapper's routine. */
extern void nvmkv_modify_callbacks(FdwRoutine *routine);

/* ---------------------------------------------------------------- for upsert.c */

/* modify->key and modify->value from the row in slot. */
extern void nvmkv_modify_encode(NvmkvModify *modify, TupleTableSlot *slot);

/*
 * Replaces the row at modify->old_key by the one in slot, key included; all checks are made here.  known_sequence: a
 * version that may be replaced although the statement's snapshot does not see it (0: none).  The slot that was
 * written (another one when the row had changed and was evaluated again), or NULL when there is nothing to update any
 * more.
 */
extern TupleTableSlot *nvmkv_modify_replace(NvmkvModify *modify, EState *estate, ResultRelInfo *rri,
											TupleTableSlot *slot, uint64 known_sequence);

#endif
