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
	CommandId cid;				  /* what this statement writes */
	MemoryContext row_context;	  /* reset for each row */
	StringInfoData key;			  /* of the row at hand */
	StringInfoData value;
	StringInfoData old_key;		  /* UPDATE, DELETE: of the row as the plan found it */
	StringInfoData newest;		  /* value bytes of a version that came meanwhile */
	AttrNumber wholerow_attno;	  /* in the plan's slot */
	AttrNumber ctid_attno;
	TupleTableSlot *old_slot;	  /* the row as the plan found it */
	NvmkvWriteBatch *batch;		  /* INSERT, COPY */
	bool deferred;				  /* COPY: rows may wait in the batch */
	int batch_size;
} NvmkvModify;

/* Sets the callbacks of modify.c and rowmark.c in the wrapper's routine. */
extern void nvmkv_modify_callbacks(FdwRoutine *routine);

/* What the executor checks for heap tables only: row security, constraints, partition bounds.  Raises. */
extern void nvmkv_modify_check_insert(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, TupleTableSlot *slot);
extern void nvmkv_modify_check_update(NvmkvModify *modify, EState *estate, ResultRelInfo *rri, TupleTableSlot *slot);

/* modify->key and modify->value from the row in slot. */
extern void nvmkv_modify_encode(NvmkvModify *modify, TupleTableSlot *slot);

#endif
