/*
 * modifystate.h
 *	  The state of INSERT, COPY FROM, UPDATE or DELETE of one foreign table.
 */
#ifndef NVMKV_FDW_MODIFYSTATE_H
#define NVMKV_FDW_MODIFYSTATE_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/execnodes.h"

#include "fdw/modify/returnold.h"
#include "fdw/modify/rowmove.h"
#include "fdw/modify/rowtrigger.h"
#include "fdw/table/table.h"
#include "fdw/txn/bulk.h"
#include "fdw/txn/entries.h"
#include "fdw/txn/write.h"

/* Rows to insert. */
typedef enum NvmkvWhenToWrite
{
	NVMKV_WRITE_UNDECIDED,
	NVMKV_WRITE_AT_ONCE,
	NVMKV_WRITE_LATER
} NvmkvWhenToWrite;

/* One target relation of a statement: ri_FdwState. */
typedef struct NvmkvModify
{
	NvmkvDb *db;
	Relation rel;
	Relation counted; /* stands for it in the server's statistics */
	NvmkvTable *table;
	ModifyTableState *mtstate; /* NULL: the scan deletes rows itself (directdelete.h) */
	CmdType operation;
	CommandId cid;			   /* what this statement writes */
	MemoryContext row_context; /* reset for each row */
	StringInfoData key;		   /* of the row to write; meaningless with hidden row ids */
	StringInfoData value;
	NvmkvEntryMaker *entry_maker; /* NULL: the table has no indexes to keep */
	bool has_unique;			  /* one of these is unique */
	bool has_deferrable;		  /* and of them one is checked later */
	Oid key_index;				  /* where has_deferrable: the primary key's */
	List *arbiters;				  /* indexes that ON CONFLICT is about; NIL: all unique ones */
	StringInfoData entries;		  /* of the row to write */
	StringInfoData old_entries;	  /* of the row to replace or delete */
	StringInfoData old_row;		  /* the same row, where that is told (changes/note.h); else empty */
	TupleTableSlot *old_row_slot; /* NULL: it is not told */
	StringInfoData doubts;		  /* entries of the row to write, see doubts.h */
	StringInfoData old_key; /* of the row to replace or delete */
	ForeignScanState *scan; /* in the plan, of this relation; NULL: it is not known */
	uint64 found_sequence;	/* of the version at old_key that this scan has just found, with found_mark */
	uint64 found_mark;		/* NvmkvRowBytes.mark; 0: it is not known what it has found */
	StringInfoData newest;	/* value bytes of a version that the statement's snapshot does not see */
	uint64 newest_sequence;
	StringInfoData moved;	/* where a tombstone says the row is now */
	StringInfoData standing; /* who has locked the row that is written in place */
	StringInfoData holders;	 /* who has locked the row against this statement */
	NvmkvLockMode lock_mode; /* see nvmkv_change_lock_mode; NONE: not asked yet */
	NvmkvRowTriggers triggers;
	int generated; /* stored generated columns whose values the executor leaves to us, see generated.h */
	AttrNumber wholerow_attno; /* in the plan's slot */
	AttrNumber ctid_attno;
	HeapTupleData old_tuple; /* the row as the plan found it */
	TupleTableSlot *old_slot;
	TupleTableSlot *plan_slot; /* UPDATE: of the row as the plan found it */
	NvmkvMoved moved_row;	   /* the last one went to another partition */
	NvmkvReturnOld *return_old; /* NULL: no upsert has needed it */
	bool returns_ctid; /* RETURNING has it, and the table a primary key: nvmkv_modify_set_ctid */
	NvmkvWriteBatch *batch;
	NvmkvWhenToWrite when;
	NvmkvCopyFrom *copy; /* COPY that keeps rows back */
	bool pending;		 /* the executor will say when the last row has been inserted */
} NvmkvModify;

/*
 * The state of one target relation of a statement that begins to run; in the query's memory context.  mtstate: may be
 * NULL where its own plan node is not known, for a DELETE without row triggers and RETURNING.
 */
extern NvmkvModify *nvmkv_modify_create(EState *estate, ModifyTableState *mtstate, ResultRelInfo *rri,
										CmdType operation);

/* modify->key, value and entries from the row in slot. */
extern void nvmkv_modify_encode(NvmkvModify *modify, TupleTableSlot *slot);

/* modify->old_entries and old_row from a row that old_key, and with hidden row ids the tuple's ctid, is of. */
extern void nvmkv_modify_encode_old(NvmkvModify *modify, HeapTuple row);

/* The same from a row in a slot, that at old_key. */
extern void nvmkv_modify_encode_shown(NvmkvModify *modify, TupleTableSlot *row);

/* The slot is about to be returned for the row's version with this sequence. */
extern void nvmkv_modify_set_ctid(const NvmkvModify *modify, TupleTableSlot *slot, uint64 sequence);

#endif
