/*
 * nvmkv.h
 *	  The engine's public interface: a multi-process LSM tree whose level 0 is a
 *	  matrix container in persistent memory.
 *
 * One database is one directory, one pool file and one shared-memory segment.
 * A process calls in; it creates no thread.  Background work
 * is done in bounded steps by whoever calls nvmkv_work.
 *
 * Sequence of life:
 *	  bytes = nvmkv_shm_bytes(&options); memory shared by all processes, zeroed
 *	  nvmkv_open(memory, dir, &options, &log, &db)		 once, in the first process; recovers manifest and pool
 *	  nvmkv_replay(db, ...) for each record above nvmkv_replay_seq(db)
 *		   (the host's log; the engine's own replays itself)
 *	  other processes are forked afterwards and inherit the handle
 *
 * Versions and transactions: an entry may carry the tag (fxid, cid) of the
 * transaction that wrote it.  Who sees it is asked of the host.
 */
#ifndef NVMKV_NVMKV_H
#define NVMKV_NVMKV_H

#include "engine/base/batch.h"
#include "engine/base/logops.h"
#include "engine/base/options.h"
#include "engine/base/txnops.h"

typedef struct NvmkvDb NvmkvDb; /* process-local handle */

/* ---------------------------------------------------------------- host's transactions */

/*
 * What a reader may see.  visible == NULL: untagged entries only (all entries of the standalone engine).
 * "sequence": entries above it are invisible (NVMKV_SEQUENCE_MAX for none: the server's snapshots go by fxid).
 * visible() is asked for tagged entries other than locks; key: theirs, for messages; committed_hint: the outcome is
 * known to be committed.
 * *memo (NULL where there is none) is a byte kept beside a memtable entry, 0 at first, for the host's own hint about
 * the outcome of fxid.
 * The callbacks may raise (see nvmkv_abort_cleanup).
 * horizon() is called outside of any epoch, by scans that have passed many versions: every transaction with a smaller
 * id has ended, and every snapshot that is held or will be taken knows how.  0: there is none.  With it scans leap
 * over ranges that are empty for all (tree/emptied.h); NULL: they pass all versions.  REQUIRES that what the snapshot
 * sees was written, nvmkv_write or nvmkv_replay having returned, before the scan looks there.
 */
typedef enum NvmkvSight
{
	NVMKV_UNSEEN = 0,
	NVMKV_SEEN, /* and of its key nothing older is */
	NVMKV_SEEN_OWN /* written by the reader itself: it may see what is beneath as well, see NvmkvScanRow */
} NvmkvSight;

typedef struct NvmkvSnapshot
{
	void *ctx;
	NvmkvSight (*visible)(void *ctx, NvmkvSlice key, uint64_t fxid, uint32_t cid, bool committed_hint, uint8_t *memo);
	uint64_t sequence;
	uint64_t (*horizon)(void *ctx);
} NvmkvSnapshot;

/* ---------------------------------------------------------------- open and close */

/*
 * Bytes of shared memory a database with these options needs.  0 when the options are out of range (see nvmkv_error).
 */
extern size_t nvmkv_shm_bytes(const NvmkvOptions *options);

/*
 * Opens (creates if the directory is empty or absent) the database; the only process that does so.
 * memory: nvmkv_shm_bytes(options) zeroed bytes, 64-byte aligned, that outlive the handle.  dir, options->nvm_path,
 * options->log_dir: copied. log: NULL only with options->standalone_log.  In that case the own log is replayed before
 * the call returns.
 * Errors: IO, NO_SPACE, CORRUPTION, VERSION, NOT_FOUND (pool is gone), INVALID (other system's files, options): the
 * text names file and remedy.
 * Leaves the gate closed for writes until nvmkv_open_gate.
 */
extern NvmkvStatus nvmkv_open(void *memory, const char *dir, const NvmkvOptions *options, const NvmkvLogOps *log,
							  NvmkvDb **db_out);

/*
 * A handle is used by one thread.  This makes one for another thread of the process, which calls it itself, and has a
 * process slot of its own (port_posix_set_slot); db: any handle, idle during the call.  All such handles are closed
 * before the one of nvmkv_open.  NO_MEMORY.
 */
extern NvmkvStatus nvmkv_open_thread(const NvmkvDb *db, NvmkvDb **thread_db_out);

/* Frees the handle (maps, descriptors, caches).  Flushes nothing. */
extern void nvmkv_close(NvmkvDb *db);

extern void nvmkv_set_txn_ops(NvmkvDb *db, const NvmkvTxnOps *ops); /* copied; this process only */
/* called when background work appears; this process only */
extern void nvmkv_set_wake(NvmkvDb *db, void (*wake)(void));

/* ---------------------------------------------------------------- column families */

/*
 * A column family is a tree of its own - memtables, container, levels, shape - that shares the database's log, so
 * that one batch may write to several and is in all of them or in none (nvmkv_batch_family).  The default family, 0,
 * is the handle that nvmkv_open gives; the others have handles of their own, from nvmkv_family, for reading and for
 * statistics.  Writing takes either: the batch says which families.  Everything else that is not said of one key or
 * range (work, flushing, gates, clean-up, verification) is done through the database's handle, for all families.
 */
#define NVMKV_FAMILY_NAME_BYTES 63

/* What of its options is a family's own; the others are the database's, whatever they are when it is opened. */
enum
{
	NVMKV_OWN_WRITE_BUFFER_BYTES = 1,
	NVMKV_OWN_MAX_WRITE_BUFFERS = 2,
	NVMKV_OWN_NVM_BYTES = 4,
	NVMKV_OWN_TARGET_FILE_BYTES = 8,
	NVMKV_OWN_BLOOM_BITS = 16,
	NVMKV_OWN_COMPRESSION = 32,
	NVMKV_OWN_REST = 64,
	NVMKV_OWN_ALL = 127
};

typedef struct NvmkvFamilyOptions
{
	uint32_t own; /* NVMKV_OWN_... */
	uint64_t write_buffer_bytes; /* the memtables together: at most what the database's own take */
	unsigned max_write_buffers;
	uint64_t nvm_bytes;			 /* 0: no container */
	uint64_t target_file_bytes;
	uint32_t block_bytes;
	unsigned bloom_bits_per_key;
	double l0_write_amplification;
	uint8_t compression[NVMKV_LEVELS];
} NvmkvFamilyOptions;

typedef struct NvmkvFamilyInfo
{
	unsigned id;
	char name[NVMKV_FAMILY_NAME_BYTES + 1];
	NvmkvFamilyOptions options;
} NvmkvFamilyInfo;

/* The database's own shape, but for the container: none.  All of it is the family's own. */
extern void nvmkv_family_options_default(const NvmkvDb *db, NvmkvFamilyOptions *options);

/*
 * Makes an empty family, durably.  id 0: chooses one, else that one; *id_out (may be NULL) is its number, a small one
 * that may have been a dropped family's.  A family of this name and number that is there already is left as it is.
 * INVALID: the name is taken, or an option is out of range.  LIMIT: max_families is reached, or the memory reserved
 * for a family is too small for its options.  BUSY: another process creates or drops one.
 */
extern NvmkvStatus nvmkv_family_create(NvmkvDb *db, unsigned id, const char *name, const NvmkvFamilyOptions *options,
									   unsigned *id_out);

/*
 * Gives a family other options, durably; it has them from the next open on.  NOT_FOUND; INVALID, LIMIT, BUSY as above.
 */
extern NvmkvStatus nvmkv_family_reshape(NvmkvDb *db, unsigned id, const NvmkvFamilyOptions *options);

/*
 * Raises what is reserved for families (family_slots, family_memtables_bytes) to what the families that there are in
 * "dir" need, so that options may go down without any of them being left out.  To be called with the same result
 * before nvmkv_shm_bytes and nvmkv_open.  Where the families cannot be read nothing changes: opening says why.
 */
extern void nvmkv_options_cover(NvmkvOptions *options, const char *dir);

/* Where a family's container is, or would be; bytes: of it now, wanted: of it by its options; 0: none. */
typedef struct NvmkvContainerInfo
{
	char path[1100];
	uint64_t bytes, wanted;
} NvmkvContainerInfo;

extern NvmkvStatus nvmkv_family_container(NvmkvDb *db, unsigned id, NvmkvContainerInfo *info_out);

/*
 * Drops a family and all that is in it, durably, and gives its space back.  REQUIRES that nobody reads or writes it
 * any more; background work is waited for.  NOT_FOUND; INVALID for the default family; BUSY, CANCELLED.
 */
extern NvmkvStatus nvmkv_family_drop(NvmkvDb *db, unsigned id);

/*
 * The host keeps what the log has for the family from there on, and will replay it; 0: it keeps nothing any more.  Of a
 * family that cannot be used the anchor vouches only up to there.  While it is replayed (nvmkv_replay_to) the host says
 * how far it has got: the family's position in the log is there, and that of the others is not concerned.  Kept in
 * shared memory until the next open; what is not known then must be said before anybody else uses the database.
 */
extern void nvmkv_family_set_kept(NvmkvDb *db, unsigned id, uint64_t from);

/*
 * The family fails, as the last failure says: until the next open it cannot be used, as if it could not have been
 * opened.  What is in its memtables is let go.  REQUIRES as nvmkv_family_drop: nobody reads or writes it; background
 * work is waited for.  BUSY, CANCELLED, NOT_FOUND: it is as it was.
 */
extern NvmkvStatus nvmkv_family_give_up(NvmkvDb *db, unsigned id);

/*
 * This process's handle of a family, good until the family is dropped.  NOT_FOUND.  Where the family could not be
 * opened: the status and text of that.
 */
extern NvmkvStatus nvmkv_family(NvmkvDb *db, unsigned id, NvmkvDb **family_out);

/*
 * All families but the default one, by number, with the options that the next open gives them; fills up to max and
 * returns how many there are.
 */
extern unsigned nvmkv_family_list(NvmkvDb *db, NvmkvFamilyInfo *list_out, unsigned max);

/* ---------------------------------------------------------------- write */

/*
 * Writers are let in / kept out (shutdown; recovery).  close waits for writers inside (short) and is final for those
 * who come later.
 */
extern void nvmkv_open_gate(NvmkvDb *db);
extern NvmkvStatus nvmkv_close_gate(NvmkvDb *db);

/*
 * Logs and applies a batch.  REQUIRES: writers of one key are serialised by the caller from the moment it decides
 * what to write.
 * Never waits.  OK: in the log (not flushed) and visible to readers according to its tags; *last_sequence_out its
 * last sequence.
 * BUSY: nothing happened: there is no room, or writers are slowed down and it is not this one's turn; let go of
 * locks, nvmkv_wait_room, try again.  LIMIT: key/value/batch too big.  READ_ONLY:
 * gate closed or sticky failure.
 * NO_SPACE: the background work has no space to make room; nothing happened.
 * If log->append raises, nothing was applied and nvmkv_abort_cleanup puts the rest right.
 */
extern NvmkvStatus nvmkv_write(NvmkvDb *db, const NvmkvBatch *batch, uint64_t *last_sequence_out);

/* The largest batch.memtable_bytes that nvmkv_write can ever take. */
extern size_t nvmkv_batch_bytes_max(const NvmkvDb *db);

/*
 * Waits for the turn of, and then room for, a batch of this size.  OK: try again.  CANCELLED, NO_SPACE, READ_ONLY as
 * said.  Counts the stall.  Hold nothing.
 */
extern NvmkvStatus nvmkv_wait_room(NvmkvDb *db, size_t memtable_bytes);

/*
 * While writers are slowed down: waits until a batch of this size has its turn, so that nvmkv_write does not say BUSY
 * when it comes with locks held.  db: of the family that is written to.  Costs next to nothing at other times.  OK,
 * CANCELLED, READ_ONLY.  Counts the delay.  Hold nothing.
 */
extern NvmkvStatus nvmkv_wait_turn(NvmkvDb *db, size_t memtable_bytes);

/*
 * Applies a record found in the log at recovery: base_sequence is that of its first entry.  Flushes in this process
 * when buffers fill up.
 */
extern NvmkvStatus nvmkv_replay(NvmkvDb *db, NvmkvSlice batch, uint64_t base_sequence);

/* The same for the entries of some families (bit: number) alone. */
extern NvmkvStatus nvmkv_replay_to(NvmkvDb *db, NvmkvSlice batch, uint64_t base_sequence, uint32_t families);

/*
 * Families (bit: number) that the record has entries of, which they may not have, and that cannot be used: nvmkv_replay
 * fails because of them, and a host that keeps the record for them leaves them out.  None where the log's loss is
 * accepted (NvmkvOptions.loses_log).  CORRUPTION.
 */
extern NvmkvStatus nvmkv_replay_away(NvmkvDb *db, NvmkvSlice batch, uint64_t base_sequence, uint32_t *families_out);

/* Makes the log durable up to a sequence (standalone hosts; the server flushes at commit). */
extern NvmkvStatus nvmkv_sync(NvmkvDb *db, uint64_t sequence);

/* ---------------------------------------------------------------- read */

/* One version of a key, as a visitor sees it; slices are valid during the call only. */
typedef struct NvmkvVersion
{
	uint64_t sequence;
	unsigned type;
	NvmkvTxnTag txn;
	NvmkvSlice value;
	uint8_t *memo; /* see NvmkvSnapshot; NULL outside memtables */
} NvmkvVersion;

/*
 * Newest value of "key" that "snapshot" sees, copied into *value_out (replaced).
 * *version_out (may be NULL): its sequence, type, txn.  NOT_FOUND: none, or a tombstone.
 * CORRUPTION, IO, NO_MEMORY.  Lock-free; may read files.
 */
extern NvmkvStatus nvmkv_get(NvmkvDb *db, NvmkvSlice key, const NvmkvSnapshot *snapshot, NvmkvBuf *value_out,
							 NvmkvVersion *version_out);

/* All versions of "key", newest first (an exact repetition may be shown twice); visit returns false to stop. */
extern NvmkvStatus nvmkv_versions(NvmkvDb *db, NvmkvSlice key, bool (*visit)(void *ctx, const NvmkvVersion *version),
								  void *ctx);

/*
 * The same for whoever knows what there was when a scan read the key in a batch with this mark (nvmkv_scan_mark): where
 * the memtables alone can have more by now, they alone are asked, and *all_out is false.
 */
extern NvmkvStatus nvmkv_versions_since(NvmkvDb *db, NvmkvSlice key, uint64_t mark,
										bool (*visit)(void *ctx, const NvmkvVersion *version), void *ctx,
										bool *all_out);

/*
 * The same for several keys, one after the other; ctx and all are each one's own.  What is asked for together, in
 * ascending order best, is found with less work.
 */
typedef struct NvmkvLook
{
	NvmkvSlice key;
	uint64_t mark; /* 0: none */
	void *ctx;
	bool all;
} NvmkvLook;

extern NvmkvStatus nvmkv_versions_of_keys(NvmkvDb *db, NvmkvLook *looks, unsigned n,
										  bool (*visit)(void *ctx, const NvmkvVersion *version));

/*
 * *free_out true: no key begins with these bytes, which are a storage id at least, not even one whose versions were
 * all rolled back.  false: there may be some, and a scan tells.  Costs much less than one.  Lock-free; may read files.
 */
extern NvmkvStatus nvmkv_prefix_is_free(NvmkvDb *db, NvmkvSlice prefix, bool *free_out);

/*
 * Scan of [lower, upper) forwards or backwards, in batches: between two batches the process is in no epoch, so an
 * open scan holds nothing back, however long.  The snapshot's callback decides what is shown.
 */
typedef struct NvmkvScan NvmkvScan;

/*
 * newest: it was the first entry of its key that there was, row locks included, when the batch was read.
 *
 * beneath: not a row, but a hint that has a key only.  The newest version of it that the reader sees is its own, and
 * beneath that is a deletion which it does not see: an older row with this key may be there for it as well.  It stands
 * beside the key's row, if that is shown: before it forwards, after it backwards.
 */
typedef struct NvmkvScanRow
{
	NvmkvSlice key;
	NvmkvSlice value;
	NvmkvTxnTag txn;
	uint64_t sequence;
	bool newest;
	bool beneath;
} NvmkvScanRow;

typedef struct NvmkvScanStats
{
	uint64_t rows;			  /* shown */
	uint64_t versions_passed; /* entries looked at and not shown */
	uint64_t leaps;			  /* over ranges that were known to be empty */
	uint64_t batches;
	uint64_t memtable_entries, level0_entries, table_entries; /* shown rows by where they came from */
} NvmkvScanStats;

extern NvmkvStatus nvmkv_scan_create(NvmkvDb *db, NvmkvScan **scan_out);

/* (Re)starts.  Slices are copied.  upper.size 0: no upper bound.  snapshot: pointer kept. */
extern NvmkvStatus nvmkv_scan_start(NvmkvScan *scan, NvmkvSlice lower, NvmkvSlice upper, bool reverse,
									const NvmkvSnapshot *snapshot);

/* From the next batch on rows come without their values (of size 0), for whoever counts or wants keys only. */
extern void nvmkv_scan_keys_only(NvmkvScan *scan);

/*
 * Fetches up to max_rows rows (the last one may have a hint beside it) or about max_bytes bytes (at least one row).
 * *rows_out stays valid until the next call on the scan.
 * *count_out 0: the end.
 */
extern NvmkvStatus nvmkv_scan_batch(NvmkvScan *scan, unsigned max_rows, size_t max_bytes, const NvmkvScanRow **rows_out,
									unsigned *count_out);
extern const NvmkvScanStats *nvmkv_scan_stats(const NvmkvScan *scan);

/* Stands for what the last batch was read from: see nvmkv_versions_since().  Never 0. */
extern uint64_t nvmkv_scan_mark(const NvmkvScan *scan);
extern void nvmkv_scan_destroy(NvmkvScan *scan); /* NULL is fine */

/* Estimates for a planner: entries and bytes in [lower, upper), from counters and indexes; no data block is read. */
typedef struct NvmkvEstimate
{
	double entries;
	double bytes;
	double sources; /* sorted sources a lookup has to ask */
} NvmkvEstimate;

extern NvmkvStatus nvmkv_estimate(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, NvmkvEstimate *estimate_out);

/*
 * Whatever the calling process left inside the engine when its host raised: epoch, writer registration. Cheap; call
 * at every abort and at exit.
 */
extern void nvmkv_abort_cleanup(NvmkvDb *db);

/* Reclamation in this process: closes cached files that are gone from the current version. */
extern void nvmkv_tidy(NvmkvDb *db);

/* ---------------------------------------------------------------- outcomes of transactions */

/*
 * The database's own commit log, so that the host may forget outcomes while entries still carry their transactions'
 * ids (db/outcome.c).  The host settles: it tells of consecutive transactions, all of which have ended, which of them
 * committed; up to nvmkv_settled the database answers then.
 */
typedef enum NvmkvSettled
{
	NVMKV_SETTLED_NOT_YET, /* the host is to be asked */
	NVMKV_SETTLED_ABORTED,
	NVMKV_SETTLED_COMMITTED,
	NVMKV_SETTLED_LOST /* nobody knows */
} NvmkvSettled;

/* Every transaction below it is settled. */
extern uint64_t nvmkv_settled(NvmkvDb *db);

/* Lock-free; may read a file.  Anywhere, also inside the callbacks of a snapshot.  IO, NO_MEMORY. */
extern NvmkvStatus nvmkv_settled_outcome(NvmkvDb *db, uint64_t fxid, NvmkvSettled *outcome_out);

/* Largest transaction id of a write since the memory was made; 0: there was none.  Those running count from their first
 * write on. */
extern uint64_t nvmkv_last_written_fxid(NvmkvDb *db);

/*
 * Settling, by one process at a time:
 *	  nvmkv_settle_begin		waits for its turn; CANCELLED, READ_ONLY
 *	  nvmkv_settle_prepare		makes room for transactions [from, to) of one segment, that is, with equal quotients by
 *								2^20; may write a file
 *	  (the host's log)
 *	  nvmkv_settle				applies; cannot fail.  from = nvmkv_settled
 *	  nvmkv_settle_end
 * bits: from the byte that has the bit of "from" on, transaction x in bit x % 8; NULL: none has committed, then the
 * range may be of any size and needs no preparation.  sequence: where the log must be durable to before its record may
 * be forgotten.  A range that is settled already changes nothing.  What aborts in between is taken apart by
 * nvmkv_abort_cleanup.
 */
#define NVMKV_SETTLE_SEGMENT_XIDS (UINT64_C(1) << 20)
extern NvmkvStatus nvmkv_settle_begin(NvmkvDb *db);
extern NvmkvStatus nvmkv_settle_prepare(NvmkvDb *db, uint64_t from, uint64_t to);
extern void nvmkv_settle(NvmkvDb *db, uint64_t from, uint64_t to, const uint8_t *bits, uint64_t sequence);
extern void nvmkv_settle_end(NvmkvDb *db);

/* The same where nobody knows any more: durable on OK.  REQUIRES as nvmkv_settle. */
extern NvmkvStatus nvmkv_settle_lost(NvmkvDb *db, uint64_t from, uint64_t to, uint64_t sequence);

/* What is settled is durable on OK; nvmkv_flush_all does the same. */
extern NvmkvStatus nvmkv_save_outcomes(NvmkvDb *db);

/*
 * Shows what is settled and not durable, in order, as ranges and bits as nvmkv_settle takes them, each of one segment
 * where it has bits.  For a host that keeps it elsewhere because it cannot be saved; before that counts, the log must
 * be durable up to *sequence_out.  What visit says; CANCELLED.
 */
extern NvmkvStatus nvmkv_unsaved_outcomes(NvmkvDb *db,
										  NvmkvStatus (*visit)(void *ctx, uint64_t from, uint64_t to,
															   const uint8_t *bits),
										  void *ctx, uint64_t *sequence_out);

/*
 * Somebody's word for those of [from, to) that are lost; durable on OK, and of a part at failure.  *count_out: how many
 * they were.  REQUIRES nvmkv_settle_begin.
 */
extern NvmkvStatus nvmkv_set_outcome(NvmkvDb *db, uint64_t from, uint64_t to, bool committed, uint64_t sequence,
									 uint64_t *count_out);

/* ---------------------------------------------------------------- background work */

typedef enum NvmkvWork
{
	NVMKV_WORK_FLUSH,	/* oldest immutable memtable -> a row (or an SSTable) */
	NVMKV_WORK_COMPACT, /* one column of the compactor -> level 1; picks a batch if none runs and the gate says so */
	NVMKV_WORK_RECLAIM	/* extents, files, buffers that no reader can see any more */
} NvmkvWork;

/*
 * One bounded step.  *more_out: call again soon.  OK also when there was nothing to do (*did_out false).
 * BUSY: another process does it, or a writer has not finished; come again.  Failures are also remembered
 * (nvmkv_stats) and retried by calling again; sync failures are sticky.
 */
extern NvmkvStatus nvmkv_work(NvmkvDb *db, NvmkvWork work, bool *did_out, bool *more_out);

/*
 * Bytes a second that compaction of all processes may write, at once; 0: any number.  It does not apply while writers
 * would have to wait for it.
 */
extern void nvmkv_set_compaction_rate(NvmkvDb *db, uint64_t bytes_per_second);

/* Makes the active memtable immutable (unless it is empty).  BUSY: no free buffer yet. */
extern NvmkvStatus nvmkv_switch_memtable(NvmkvDb *db);

/*
 * Everything written before the call is in rows or SSTables on OK; does the work in this process or waits for others'
 * steps.
 */
extern NvmkvStatus nvmkv_flush_all(NvmkvDb *db);

/*
 * Shows every entry that was written before the call and is in no row or table of a tree that reaches up to "durable",
 * which is nvmkv_stored_seq as it was before the call: as batches of one, which nvmkv_replay takes.  In no order;
 * others may be among them.  For a host that keeps them elsewhere because they cannot be flushed; before that counts,
 * the log must be durable up to the largest sequence.  What visit says; CANCELLED.
 */
extern NvmkvStatus nvmkv_unflushed(NvmkvDb *db, uint64_t durable,
								   NvmkvStatus (*visit)(void *ctx, uint64_t sequence, NvmkvSlice batch), void *ctx);

/*
 * Drains the container wholly into level 1, gate or not, and the levels until none is over its target.  In this
 * process, and any other that lends a hand.
 */
extern NvmkvStatus nvmkv_compact_all(NvmkvDb *db);

/*
 * Flushes and drains as above, then takes everything in [lower, upper) (upper.size 0: no upper bound) down to the
 * lowest level that has any of it, and writes what is there anew: what no reader can see any more gives its space back.
 * CANCELLED between tables.
 */
extern NvmkvStatus nvmkv_compact_range(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper);

/*
 * Accepts that damage in [lower, upper) (upper.size 0: no upper bound) has cost what it has: compacts the range, as
 * nvmkv_compact_range does, and from then on keys whose versions are lost read as absent, or as what is left of them,
 * and can be written again.  Nothing damaged is left in the range on OK.  CANCELLED between tables: to be called again.
 */
extern NvmkvStatus nvmkv_forget_damage(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper);

/*
 * For copies of the running database's files, made by whoever reads them one by one (see db/backup.c).  The host keeps
 * the list of copies, under a lock of its own:
 *	  stamp = nvmkv_copy_begin(db)					a copy begins: table files that leave the tree stay from now on
 *	  nvmkv_copy_point(db, &position)				writes a backup point, before the copier looks at the directory
 *	  nvmkv_copy_oldest(db, stamp or 0)				a copy has ended: the smallest stamp that is left
 *	  nvmkv_copy_release(db)						without the lock: deletes what nobody needs any more
 * A copy is opened with NvmkvOptions.restore_from = the position from which its log will be replayed; a point at or
 * behind that, and before the end of that log, must be in it.
 */

/* REQUIRES the host's lock, as does nvmkv_copy_oldest.  Stamps ascend, and are microseconds of the clock most often. */
extern uint64_t nvmkv_copy_begin(NvmkvDb *db);
extern void nvmkv_copy_oldest(NvmkvDb *db, uint64_t stamp);

/*
 * Flushes, drains the container and writes a backup point of each tree, durably.  *position_out: every record that
 * starts below it is in the point.  Several processes may do this at once.  CANCELLED, and what flush and compaction
 * may return.
 */
extern NvmkvStatus nvmkv_copy_point(NvmkvDb *db, uint64_t *position_out);

/* Cheap where there is nothing to do. */
extern void nvmkv_copy_release(NvmkvDb *db);

/* Are there copies? */
extern bool nvmkv_copy_is_held(const NvmkvDb *db);

typedef struct NvmkvCopyHeld
{
	uint64_t files, bytes; /* kept, of this stamp or a later one */
	uint64_t tree_bytes;   /* of the tables that are in use, for comparison */
	bool is_full;		   /* there is no room in the list: further files stay until the next open */
} NvmkvCopyHeld;

extern void nvmkv_copy_held(NvmkvDb *db, uint64_t stamp, NvmkvCopyHeld *held_out);

/*
 * For a host whose log goes its own way (NvmkvOptions.anchored): what it may rely on, durably, and what a later open is
 * asked (meta/agreement.h).  Without an anchor they do nothing.  IO, NO_SPACE, READ_ONLY (the manifest failed),
 * CANCELLED.
 *
 * opens: before the first record is written or replayed.  Everything that was is in files; nobody writes.  Of a
 * family's handle: that tree alone, for what is replayed into it alone.
 * closes: writers are kept out, and everything is in files.  The log may go on as far as it likes, and be let go.
 * There is no compaction until it opens again.
 * let_go: everything that starts below the position is in files (nvmkv_flush_all), and the log is durable up to there;
 * on OK it may be let go below it.
 */
extern NvmkvStatus nvmkv_log_opens(NvmkvDb *db);
extern NvmkvStatus nvmkv_log_closes(NvmkvDb *db);
extern NvmkvStatus nvmkv_log_let_go(NvmkvDb *db, uint64_t position);

/* CORRUPTION: the database has what was logged behind the log's end. */
extern NvmkvStatus nvmkv_check_log_end(NvmkvDb *db, uint64_t end);

/* Every log record that starts below this is in rows or SSTables. */
extern uint64_t nvmkv_durable_seq(NvmkvDb *db);

/* The same as it is on disk, where it may be behind: a later open finds that. */
extern uint64_t nvmkv_stored_seq(NvmkvDb *db);

/*
 * Log records that start below this need not be replayed.  It is lower than nvmkv_durable_seq where a column family
 * cannot be used: what the log has for that one, and it may not have, must not be passed over.
 */
extern uint64_t nvmkv_replay_seq(NvmkvDb *db);

/* Smallest fxid whose outcome is not stored in rows or files; 0 none. The host must be able to answer for it. */
extern uint64_t nvmkv_min_unresolved_fxid(NvmkvDb *db);

/*
 * Walks everything; problem() gets each finding in a sentence.  OK even with findings; failures only when the walk
 * itself could not go on.
 */
extern NvmkvStatus nvmkv_check(NvmkvDb *db, void (*problem)(void *ctx, const char *where, const char *text), void *ctx);

/*
 * What there is of versions whose transactions' outcomes are lost, one call for each prefix of keys (prefix_bytes of
 * the options; 0: one for all).  Row locks and marks of dropped storages do not count.  Reads every source with
 * unresolved entries, and goes round what is damaged in it.  What is flushed or
 * compacted meanwhile may count twice.  Takes no lock; each() is called outside of the engine.  CANCELLED, NO_MEMORY.
 */
typedef struct NvmkvLostVersions
{
	NvmkvSlice first_key, last_key; /* until each() returns */
	uint64_t versions, first_fxid, last_fxid;
} NvmkvLostVersions;

extern NvmkvStatus nvmkv_lost_versions(NvmkvDb *db, void (*each)(void *ctx, const NvmkvLostVersions *lost), void *ctx);

#include "engine/nvmkv_stats.h"

#endif
