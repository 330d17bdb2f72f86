/*
 * kept.h
 *	  WAL of foreign tables that the tree cannot take is kept in nvmkv_kept in
 *	  the data directory (engine/log/kept_log.h), until the tree can.
 *
 * Who keeps:
 *	  recovery		without an engine, or with one that has failed for good: each record, durable before a checkpoint
 *					record counts and when recovery ends
 *	  the barrier	when memtables cannot be flushed, at a checkpoint or at the end: what is in them and nowhere else,
 *					and outcomes of transactions that are in no file
 *
 * What is kept belongs before all other WAL: at the next start that has an
 * engine it is replayed before anything else is, by the startup process or the
 * barrier, and removed once all of it is in rows and tables.  Until then nobody
 * gets at foreign tables.  Meanwhile the engine's position in the log is where that
 * replay is, so that no flush counts as durable what is still to come, and a
 * crash begins it again from where it got to.
 *
 * Column families that cannot be used while the others can have files of their own: see keptpart.h.
 *
 * nvmkv.ignore_lost_wal gives up what cannot be replayed, with a WARNING at each start.
 */
#ifndef NVMKV_FDW_KEPT_H
#define NVMKV_FDW_KEPT_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "engine/nvmkv.h"
#include "fdw/host/keptcheck.h"

/* shmem_request_hook and shmem_startup_hook. */
extern void nvmkv_kept_shmem_request(void);
extern void nvmkv_kept_shmem_init(void);

/*
 * In the process that is about to open the engine: sets where the log begins for it, with what is kept, which is
 * pending now.  IO and the like when that cannot be found out.
 */
extern NvmkvStatus nvmkv_kept_find(NvmkvOptions *options);

/* And when it is open: what is kept of families that are there is pending, too. */
extern void nvmkv_kept_opened(NvmkvDb *db);

/* Something is still to be replayed. */
extern bool nvmkv_kept_is_pending(void);

/*
 * Replays, flushes and removes what is pending.  next: where the log is replayed from after that; invalid when it is
 * not, since everything was in order at the end.  Any failure leaves it as it was, to be begun again by the next
 * start; CORRUPTION: something of it is missing or damaged.
 */
extern NvmkvStatus nvmkv_kept_replay(NvmkvDb *db, XLogRecPtr next);

/* Why a replay that is pending has failed for the first time, though it goes on being tried: OK when it has not. */
extern NvmkvStatus nvmkv_kept_obstacle(const char **text_out);

/* ---- recovery; FATAL when it cannot be kept ---- */

/* Recovery begins to replay at redo.  db: NULL without an engine. */
extern void nvmkv_kept_begin(NvmkvDb *db, XLogRecPtr redo);

/* Keeps a record, of what replay does with it (nvmkv_wal_replayed). */
extern void nvmkv_kept_record(uint8 info, XLogRecPtr start, XLogRecPtr end, NvmkvSlice data);

/* All records below "upto" that are to be kept are durable now; "end": recovery ends. */
extern void nvmkv_kept_mark(XLogRecPtr upto, bool end);

/* The engine is given up before the record at "upto": what is in its memtables is kept, and records from there on. */
extern void nvmkv_kept_give_up(NvmkvDb *db, XLogRecPtr upto);

/* ---- the barrier ---- */

/*
 * Keeps what is in memtables and not flushed, in place of what was kept so before.  On OK it is durable, and the WAL
 * below "upto" is not needed any more.
 */
extern NvmkvStatus nvmkv_kept_memtables(NvmkvDb *db, XLogRecPtr upto);

/*
 * Everything was flushed: what this process has kept of memtables goes.  What cannot be removed is found at the next
 * start.
 */
extern void nvmkv_kept_flushed(void);

#endif
