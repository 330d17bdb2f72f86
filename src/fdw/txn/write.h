/*
 * write.h
 *	  From decided rows to the engine: entries of the current transaction,
 *	  dropped storages.
 */
#ifndef NVMKV_FDW_WRITE_H
#define NVMKV_FDW_WRITE_H

#include "postgres.h"

#include "access/transam.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/rel.h"

#include "fdw/changes/note.h"
#include "fdw/compat/compat.h"
#include "fdw/host/latch.h"
#include "fdw/key/keycode.h"
#include "fdw/table/table.h"
#include "fdw/txn/conflict.h"

/* ---------------------------------------------------------------- single decisions */

/*
 * Pattern, for a few keys whose latches the caller holds while it looks and decides:
 *	  nvmkv_write_begin(); nvmkv_write_put(...) for each entry;
 *	  if (!nvmkv_write_finish(db, rel)) { release latches; nvmkv_write_wait_room(db, rel); start over with the look }
 * One such write at a time in a process: the entries are collected in a buffer that is kept.
 */
extern void nvmkv_write_begin(void);
extern void nvmkv_write_put(unsigned type, NvmkvSlice key, FullTransactionId fxid, CommandId cid, NvmkvSlice value);
extern bool nvmkv_write_finish(NvmkvDb *db, Relation rel);

/*
 * What was put last is this change of a row of the table, and logical decoding may have to be told.  old_key: of MOVE;
 * old: as nvmkv_note_old_row has made it, where it is wanted.
 */
extern void nvmkv_write_tell(const NvmkvTable *table, NvmkvChange change, FullTransactionId fxid, NvmkvSlice old_key,
							 NvmkvSlice old);

/* The same, in a record of its own, of an insertion that was written before it was known to stay. */
extern void nvmkv_write_tell_late(const NvmkvTable *table, FullTransactionId fxid, NvmkvSlice key, NvmkvSlice value);

/* These tables are truncated: a record of its own. */
extern void nvmkv_write_tell_truncate(List *relids, bool cascade, bool restart);

/* Of the last entry that was written; those of one record follow each other. */
extern uint64 nvmkv_write_last_sequence(void);

extern void nvmkv_write_wait_room(NvmkvDb *db, Relation rel);

/*
 * While writers are slowed down: waits for the turn of so many bytes before latches are taken, so that nobody has to
 * look twice.  Merely spares nvmkv_write_wait_room, which does the same and more.
 */
extern void nvmkv_write_wait_turn(const NvmkvTable *table, Relation rel, Size bytes);

/* After a write, with no latch held: 40001 if a serializable reader's conclusions about the key no longer hold. */
extern void nvmkv_write_check_serializable(Relation rel, NvmkvSlice key);

/* Waits for the transaction that stands against a write of the key.  Hold no latch. */
extern void nvmkv_write_wait_xid(Relation rel, NvmkvSlice key, TransactionId xid, XLTW_Oper oper);

/* 23505 as a heap's unique index says it; the row is in slot. Does not return. */
pg_noreturn extern void nvmkv_write_duplicate(const NvmkvTable *table, Relation rel, TupleTableSlot *slot);

/* ---------------------------------------------------------------- storages */

/* The storage's entries are gone once the current transaction is committed and old enough. */
extern void nvmkv_storage_drop(uint64 storage_id);

#endif
