/*
 * note.h
 *	  What a log record tells logical decoding of the rows in its batch.
 *
 * A batch (engine/base/batch.h) has keys and values as they are stored, entries of indexes and row locks among them.
 * The note that follows it in the record says whose rows they are and what happened to them, without the values.
 *
 * Grammar (little-endian):
 *	  note		:= database u32, table u32, flags u8, [xid u32, top xid u32], change*
 *	  change	:= op u8, varint first, varint count, row[count]		INSERT, UPDATE, DELETE, MOVE
 *				 | op u8, flags u8, varint count, table u32[count]		TRUNCATE
 *	  row		:= [bytes key, bytes value], [bytes old key], [bytes old]
 *	  bytes		:= varint size, the bytes
 * flags (NVMKV_NOTE_...) say whether the xids are there: they are where the rows are not of the transaction whose
 * record it is, but of one that it is within.  first: which record of the batch is the first row, from 1 on; the others
 * follow it.  0: the rows are not in a batch, and their keys and values are here.  The key is that of the row as it is,
 * of one that is deleted that of its tombstone.  old key: of MOVE, an UPDATE that changes the key.  old: value bytes of
 * the row before, of all changes but INSERT, by flags: whole, or, where a key's bytes do not give back its values, with
 * all columns but those of the key being NULL in it.
 */
#ifndef NVMKV_FDW_NOTE_H
#define NVMKV_FDW_NOTE_H

#include "postgres.h"

#include "access/transam.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "fdw/key/layout.h"

/* On disk: never renumber. */
typedef enum NvmkvChange
{
	NVMKV_CHANGE_INSERT = 1,
	NVMKV_CHANGE_UPDATE = 2,
	NVMKV_CHANGE_DELETE = 3,
	NVMKV_CHANGE_MOVE = 4,
	NVMKV_CHANGE_TRUNCATE = 5
} NvmkvChange;

#define NVMKV_NOTE_XIDS 0x01
#define NVMKV_NOTE_OLD 0x02		 /* rows before a change are told */
#define NVMKV_NOTE_OLD_KEY 0x04	 /* of the row before the key */
#define NVMKV_NOTE_SORT_KEYS 0x08 /* the key has sort keys (NVMKV_KEY_COLLATED): it was not stored by version 1.0 */
#define NVMKV_NOTE_FLAGS 0x0f

/* Of TRUNCATE. */
#define NVMKV_NOTE_CASCADE 0x01
#define NVMKV_NOTE_RESTART 0x02
#define NVMKV_NOTE_TRUNCATE_FLAGS 0x03

/* ---- writing: one note at a time in a process, of the record that is being collected ---- */

/* Are changes of the table told at all? */
extern bool nvmkv_note_is_wanted(const NvmkvTable *table);

/* What a change of the table has to know of the row before it: see "old" above. */
extern bool nvmkv_note_wants_old(const NvmkvTable *table);

/* That, of the row in slot: replaces buf's bytes. */
extern void nvmkv_note_old_row(const NvmkvTable *table, TupleTableSlot *slot, StringInfo buf);

/* Forgets it. */
extern void nvmkv_note_clear(void);

/*
 * Record "number" of the batch, from 1 on, is this change of a row; one that is not looked at is empty.  Nothing if changes
 * of the table are not told.  fxid: whose change it is.
 */
extern void nvmkv_note_row(const NvmkvTable *table, NvmkvChange change, unsigned number, FullTransactionId fxid,
						   NvmkvSlice old_key, NvmkvSlice old);

/* The same of an inserted row whose entries the log has already, since it was not known then that it would stay. */
extern void nvmkv_note_late_row(const NvmkvTable *table, FullTransactionId fxid, NvmkvSlice key, NvmkvSlice value);

/* These tables (OIDs, not none) are truncated. */
extern void nvmkv_note_truncate(List *relids, bool cascade, bool restart);

/* The note's bytes, none if there is nothing to tell; until the next call of any of these. */
extern NvmkvSlice nvmkv_note_bytes(void);

/* ---- reading ---- */

typedef struct NvmkvNote
{
	Oid database;
	Oid table;
	uint8 flags;
	TransactionId xid; /* invalid: that of the record */
	TransactionId top_xid;
	const uint8_t *cursor;
	const uint8_t *end;
	NvmkvSlice batch;
	uint32 nrecords; /* of the batch */
	struct NvmkvBatchRecord *records;
	uint8 op; /* of rows that follow */
	uint32 first;
	uint32 count;
	uint32 next;
} NvmkvNote;

typedef struct NvmkvNoteChange
{
	NvmkvChange change;
	NvmkvSlice key;
	NvmkvSlice value;
	NvmkvSlice old_key;
	NvmkvSlice old;
	uint8 truncate_flags;
	List *relids; /* of TRUNCATE */
} NvmkvNoteChange;

/* Begins to read; ERROR XX001 on malformed bytes, as all of these. */
extern void nvmkv_note_open(NvmkvNote *note, NvmkvSlice bytes, NvmkvSlice batch);

/* The next change; false after the last one.  Slices are within note and batch. */
extern bool nvmkv_note_next(NvmkvNote *note, NvmkvNoteChange *change_out);

/* Appends the note, with the rows in it, to be read without a batch. */
extern void nvmkv_note_complete(NvmkvNote *note, StringInfo buf);

#endif
