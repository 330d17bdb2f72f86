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

#include "engine/log/log_group.h"
#include "engine/mem/mempool.h"
#include "engine/meta/manifest.h"
#include "engine/nvm/pool.h"
#include "engine/nvmkv.h"
#include "engine/sst/sst_iter.h"
#include "engine/sst/table_cache.h"
#include "engine/tree/bucket.h"
#include "engine/tree/write_rate.h"

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

/* ---- compactions under way (running.h) ---- */

#define RUNNING_MAX 16

/* A key in shared memory. */
typedef struct DbKey
{
	uint32_t size;
	uint8_t bytes[NVMKV_KEY_BYTES_MAX];
} DbKey;

typedef struct Running
{
	uint32_t owner; /* claim word of the process; 0: free */
	uint32_t doomed;
	uint32_t first_level, last_level;
	DbKey low, high;	  /* inclusive */
	uint64_t taken_bytes; /* that leave first_level, values apart included */
	uint64_t column;	  /* its number; 0: no column of the compactor */
	uint64_t after;		  /* the column that must have been installed; 0: none */
	bool takes_all;		  /* the column has no cut */
	bool is_alone;		  /* no column may begin behind it before it is installed */
	DbKey cut;
} Running;

/* Changed under the lock; "doomed" and "installed" are read without. */
typedef struct RunningShm
{
	PortLock lock;
	uint64_t columns;	/* numbers given out */
	uint64_t installed; /* the column that was installed last */
	Running works[RUNNING_MAX];
} RunningShm;

/* ---- ranges of keys in which there is nothing to be seen (emptied.h) ---- */

#define EMPTIED_GROUPS 16
#define EMPTIED_IN_GROUP 8
#define EMPTIED_KEY_BYTES 128

typedef struct EmptiedKey
{
	uint32_t size;
	uint8_t bytes[EMPTIED_KEY_BYTES];
} EmptiedKey;

typedef struct EmptiedRange
{
	bool used;
	uint64_t used_at;		/* the group's clock when it was last of use */
	uint64_t generation[2]; /* of the watch upwards, of that downwards */
	EmptiedKey low, upper;
	EmptiedKey watched_low, watched_upper;
} EmptiedRange;

typedef struct EmptiedGroup
{
	PortLock lock;
	uint32_t count; /* of ranges; read without the lock */
	uint64_t clock; /* watches begun */
	EmptiedRange ranges[EMPTIED_IN_GROUP];
} EmptiedGroup;

typedef struct EmptiedShm
{
	_Alignas(64) uint64_t count; /* of all groups */
	EmptiedGroup groups[EMPTIED_GROUPS];
} EmptiedShm;

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
	uint32_t level_steps;		  /* of level compaction since a column was last looked for (choice.c) */
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
	EmptiedShm emptied;
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
	NvmkvLogOps place; /* where the tree is in the log: position() alone, for its memtables */
	const uint64_t *earlier; /* of a family, shared: its position, if what is replayed comes before the log, else 0 */
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
	NvmkvScan *spare_scan;	 /* one that is at rest, with its memory; NULL: there is none */
};

/* ---- small questions about a handle ---- */

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

/* This process has applied entries up to there, which others may not have done yet. */
static inline void
db_note_applied(NvmkvDb *db, uint64_t last_sequence)
{
	DbSlotCounters *own = db_slot_counters(db);

	if (port_load_relaxed(&own->last_sequence) < last_sequence)
		port_store_relaxed(&own->last_sequence, last_sequence);
}

static inline void
db_count_write(NvmkvDb *db, const NvmkvBatch *batch)
{
	DbSlotCounters *own = db_slot_counters(db);

	db_count(&own->writes, 1);
	db_count(&own->entries_written, batch->count);
	db_count(&own->user_bytes, batch->user_bytes);
	db_count(&own->log_bytes, batch->bytes.size);
}

static inline bool
db_is_sticky(const NvmkvDb *db)
{
	return port_load_acquire(&db->shm->sticky) != DB_STICKY_NO;
}

#endif
