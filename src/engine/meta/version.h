/*
 * version.h
 *	  A version: the immutable description of what the database consists of.
 *
 * The image is flat (offsets from its start, no pointers), so that one copy in
 * shared memory serves every process.  It is built whole in a free slot and
 * published by one atomic store; readers look at it inside an epoch.
 *
 * Rows stand newest first: receiver rows, then those of the compactor.
 * Everything in the compactor is older than everything in the receiver, and
 * everything in the rows is newer than everything in the files.
 * Files stand by level, then by smallest key; within a level >= 1 their key
 * ranges are disjoint.  Value tables come last.
 *
 * Damaged ranges stand by key.  What they say was lost was older than anything
 * written since, so a sequence tells what may be missing.
 *
 * Every value apart that a table refers to is in a value table of the image,
 * and is referred to once: the value_bytes of tables and of value tables have
 * the same sum.
 */
#ifndef NVMKV_META_VERSION_H
#define NVMKV_META_VERSION_H

#include "engine/base/options.h"
#include "engine/nvm/row.h"

#define VERSION_LEVELS NVMKV_LEVELS /* 0 (files of families without a container) .. 6 */

/*
 * Value tables (sst_format.h) are in no level: the image has them behind all levels, as if they were one more, by
 * number.
 */
#define VERSION_VALUES VERSION_LEVELS
#define VERSION_GROUPS (VERSION_LEVELS + 1)

typedef enum VersionRole
{
	VERSION_RECEIVER = 0,
	VERSION_COMPACTOR = 1
} VersionRole;

/* A run of bytes inside the image. */
typedef struct VersionBytes
{
	uint32_t off;
	uint32_t size;
} VersionBytes;

typedef struct VersionRow
{
	uint64_t row_id;
	uint64_t entries;
	uint64_t first_live;
	uint64_t data_bytes;
	uint64_t live_bytes; /* data bytes of entries [first_live, entries) */
	uint64_t older_row_id;
	uint64_t min_sequence, max_sequence;
	uint64_t min_unresolved_fxid;
	uint32_t role; /* VersionRole */
	uint32_t extent_count;
	uint32_t first_extent_live;
	uint32_t extents_off; /* u32[extent_count] */
	VersionBytes smallest, largest;
} VersionRow;

typedef struct VersionFile
{
	uint64_t number;
	uint64_t bytes;
	uint64_t entries;
	uint64_t min_sequence, max_sequence;
	uint64_t min_unresolved_fxid;
	uint64_t value_bytes;	 /* table: of the values apart that it refers to; value table: of those still referred to */
	uint64_t released_bytes; /* value table: of those that nobody refers to any more */
	uint32_t level;
	uint32_t zero;
	VersionBytes smallest, largest;
} VersionFile;

/* A part of the outcome record (db/outcome.c): 2^20 transactions, and the file that says which of them committed. */
typedef struct VersionSegment
{
	uint64_t segment;
	uint64_t file;
} VersionSegment;

/* Transactions [from, to). */
typedef struct VersionXids
{
	uint64_t from, to;
} VersionXids;

/*
 * A range of keys of which versions may be missing: it was in a block, table or row that cannot be read, and compaction
 * went round it.  "May": what is not in the range, or is newer than max_sequence, is whole.  The sources themselves are
 * not in the version any more; but the file of a table stays as long as a range names it, within limits
 * (tree/damage.h).
 */
typedef enum VersionDamageKind
{
	VERSION_DAMAGE_TABLE = 0,
	VERSION_DAMAGE_ROW = 1
} VersionDamageKind;

/* An image has so many at most: then neighbours become one, with what is between them. */
#define VERSION_DAMAGES_MAX 256

typedef struct VersionDamage
{
	uint64_t max_sequence; /* of a version that may be missing */
	uint64_t source;	   /* number of the table, or id of the row */
	uint64_t offset;	   /* of the first damaged block of the table, or entry of the row; NVMKV_DAMAGE_ALL */
	uint64_t found_us;	   /* when compaction went round it, by the wall clock */
	uint64_t bytes;		   /* of the table's file */
	uint32_t kind;		   /* VersionDamageKind */
	uint32_t level;		   /* of the table */
	VersionBytes low;	   /* inclusive */
	VersionBytes upper;	   /* exclusive; up to NVMKV_KEY_BYTES_MAX + 1 bytes: the successor of a key */
} VersionDamage;

typedef struct VersionImage
{
	uint64_t bytes;	 /* of the whole image */
	uint64_t number; /* grows by one with every edit since the segment was made */
	uint64_t system_identifier;
	uint64_t durable_seq;
	uint64_t next_file;
	uint64_t next_row;
	uint64_t pool_id;	 /* 0: no pool yet */
	uint64_t generation, successor, stamp_number; /* of the pool: edit.h */
	uint64_t log_number; /* standalone: oldest log file still needed */
	uint64_t incarnation, predecessor; /* edit.h */
	uint64_t edits;		 /* of the tree since it was made, over all its MANIFESTs */
	/* Of the outcome record, in the root's tree: transactions [outcomes_low, settled) are told by it. */
	uint64_t settled, outcomes_low;
	uint32_t nsegments; /* those without a file in between: nobody committed */
	uint32_t nunknown;	/* ranges of transactions whose outcomes were lost */
	uint32_t nrows;
	uint32_t nfiles;
	uint32_t level_start[VERSION_GROUPS + 1]; /* files of level l are [level_start[l], level_start[l+1]) */
	uint32_t ndead; /* value tables that nothing refers to any more */
	uint32_t closed; /* no writer is let in: the log has nothing for this tree behind durable_seq */
	uint32_t ndamages;
	uint32_t zero;
	uint64_t level_bytes[VERSION_GROUPS];
	uint64_t level_value_bytes[VERSION_GROUPS]; /* sums of their files' value_bytes */
	/*
	 * nrows, then VersionFile[nfiles], VersionDamage[ndamages] by low, VersionSegment[nsegments] and
	 * VersionXids[nunknown] ascending, then the bytes
	 */
	VersionRow rows[];
} VersionImage;

static inline const VersionFile *
version_files(const VersionImage *v)
{
	return (const VersionFile *) (const void *) (v->rows + v->nrows);
}

static inline const VersionDamage *
version_damages(const VersionImage *v)
{
	return (const VersionDamage *) (const void *) (version_files(v) + v->nfiles);
}

static inline const VersionSegment *
version_segments(const VersionImage *v)
{
	return (const VersionSegment *) (const void *) (version_damages(v) + v->ndamages);
}

static inline const VersionXids *
version_unknown(const VersionImage *v)
{
	return (const VersionXids *) (const void *) (version_segments(v) + v->nsegments);
}

/*
 * What a level's target is compared with: its tables, and the values apart that they refer to.  Those are not merged,
 * but the keys are, one by one: a level of the target's size in bare keys would be so many that each batch from above
 * would meet hundreds for each of its own.
 */
static inline uint64_t
version_level_size(const VersionImage *v, unsigned level)
{
	return v->level_bytes[level] + v->level_value_bytes[level];
}

/* The file of a segment of the outcome record; 0: it has none. */
extern uint64_t version_outcome_file(const VersionImage *v, uint64_t segment);

/* Has the outcome of this transaction been lost? */
extern bool version_outcome_is_lost(const VersionImage *v, uint64_t fxid);

static inline NvmkvSlice
version_bytes(const VersionImage *v, VersionBytes b)
{
	return nvmkv_slice((const uint8_t *) v + b.off, b.size);
}

/* NULL: it is not there. */
static inline const VersionRow *
version_find_row(const VersionImage *v, uint64_t row_id)
{
	uint32_t i;

	for (i = 0; i < v->nrows; i++)
		if (v->rows[i].row_id == row_id)
			return &v->rows[i];
	return NULL;
}

/* The row as nvm/row.h takes it; points into the image. */
static inline NvmRowRef
version_row_ref(const VersionImage *v, const VersionRow *row)
{
	NvmRowRef ref;

	ref.row_id = row->row_id;
	ref.entries = row->entries;
	ref.first_live = row->first_live;
	ref.data_bytes = row->data_bytes;
	ref.older_row_id = row->older_row_id;
	ref.extents = (const uint32_t *) (const void *) ((const uint8_t *) v + row->extents_off);
	ref.extent_count = row->extent_count;
	ref.first_extent_live = row->first_extent_live;
	ref.live_bytes = row->live_bytes;
	return ref;
}

/*
 * Index (within the image) of the first file of "level" whose largest key is >= key; level_start[level + 1] if there
 * is none.
 * REQUIRES level >= 1 (LevelDB's FindFile).
 */
extern uint32_t version_find_file(const VersionImage *v, unsigned level, NvmkvSlice key);

/* Files of all levels: the first so many of the image; the rest are value tables. */
static inline uint32_t
version_ntables(const VersionImage *v)
{
	return v->level_start[VERSION_VALUES];
}

/* The value table of this number; NULL: there is none. */
extern const VersionFile *version_find_values(const VersionImage *v, uint64_t number);

/* Of the damaged ranges with this key in them, the one with the largest max_sequence; NULL: there is none. */
extern const VersionDamage *version_damage_at(const VersionImage *v, NvmkvSlice key);

/* The first by key that is not wholly below "key" (all of them above, if it is empty); ndamages: there is none. */
extern uint32_t version_damage_from(const VersionImage *v, NvmkvSlice key);

/* Is any range from this table? */
extern bool version_damage_names(const VersionImage *v, uint64_t table);

/* The numbers of all files, ascending; to be freed with port_free.  NULL: no memory. */
extern uint64_t *version_file_numbers(const VersionImage *v);
extern bool version_numbers_have(const uint64_t *numbers, uint32_t count, uint64_t number);

/* Bytes of receiver / compactor rows that are still live. */
extern uint64_t version_role_bytes(const VersionImage *v, VersionRole role);

/* Smallest unresolved fxid of all rows and files; 0 none. */
extern uint64_t version_min_unresolved(const VersionImage *v);

#endif
