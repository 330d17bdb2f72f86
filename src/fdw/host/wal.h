/*
 * wal.h
 *	  PostgreSQL's WAL as the engine's log: its records.
 *
 * Records (resource manager NVMKV_RMGR_ID):
 *	  WRITE			one write batch (engine/base/batch.h), as it is.  Its entries have the sequences
 *					EndRecPtr - count + 1 .. EndRecPtr: unique, because a record is longer than its entry count.
 *	  FENCE			nothing that matters.  A position to flush to, and a new storage id: its end LSN, unique
 *					for ever because the catalogue row that names it follows it in the WAL.  Zeroes: one, or
 *					as many as move the log's end on.
 *	  FAMILY		a column family, as NvmkvFamilyInfo: it is there, with these options, before the
 *					storage that follows.
 *	  DROP_FAMILY	its number u32.
 *	  CHECKPOINT	durable sequence u64.  A standby flushes when it replays it, so that its restartpoints are covered.
 *	  OUTCOMES		NvmkvOutcomesRecord, then with kind BITS which of the transactions [from, to) have committed:
 *					from the byte that has the bit of "from" on, transaction x in bit x % 8.  It stands behind the
 *					records of their ends, and before that of the truncation of the commit log they were in.
 *	  CHANGES		size of the batch u32, batch, note: a WRITE, and what logical decoding has to know of it
 *					(changes/note.h).  The batch may be missing.  With wal_level = logical only.
 *
 * redo.c replays them.
 */
#ifndef NVMKV_FDW_WAL_H
#define NVMKV_FDW_WAL_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "engine/nvmkv.h"

#define NVMKV_RMGR_ID 173

#define XLOG_NVMKV_WRITE 0x00
#define XLOG_NVMKV_FENCE 0x10
#define XLOG_NVMKV_CHECKPOINT 0x20
#define XLOG_NVMKV_FAMILY 0x30
#define XLOG_NVMKV_DROP_FAMILY 0x40
#define XLOG_NVMKV_OUTCOMES 0x50
#define XLOG_NVMKV_CHANGES 0x60

typedef enum NvmkvOutcomesKind
{
	NVMKV_OUTCOMES_NONE, /* none has committed */
	NVMKV_OUTCOMES_BITS,
	NVMKV_OUTCOMES_LOST,		  /* nobody knows */
	NVMKV_OUTCOMES_SET_COMMITTED, /* somebody's word for those of them that are lost */
	NVMKV_OUTCOMES_SET_ABORTED
} NvmkvOutcomesKind;

typedef struct NvmkvOutcomesRecord
{
	uint64 from;
	uint64 to;
	uint64 kind; /* NvmkvOutcomesKind */
} NvmkvOutcomesRecord;

/* From shmem_request_hook and shmem_startup_hook. */
extern void nvmkv_wal_shmem_request(void);
extern void nvmkv_wal_shmem_init(void);

/* The engine's log.  append may raise, as XLogInsert may. */
extern const NvmkvLogOps *nvmkv_wal_ops(void);

/* What logical decoding has to know of batches that are appended from now on: kept by the caller; empty: nothing. */
extern void nvmkv_wal_set_note(NvmkvSlice note);

/* A record of a note alone. */
extern void nvmkv_wal_note(NvmkvSlice note);

/* The parts of a CHANGES record; false: it is malformed. */
extern bool nvmkv_wal_changes(NvmkvSlice data, NvmkvSlice *batch_out, NvmkvSlice *note_out);

/*
 * What replay is to do with a record: of CHANGES the WRITE that it is, or FENCE if it has no batch.  *data_out: within
 * data.
 */
extern uint8 nvmkv_wal_replayed(uint8 info, NvmkvSlice data, NvmkvSlice *data_out);

/* An id no storage of this cluster has had or will have. */
extern uint64 nvmkv_wal_new_storage_id(void);

/* A column family is there; it is gone, in the log for good. */
extern void nvmkv_wal_family_created(const NvmkvFamilyInfo *info);

/* It has other options; in the log for good. */
extern void nvmkv_wal_family_reshaped(const NvmkvFamilyInfo *info);
extern void nvmkv_wal_family_dropped(uint32 id);

/* Fills the log at least up to there. */
extern void nvmkv_wal_advance(XLogRecPtr to);

/*
 * While something is replayed that comes before the log (kept.h): the position of the log is there; 0: no more.  By
 * whoever replays it.
 */
extern void nvmkv_wal_set_earlier(XLogRecPtr position);

/* Everything that starts below durable_seq is flushed.  For the checkpoint barrier. */
extern void nvmkv_wal_checkpoint(uint64 durable_seq);

#endif
