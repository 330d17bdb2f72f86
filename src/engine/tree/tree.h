/*
 * tree.h
 *	  The database handle and its part of shared memory.
 *
 * Shared memory, one segment: DbShm, then epochs, memtables, versions, pool
 * bitmap, list of retired things, counters of each slot, block cache, own log;
 * offsets are in DbShm.
 *
 * Who may do background work is not a lock but a claim: a word that names the
 * claimer's process slot.  A claim is held through long I/O without holding
 * interrupts off, and a dead or aborted process's claim can be found and taken
 * away (nvmkv_abort_cleanup).  Compactions, of which several run at once, claim
 * key ranges (running.h).
 */
#ifndef NVMKV_TREE_TREE_H
#define NVMKV_TREE_TREE_H

#include "engine/tree/bucket.h"
#include "engine/tree/running.h"
#include "engine/tree/write_rate.h"
#include "engine/log/log_group.h"
#include "engine/mem/mempool.h"
#include "engine/meta/manifest.h"
#include "engine/nvm/pool.h"
#include "engine/nvmkv.h"
#include "engine/sst/sst_iter.h"
#include "engine/sst/table_cache.h"

#define DB_JOBS 32
#define DB_ENDED_LOGS_MAX 64
#define DB_LOST_VALUES_MAX 256

typedef enum DbClaim
{
	DB_CLAIM_FLUSH,	  /* the oldest immutable memtable, and the receiver's newest row */
	DB_CLAIM_VALUES,  /* dead value tables */
	DB_CLAIM_ANCHOR,  /* root only: the anchor, and which families there are (anchoring.c) */
	DB_CLAIM_LOST_REFS, /* what tables that cannot be read refer to */
	DB_CLAIM_OUTCOMES, /* the outcome record (outcome.c) */
	DB_CLAIMS
} DbClaim;

/* Statistics counters (port_count). */
typedef struct DbCounters
{
	uint64_t nvm_bytes, file_bytes, file_read_bytes;
	uint64_t flushes, columns, batches, files_written, files_deleted;
	uint64_t entries_frozen, entries_dropped_aborted, entries_dropped_obsolete;
	uint64_t stalls[NVMKV_STALL_CAUSES], stall_us[NVMKV_STALL_CAUSES];
	uint64_t delays[NVMKV_STALL_CAUSES], delay_us[NVMKV_STALL_CAUSES];
	uint64_t errors;
	uint64_t damages; /* ranges that compaction went round */
	uint64_t level_bytes_read[VERSION_LEVELS], level_bytes_written[VERSION_LEVELS], level_bytes_taken[VERSION_LEVELS];
} DbCounters;

/*
 * Counters of what happens too often for a shared one: each process slot has its own, written by its process alone.
 * One more is for a process without slot, which is alone then.
 */
typedef struct DbSlotCounters
{
	_Alignas(64) uint64_t gets;
	uint64_t get_hits, scans;
	uint64_t filter_useful, filter_passed;
	uint64_t data_reads, sources_skipped;
	_Alignas(64) uint64_t writes;
	uint64_t entries_written, user_bytes, log_bytes;
	uint64_t last_sequence; /* largest applied */
} DbSlotCounters;

typedef enum DbJobKind
{
	DB_JOB_NONE,
	DB_JOB_FLUSH,
	DB_JOB_COLUMN,
	DB_JOB_LEVEL,
	DB_JOB_KINDS
} DbJobKind;

/* A running or finished job; written by the one who does it, read by anyone: "generation" is odd while it changes. */
typedef struct DbJob
{
	uint32_t generation;
	uint32_t kind;	/* DbJobKind */
	uint32_t phase; /* DbJobPhase */
	uint32_t owner; /* claim word of the process */
	uint64_t takes;					/* bytes it takes away from where writers need room (write_control.h) */
	uint64_t drained[DB_JOB_KINDS]; /* what the element's jobs of each kind have taken */
	NvmkvJobStats stats;			/* without the names */
} DbJob;

typedef enum DbJobPhase
{
	DB_PHASE_PICKING,
	DB_PHASE_MERGING,
	DB_PHASE_SYNCING,
	DB_PHASE_INSTALLING,
	DB_PHASE_FINISHED,
	DB_PHASE_FAILED
} DbJobPhase;

typedef enum DbSticky
{
	DB_STICKY_NO,
	DB_STICKY_BEING_SET,
	DB_STICKY_SET
} DbSticky;

typedef struct DbRetiredShm DbRetiredShm; /* retire.c */
typedef struct OutcomeShm OutcomeShm;	  /* outcome.c */
typedef struct OutcomeCache OutcomeCache;

/* How fast writers may be (write_control.h). */
typedef struct DbWriteControl
{
	_Alignas(64) uint64_t rate; /* bytes a second for all writers together; 0: no limit */
	uint32_t cause;				/* NvmkvStallCause */
	uint32_t pressed;			/* some reserve is not whole */
	uint64_t looked_us;
	uint32_t looking;			/* claim word of the process that looks, 0: nobody does */
	WriteMeter meters[NVMKV_STALL_CAUSES]; /* changed by who looks */
	uint32_t worker;			/* claim word of the process that did background work last, and when */
	uint64_t worked_us;
	uint32_t failing[NVMKV_STALL_CAUSES]; /* the last step that was to make room failed */
	Bucket bucket;
} DbWriteControl;

/* How fast compaction may write (work_limit.h). */
typedef struct DbWorkLimit
{
	_Alignas(64) uint64_t rate; /* bytes a second; 0: no limit */
	uint64_t urgent_us;			/* somebody waited for compaction at this time */
	PortCond wait;				/* never signalled: naps that can be interrupted */
	Bucket bucket;
} DbWorkLimit;

typedef struct DbShm
{
	uint64_t magic;
	uint64_t bytes;
	/*
	 * log_off 0: the host's log.  families_off 0: there can be no other families.  A family has no log, no
	 * cache and no outcome record: it uses the root's.
	 */
	uint64_t epochs_off, memtables_off, versions_off, pool_off, retired_off, slot_counters_off;
	uint64_t cache_off, log_off, families_off, outcomes_off;

	/* root only: the last sequence that was seen, and since when (value.c) */
	uint64_t quiet_sequence, quiet_since_us;

	uint64_t next_drop_us;		  /* when to look for tables of dropped storages again */
	/*
	 * Taken by fetch-add, recorded with every edit.  Files of all families are numbered by the root: the block cache
	 * knows them by their numbers.
	 */
	uint64_t next_file, next_row;
	uint32_t claims[DB_CLAIMS];	  /* slot + 1 */
	uint32_t accepting;			  /* writers are welcome */
	uint32_t no_space;			  /* the last flush or compaction found no space; cleared by the next that succeeds */
	uint32_t pool_full;			  /* the last flush found no extent: compaction is wanted whatever the gate says */
	uint32_t level_steps;		  /* of level compaction since a column was last looked for (column.c) */
	/* compaction would start a batch but a flush runs: the flush does it when it is done */
	uint32_t batch_wanted;
	uint32_t drain_wanted; /* a row was found damaged: the sooner compaction goes round that, the less it costs */
	/* Of the root, about copies of the files (backup.c): stamps of the last one, of the oldest that lives (0: none) */
	uint64_t copy_clock, copy_oldest;
	uint64_t copy_keep, copy_released; /* what is older can go; has gone */
	uint32_t sticky;			  /* DbSticky */
	char sticky_cause[256];		  /* written once */
	uint32_t nvm_is_pmem;
	uint32_t has_pool; /* open; set once */

	uint64_t last_error_clock_us;
	uint32_t last_error_status;
	char last_error[256]; /* racy text, for people */

	PortCond progress; /* broadcast after every finished step */
	DbCounters counters;
	DbSlotCounters slot_counters_base; /* sums at the last reset */
	RunningShm running;
	/* Value tables of which something could not be read: collecting them would not come to an end.  0: none. */
	uint64_t lost_values[DB_LOST_VALUES_MAX];
	uint32_t next_lost_values;
	DbKey compact_pointers[VERSION_LEVELS]; /* where level compaction goes on: behind this key; under running's lock */
	DbWriteControl control;
	DbWorkLimit work_limit;
	uint64_t next_job;
	DbJob jobs[DB_JOBS];

	/* Root only: this opening's number, and the anchor as it was written last; changed under the claim. */
	uint64_t incarnation;
	Anchor anchor;

	/* Of the standalone log; only the holder of the FLUSH claim looks at them. */
	uint64_t log_bytes_ended; /* written when the current file began */
	uint32_t nended_logs;
	struct
	{
		uint64_t number, last_sequence;
	} ended_logs[DB_ENDED_LOGS_MAX]; /* full files, oldest first */
} DbShm;

struct NvmkvDb
{
	DbShm *shm;
	NvmkvOptions options;
	char dir[1024];
	char nvm_path[1024];
	char log_dir[1024];
	EpochShm *epochs;
	MemPool mem;
	VersionSet versions;
	DbRetiredShm *retired;
	DbSlotCounters *slot_counters; /* of each process slot */
	SstCache blocks;
	OutcomeShm *outcomes;		 /* the root's */
	OutcomeCache *outcome_cache; /* the same; NULL: not needed yet */
	NvmPool *pool; /* NULL: no container; see db_container_bytes for one that is given up */
	bool is_thread; /* made by nvmkv_open_thread: the pool is another handle's */
	TableCache *tables;
	NvmkvLogOps log;
	LogGroup *own_log; /* standalone only */
	bool replaying;	   /* the own log is being read: nothing is appended to it */
	uint64_t replay_position;
	NvmkvTxnOps txn;
	bool has_txn;
	void (*wake)(void);
	uint64_t tidied_version; /* version at the last nvmkv_tidy */
	uint64_t unlooked_bytes; /* written since this process last looked at the room for writes */
	uint64_t paid_bytes;	 /* of the next writes: their turn has come */
	struct Flush *flush;	 /* under way in this process, NULL: none */
	struct Compaction *compaction; /* the same */
	VersionImage *collecting;	   /* the same of the collection of values: the version it goes by */
	const struct DamageRange *forgetting; /* keys whose loss is accepted by the call that is under way; NULL: none */

	/* Column families (family.c).  In a family's handle: root is the database's handle. */
	NvmkvDb *root;					  /* itself in the database's handle */
	bool has_no_point;				  /* it could not be opened: it is a copy without backup point */
	unsigned family;				  /* number; 0: the default family, that is, the root */
	uint64_t family_birth;			  /* FamilySlot.births when this handle was made */
	const Agreement *agreement;		  /* root only, while it is being opened: NULL, or what is asked of the trees */
	NvmkvDb *families[NVMKV_FAMILIES_MAX]; /* root only: the handles of this process; [0] is the root */
	unsigned busy_family;			  /* root only: had no room for the last batch */
	size_t busy_bytes;
	unsigned work_turn;				  /* root only: the family that is asked first for work */
	SstIter point;			 /* of the point lookup that is under way; table NULL: none is */
	NvmkvBuf apart;			 /* the value apart that the lookup's visitor is shown */
};

/* ---- helpers shared by the files of this folder and job/ ---- */

static inline void
db_enter(NvmkvDb *db)
{
	int slot = port_process_slot();

	if (slot < 0)
		return;
	if (db->root != db)
		epoch_enter(db->root->epochs, slot); /* the block cache's */
	epoch_enter(db->epochs, slot);
}

static inline void
db_leave(NvmkvDb *db)
{
	int slot = port_process_slot();

	if (slot < 0)
		return;
	epoch_leave(db->epochs, slot);
	if (db->root != db)
		epoch_leave(db->root->epochs, slot);
}

/*
 * Bytes of the container that new rows may take; 0: there is none, or it is given up.  In the latter case no row is
 * added, those that are there are drained, and flushes wait for that: tables are older than any row.
 */
static inline uint64_t
db_container_bytes(const NvmkvDb *db)
{
	return db->pool != NULL ? (uint64_t) db->pool->usable * NVM_EXTENT_BYTES : 0;
}

/* Pages of the pool this process found gone so far (port_guard.h). */
static inline uint32_t
db_pages_lost(const NvmkvDb *db)
{
	return db->pool != NULL ? port_guard_lost(&db->pool->dev->guard) : 0;
}

/*
 * The status of a call that has used what lies in the map, at its end: IO if a page was lost since "before", when the
 * call began.
 */
static inline NvmkvStatus
db_settled(const NvmkvDb *db, uint32_t before, NvmkvStatus status)
{
	return __builtin_expect(db_pages_lost(db) != before, 0) ? nvm_device_lost(db->pool->dev) : status;
}

/* This process's counters. */
static inline DbSlotCounters *
db_slot_counters(NvmkvDb *db)
{
	int slot = port_process_slot();

	return &db->slot_counters[slot >= 0 ? (unsigned) slot : db->options.process_slots];
}

/*
 * Nothing that begins as the key does has a sequence of this or below (NvmkvOptions.prefix_is_sequence); 0: not known.
 * So a source whose largest sequence is not above it has nothing of the key.
 */
static inline uint64_t
db_born(const NvmkvDb *db, NvmkvSlice key)
{
	if (!db->options.prefix_is_sequence || key.size < 8 || key.data[0] >= NVMKV_FAMILIES_MAX)
		return 0;
	return get_be64(key.data) & (UINT64_MAX >> 8);
}

static inline void
db_count(uint64_t *counter, uint64_t count)
{
	port_store_relaxed(counter, port_load_relaxed(counter) + count);
}

/* Does the snapshot see this version?  Locks and range deletions are seen by nobody. */
extern NvmkvSight db_snapshot_sees(const NvmkvSnapshot *snapshot, NvmkvSlice key, const NvmkvVersion *version);

extern bool db_claim(NvmkvDb *db, DbClaim claim);
extern void db_unclaim(NvmkvDb *db, DbClaim claim);

/* Names this process in claims; not 0. */
extern uint32_t db_claim_word(void);

/* Remembers a failure of background work for the views; returns it. */
extern NvmkvStatus db_note_failure(NvmkvDb *db, NvmkvStatus status);

/* A private copy of the current version, to be freed with port_free. */
extern NvmkvStatus db_copy_image(NvmkvDb *db, VersionImage **image_out);
extern NvmkvStatus db_copy_image_in_epoch(NvmkvDb *db, VersionImage **image_out);

/* GcFilter's question: does a frozen range deletion stand at this prefix?  ctx: NvmkvDb. */
extern NvmkvStatus db_storage_dropped(void *ctx, NvmkvSlice storage, bool *dropped_out);

struct GcFilter;
extern void db_count_gc(NvmkvDb *db, const struct GcFilter *gc);

/*
 * A sync failed (the thread's last error says how): what the medium holds is unknown, so no writes and no background
 * work until the next open.  The first cause is kept.
 */
extern void db_set_sticky(NvmkvDb *db);

static inline bool
db_is_sticky(const NvmkvDb *db)
{
	return port_load_acquire(&db->shm->sticky) != DB_STICKY_NO;
}

/* READ_ONLY with the first cause once something is sticky. */
extern NvmkvStatus db_refuse_if_sticky(NvmkvDb *db);

/* READ_ONLY while the gate is closed, too. */
extern NvmkvStatus db_refuse_writes(NvmkvDb *db);

/* log->flush; versions_install.  A failure that leaves the medium's state unknown becomes sticky. */
extern NvmkvStatus db_flush_log(NvmkvDb *db, uint64_t sequence);
extern NvmkvStatus db_install(NvmkvDb *db, const VersionEdit *edit);

/*
 * One step of whatever makes room for writes: a flush, or a column where the pool is full.  *did_out: it helped.
 * BUSY: others are at it.  NO_SPACE and all other failures: waiting would not help.
 */
extern NvmkvStatus db_make_room(NvmkvDb *db, bool *did_out);

/* Waits a moment for somebody else's step; CANCELLED. */
extern NvmkvStatus db_wait_progress(NvmkvDb *db);

/* nvmkv_flush_all of one tree. */
extern NvmkvStatus tree_flush(NvmkvDb *db);

/* Drains all rows of the container older than this one into level 1; younger ones may come as fast as they like. */
extern NvmkvStatus db_drain_rows_before(NvmkvDb *db, uint64_t row_id);

/* ---- db_open.c: one tree ---- */

/* Options that fit together. */
extern NvmkvStatus tree_check_options(const NvmkvOptions *options);

/* Of a tree that could not be opened: its durable sequence, if its manifest could be read, else 0. */
extern uint64_t tree_durable_if_known(const NvmkvDb *db);

/* Bytes of shared memory of a family's tree of this shape. */
extern size_t tree_shm_bytes(const NvmkvOptions *options);

/* A handle with paths and options, and nothing open.  root NULL: it is one. */
extern NvmkvStatus tree_handle(const char *dir, const NvmkvOptions *options, NvmkvDb *root, NvmkvDb **db_out);

/* Lays the tree out in memory, and brings it to where its files are; without the log. */
extern NvmkvStatus tree_open(NvmkvDb *db, void *memory);

/* The same tree, in a process that was forked before it was opened. */
extern NvmkvStatus tree_attach(NvmkvDb *db, void *memory);
extern void tree_close(NvmkvDb *db);

/* ---- family.c ---- */

/* Bytes of shared memory for the families besides the default one. */
extern size_t families_shm_bytes(const NvmkvOptions *options);

/* Opens the families that the database has: by the process that opens it, before the log is replayed. */
extern NvmkvStatus families_open(NvmkvDb *root);
extern void families_close(NvmkvDb *root);

/*
 * Walks over the trees of a database, the default family first:
 *	  cursor = 0;
 *	  while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
 * Until the next step, or family_leave when the loop is left early, the tree's family is not dropped.  Given a family's
 * own handle, walks over that tree alone.  Fails when this process cannot come at a tree.
 */
extern NvmkvStatus family_next(NvmkvDb *db, unsigned *cursor, NvmkvDb **tree_out);
extern void family_leave(NvmkvDb *db, unsigned cursor);

/* "step" with each tree; stops at the first failure. */
extern NvmkvStatus family_each(NvmkvDb *db, NvmkvStatus (*step)(NvmkvDb *tree));

/* What an aborted call of this process left. */
extern void families_abort_cleanup(NvmkvDb *root);

/* Is there this family, and could not be opened? */
extern bool family_is_broken(NvmkvDb *root, unsigned id);

/* Of such a family: is it known to have all up to there in rows and tables? */
extern bool family_has(NvmkvDb *root, unsigned id, uint64_t last_sequence);

/* ---- family_write.c: batches for other families than the default one ---- */
extern NvmkvStatus family_write(NvmkvDb *root, const NvmkvBatch *batch, uint64_t *last_sequence_out);

/* ---- db_write.c, for family_write.c ---- */
extern void db_note_applied(NvmkvDb *db, uint64_t last_sequence);
extern void db_count_write(NvmkvDb *db, const NvmkvBatch *batch);

/* Waits a little for room for an entry of a replayed batch, doing what work it takes. */
extern NvmkvStatus db_replay_room(NvmkvDb *db, size_t bytes, MemRoom *room_out);

/* ---- own_log.c: the standalone log ---- */
extern NvmkvStatus own_log_open(NvmkvDb *db);

/* The same for a handle that joins: the log is in use. */
extern NvmkvStatus own_log_attach(NvmkvDb *db);
extern void own_log_close(NvmkvDb *db);

/*
 * Replays every log file, flushes what was replayed, starts a new file and removes the old ones: afterwards nothing but
 * rows and tables holds the past.
 */
extern NvmkvStatus own_log_recover(NvmkvDb *db);

/* Ends the current file when it is full enough, and removes those nobody needs.  REQUIRES the FLUSH claim. */
extern void own_log_tidy(NvmkvDb *db);

/* ---- anchoring.c: the database's anchor; without one (NvmkvOptions.anchored) these do nothing ---- */

/* Around opening: finds out what the trees are asked, into *a, which lives until the end; says that they are right. */
extern NvmkvStatus anchoring_begin(NvmkvDb *root, Agreement *a);
extern NvmkvStatus anchoring_settle(NvmkvDb *root);

/*
 * For families that come and go: holds the anchor (and opening and closing) off, writes it with the families there are,
 * lets go.
 */
extern NvmkvStatus anchoring_hold(NvmkvDb *root);
extern NvmkvStatus anchoring_note(NvmkvDb *root);
extern void anchoring_release(NvmkvDb *root);

/* The trees are closed: the log is to hold nothing for the database. */
extern bool anchoring_is_closed(NvmkvDb *root);

/* Reports what is wrong with the anchor's file. */
extern NvmkvStatus anchoring_check(NvmkvDb *root, void (*problem)(void *ctx, const char *text), void *ctx);

/* ---- retire.c: what waits for readers before it is reused ---- */
extern size_t retired_shm_bytes(void);
extern void retired_init(DbRetiredShm *shm);

/* One call takes the stamp, then records all of it.  Blocks (reclaiming) while the list is full. */
extern void retired_add_extents(NvmkvDb *db, const uint32_t *extents, uint32_t count);
extern void retired_add_file(NvmkvDb *db, uint64_t number);
extern void retired_add_outcomes(NvmkvDb *db, uint64_t number);

/* Deletes the tables that were kept for a copy. */

/* Deletes what is kept with an older stamp.  Adds up what is kept with this stamp or a later one. */
extern void retired_release_held(NvmkvDb *db, uint64_t keep);
extern void retired_held(NvmkvDb *db, uint64_t stamp, NvmkvCopyHeld *held);

/* Reuses what is safe now; returns how much still waits. */
extern uint32_t retired_reclaim(NvmkvDb *db);

/* ---- jobs.c: the view of running work ---- */
extern DbJob *job_begin(NvmkvDb *db, DbJobKind kind);
extern void job_phase(DbJob *job, DbJobPhase phase);
extern void job_progress(DbJob *job, uint64_t keys_done, uint64_t bytes_done);
extern void job_totals(DbJob *job, uint64_t keys_total, uint64_t bytes_total, uint32_t rows_in, uint32_t files_in);
extern void job_takes(DbJob *job, uint64_t bytes);
extern void job_levels(DbJob *job, unsigned level, unsigned output_level);
extern void job_range(DbJob *job, NvmkvSlice first, NvmkvSlice last);
extern void job_end(DbJob *job, bool ok, uint32_t files_out);

/*
 * Bytes that jobs of this kind have taken since ever, running ones included as far as they have come; *running_out: of
 * those alone.
 */
extern void jobs_drained(const NvmkvDb *db, DbJobKind kind, uint64_t *total_out, uint64_t *running_out);

/* Jobs of this process slot that an abort cut short have failed. */
extern void jobs_abort(NvmkvDb *db);

/* ---- work ---- */
extern NvmkvStatus flush_step(NvmkvDb *db, bool *did_out, bool *more_out);

/*
 * Of a record that is replayed: an entry larger than a memtable (it was written when they were larger) becomes a table
 * of its own, with all that is older below it.  REQUIRES that nobody writes meanwhile.  Durable on OK, but the durable
 * sequence stays: a crash brings the entry once more, which changes nothing.
 */
extern NvmkvStatus flush_large_entry(NvmkvDb *db, NvmkvSlice key, uint64_t tag, NvmkvSlice payload);

/* Lets go of what a flush that an abort cut short had taken. */
extern void flush_abandon(NvmkvDb *db);

/* BUSY: others are at what there is to do. */
extern NvmkvStatus compact_step(NvmkvDb *db, bool force, bool *did_out, bool *more_out);

/* ---- drop.c: tables of dropped storages ---- */

/* Is it time to look again?  Says so once. */
extern bool drop_is_due(NvmkvDb *db);

/* Takes out what holds nothing else. */
extern NvmkvStatus drop_step(NvmkvDb *db, bool *did_out);

/* ---- level.c ---- */

/* Target size of a level; 0: none. */
extern uint64_t level_target(const NvmkvDb *db, unsigned level);
extern double level_score(const NvmkvDb *db, const VersionImage *v, unsigned level);

/* The level that is most over its target; *level_out 0: all are empty. */
extern double level_highest_score(const NvmkvDb *db, const VersionImage *v, unsigned *level_out);

/* Moves one table down if a level has at least this score; of those nobody else works on. */
extern NvmkvStatus level_step(NvmkvDb *db, double from_score, bool *did_out);

/* All receiver rows become the compactor, if there is none.  REQUIRES the FLUSH claim. */
extern NvmkvStatus column_start_batch(NvmkvDb *db);

/* Should the receiver become a batch now?  Pure function of the version and the pool. */
extern bool column_gate(NvmkvDb *db, const VersionImage *v, bool force);

#endif
