/*
 * nvmkv_stats.h
 *	  What the engine counts, in shared memory, readable while work runs.
 *
 * Counters are 64-bit, monotonic since the segment was made (or the last
 * nvmkv_reset_stats), updated without locks; a reader may see two related ones
 * a moment apart.
 */
#ifndef NVMKV_NVMKV_STATS_H
#define NVMKV_NVMKV_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/options.h"
#include "engine/base/status.h"

struct NvmkvDb;

typedef enum NvmkvStallCause
{
	NVMKV_STALL_MEMTABLES, /* no free write buffer: flush is behind */
	NVMKV_STALL_EXTENTS,   /* no free extent: column compaction is behind */
	NVMKV_STALL_DEBT,	   /* a level far over its target: level compaction is behind.  Delays only */
	NVMKV_STALL_CAUSES
} NvmkvStallCause;

typedef struct NvmkvStats
{
	/* state */
	bool gate_open;
	bool nvm_is_pmem;
	uint64_t last_sequence; /* largest applied */
	uint64_t durable_seq;
	uint64_t version_number;
	uint32_t extents_total, extents_free;
	/* volume, bytes */
	uint64_t user_bytes;   /* keys and values handed to nvmkv_write, without tags */
	uint64_t log_bytes;	   /* batches handed to the log */
	uint64_t nvm_bytes;	   /* written to the pool */
	uint64_t file_bytes;   /* written to SSTables */
	uint64_t file_read_bytes;  /* read by compaction */
	uint64_t manifest_bytes;
	/* events */
	uint64_t writes, entries_written, gets, get_hits, scans;
	uint64_t filter_useful;	  /* lookups a row's or table's filter ended */
	uint64_t filter_passed;	  /* lookups that had to go on */
	uint64_t data_reads;	  /* by lookups: data blocks of tables they asked for, rows whose entries they read */
	uint64_t sources_skipped; /* rows and tables that scans left out, as their filters do not know the prefix */
	uint64_t flushes, columns, batches, files_written, files_deleted, switches;
	uint64_t entries_frozen, entries_dropped_aborted, entries_dropped_obsolete;
	uint64_t stalls[NVMKV_STALL_CAUSES]; /* writes that were stopped: there was no room */
	uint64_t stall_us[NVMKV_STALL_CAUSES];
	uint64_t delays[NVMKV_STALL_CAUSES]; /* writes that waited for their turn, room getting scarce */
	uint64_t delay_us[NVMKV_STALL_CAUSES];
	uint64_t write_rate; /* bytes a second that writers are held to now, 0: they are not */
	uint64_t damaged_ranges; /* of keys, in the current version */
	uint64_t damages_passed; /* ranges that compaction went round */
	uint64_t errors;
	NvmkvStatus last_error_status;
	uint64_t last_error_clock_us;
	char last_error[256]; /* empty when there was none; stays until reset */
	bool sticky;		  /* a sync failed: writes are refused until restart */
} NvmkvStats;

/*
 * Of all trees of a database, or of a column family by its own handle: sums; the largest last_sequence, the smallest
 * durable_seq, the lowest write_rate, the last error of any.  The gate is open if all are, containers are persistent
 * memory if all are; sticky if one is.  A family that this process cannot come at is left out.
 */
extern void nvmkv_stats(struct NvmkvDb *db, NvmkvStats *out);
extern void nvmkv_reset_stats(struct NvmkvDb *db);

/* The block cache of all processes. */
typedef struct NvmkvCacheStats
{
	uint64_t capacity; /* bytes */
	uint64_t bytes;	   /* in blocks that can be found */
	uint64_t blocks;
	/* events */
	uint64_t hits, misses, inserts, evictions;
	uint64_t refused; /* blocks not kept: asked for once only, too large, or no room at that moment */
} NvmkvCacheStats;

extern void nvmkv_cache_stats(struct NvmkvDb *db, NvmkvCacheStats *out);

typedef struct NvmkvMemtableStats
{
	unsigned buffer;
	const char *state; /* "free", "active", "immutable", "flushed" */
	uint64_t bytes, capacity, entries;
	uint64_t first_sequence, last_sequence; /* 0 when empty */
} NvmkvMemtableStats;

typedef struct NvmkvRowStats
{
	uint64_t row_id;
	const char *role; /* "receiver", "compactor" */
	uint64_t entries, live_entries, bytes, live_bytes;
	uint32_t extents;		/* held now */
	bool has_hints;
} NvmkvRowStats;

typedef struct NvmkvLevelStats
{
	unsigned level;
	uint64_t files, bytes;
	uint64_t value_bytes;  /* of values apart that its files refer to */
	uint64_t target_bytes; /* of both; 0: none */
	double score;
	uint64_t bytes_read, bytes_written; /* by compaction into this level */
	/* bytes written into the level / bytes taken from the level above; 0 before the first */
	double write_amplification;
} NvmkvLevelStats;

/* Tables of the values that others keep apart. */
typedef struct NvmkvValueStats
{
	uint64_t files, bytes;
	uint64_t bytes_in_use; /* of values somebody refers to; the rest comes back by compaction */
} NvmkvValueStats;

/* One element. */
extern unsigned nvmkv_value_stats(struct NvmkvDb *db, NvmkvValueStats *out, unsigned max);

/* Each fills up to max elements and returns how many there are. */
extern unsigned nvmkv_memtable_stats(struct NvmkvDb *db, NvmkvMemtableStats *out, unsigned max);
extern unsigned nvmkv_row_stats(struct NvmkvDb *db, NvmkvRowStats *out, unsigned max);
extern unsigned nvmkv_level_stats(struct NvmkvDb *db, NvmkvLevelStats *out, unsigned max);

/*
 * A range of keys [low, upper) of which something is missing.  "lost": compaction went round damage, and versions up to
 * max_sequence may have been there.  "missing", "wrong size": a table file that is not what it should be, and may come
 * back.  Damage that nobody has come to yet is not known here (nvmkv_check).
 */
typedef struct NvmkvDamageStats
{
	const char *state;
	bool is_row;	 /* of the container; else it was a table */
	bool is_values;	 /* a table of values apart: only those are missing */
	bool has_offset; /* else it is all of it */
	uint64_t source; /* row, or number of the table */
	uint64_t offset; /* of the first damaged block, or number of the entry */
	uint64_t max_sequence;
	uint64_t found_clock_us; /* 0: now */
	uint64_t kept_bytes;	 /* of the file of a table that was gone round */
	uint32_t low_size, upper_size;
	uint8_t low[NVMKV_KEY_BYTES_MAX + 1], upper[NVMKV_KEY_BYTES_MAX + 1];
} NvmkvDamageStats;

extern unsigned nvmkv_damage_stats(struct NvmkvDb *db, NvmkvDamageStats *out, unsigned max);

/* Jobs: running ones and the last finished ones. */
#define NVMKV_JOB_KEY_BYTES 32 /* shown prefix of a key */

typedef struct NvmkvJobStats
{
	uint64_t job_id;
	const char *job;   /* "flush", "column compaction" */
	const char *phase; /* "merging", "syncing", "installing", "finished", "failed" */
	int pid;
	uint64_t started_clock_us, finished_clock_us; /* finished 0 while it runs */
	uint64_t keys_done, keys_total, bytes_done, bytes_total;
	uint32_t rows_in, files_in, files_out;
	int level, output_level; /* of a compaction's inputs (0: the container) and of its tables; -1: it is none */
	uint8_t first_key[NVMKV_JOB_KEY_BYTES], last_key[NVMKV_JOB_KEY_BYTES];
	uint8_t first_key_size, last_key_size; /* 0: unbounded / unknown */
} NvmkvJobStats;

extern unsigned nvmkv_job_stats(struct NvmkvDb *db, NvmkvJobStats *out, unsigned max);

/* The outcome record. */
typedef struct NvmkvOutcomeStats
{
	uint64_t settled;  /* transactions below it are settled */
	uint64_t saved;	   /* up to there they are in files */
	uint64_t low;	   /* from there on they are kept */
	uint64_t segments; /* files */
	uint64_t segment_bytes; /* one of them, at most */
	uint64_t lost_ranges, lost; /* transactions nobody knows of */
} NvmkvOutcomeStats;

extern void nvmkv_outcome_stats(struct NvmkvDb *db, NvmkvOutcomeStats *stats);

/* Transactions [from, to) whose outcomes are lost; fills up to max and returns how many ranges there are. */
typedef struct NvmkvLostOutcomes
{
	uint64_t from, to;
} NvmkvLostOutcomes;

extern unsigned nvmkv_lost_outcomes(struct NvmkvDb *db, NvmkvLostOutcomes *list_out, unsigned max);

#endif
