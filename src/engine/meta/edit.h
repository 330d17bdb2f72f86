/*
 * edit.h
 *	  A version edit: one change of the version, and its bytes in the MANIFEST.
 *
 * An edit is one record of the MANIFEST (log_format.h frames and checksums
 * it), applied whole or not at all.
 *
 *	  edit  := field*
 *	  field := tag varint, body
 *		1 SYSTEM		format varint, system identifier u64		first field of a MANIFEST
 *		2 DURABLE		sequence u64
 *		3 NEXT_FILE		varint
 *		4 NEXT_ROW		varint
 *		5 POOL			pool id u64
 *		6 LOG			number varint
 *		7 CLOSED		varint 0 or 1: the log holds nothing for this tree behind the durable sequence, nor will it
 *						before an edit says 0
 *		8 INCARNATION	u64, u64: the opening of the database that began this MANIFEST, and the one before it while
 *						it is not sure that the anchor names the new one; 0 none (anchor.h)
 *		9 EDITS			varint: how many edits there had been in this tree; every edit without it is one more
 *		10 GENERATION	u64, u64, varint: of the pool at its last opening (nvm/pool_stamp.h), and the one that may have
 *						begun since; 0 none; number of the stamp with which the one or the other begins
 *		16 ROW_ADD		see edit.c: row in full, with its drain position and role; becomes the newest row
 *		17 ROW_ADVANCE	row id varint, first_live varint, live_bytes varint, first_extent_live varint
 *		18 ROW_DROP		row id varint
 *		19 ROW_ROLE		row id varint, role varint
 *		32 FILE_ADD		see edit.c
 *		33 FILE_DROP	level varint, number varint
 *		34 VALUE_RELEASE	number varint, bytes varint: so much of a value table is not referred to any more
 *		48 SETTLED		fxid varint: the outcome record (db/outcome.c) knows the transactions below it
 *		49 OUTCOMES_LOW	fxid varint: nobody needs to be told of those below
 *		50 SEGMENT		segment varint, file number varint: its file from now on; 0: it has none any more
 *		51 LOST			from varint, to varint: outcomes that are not known
 *		52 FOUND		from varint, to varint: that are known again
 *		64 DAMAGE		see edit.c: a damaged range, after all clears of the edit
 *		65 DAMAGE_CLEAR	lower, upper (varint size, bytes; upper of size 0: none): no range has keys in there any more
 * An unknown tag is VERSION: an edit cannot be skipped.
 *
 * EDIT_FORMAT goes up with any change a reader must know of.
 *
 * Slices and arrays in an edit are borrowed: from the caller that fills it, or
 * from the arena it was decoded into.
 */
#ifndef NVMKV_META_EDIT_H
#define NVMKV_META_EDIT_H

#include "engine/meta/version.h"
#include "engine/sst/value_refs.h"

#define EDIT_FORMAT 3

/* Memory that is released at once. Zero-initialise. */
typedef struct MetaArena
{
	struct MetaArenaBlock *blocks;
} MetaArena;

extern void *meta_arena_alloc(MetaArena *arena, size_t size); /* NULL: no memory. 8-byte aligned */
extern void meta_arena_free(MetaArena *arena);

typedef struct MetaRow
{
	uint64_t row_id, entries, first_live, data_bytes, live_bytes, older_row_id;
	uint64_t min_sequence, max_sequence, min_unresolved_fxid;
	uint32_t role, extent_count, first_extent_live;
	const uint32_t *extents;
	NvmkvSlice smallest, largest;
} MetaRow;

typedef struct MetaRowAdvance
{
	uint64_t row_id, first_live, live_bytes;
	uint32_t first_extent_live;
} MetaRowAdvance;

typedef struct MetaRowRole
{
	uint64_t row_id;
	uint32_t role;
} MetaRowRole;

typedef struct MetaFile
{
	uint64_t number, bytes, entries;
	uint64_t min_sequence, max_sequence, min_unresolved_fxid, value_bytes, released_bytes;
	uint32_t level; /* VERSION_VALUES: a value table */
	NvmkvSlice smallest, largest;
} MetaFile;

/* A file of a version as an edit would add it; borrows the keys from the image. */
static inline MetaFile
meta_file_of(const VersionImage *v, const VersionFile *file)
{
	MetaFile meta;

	meta.number = file->number;
	meta.bytes = file->bytes;
	meta.entries = file->entries;
	meta.min_sequence = file->min_sequence;
	meta.max_sequence = file->max_sequence;
	meta.min_unresolved_fxid = file->min_unresolved_fxid;
	meta.value_bytes = file->value_bytes;
	meta.released_bytes = file->released_bytes;
	meta.level = file->level;
	meta.smallest = version_bytes(v, file->smallest);
	meta.largest = version_bytes(v, file->largest);
	return meta;
}

/* See VersionDamage. */
typedef struct MetaDamage
{
	uint64_t max_sequence, source, offset, found_us, bytes;
	uint32_t kind, level;
	NvmkvSlice low, upper;
} MetaDamage;

typedef struct MetaDamageClear
{
	NvmkvSlice lower, upper;
} MetaDamageClear;

/* A damaged range likewise. */
static inline MetaDamage
meta_damage_of(const VersionImage *v, const VersionDamage *damage)
{
	MetaDamage meta;

	meta.max_sequence = damage->max_sequence;
	meta.source = damage->source;
	meta.offset = damage->offset;
	meta.found_us = damage->found_us;
	meta.bytes = damage->bytes;
	meta.kind = damage->kind;
	meta.level = damage->level;
	meta.low = version_bytes(v, damage->low);
	meta.upper = version_bytes(v, damage->upper);
	return meta;
}

typedef struct MetaFileDrop
{
	uint32_t level;
	uint64_t number;
} MetaFileDrop;

typedef struct VersionEdit
{
	bool has_system, has_durable, has_next_file, has_next_row, has_pool, has_log;
	bool has_closed, has_incarnation, has_edits, has_generation, closed, has_settled, has_outcomes_low;
	uint64_t system_identifier, durable_seq, next_file, next_row, pool_id, log_number;
	uint64_t incarnation, predecessor, edits, generation, successor, stamp_number, settled, outcomes_low;

	/*
	 * Lists applied in this order: drops and advances of rows, roles, row adds; file drops, file adds, releases; clears
	 * of damage, damage.
	 */
	const uint64_t *row_drops;
	uint32_t nrow_drops;
	const MetaRowAdvance *row_advances;
	uint32_t nrow_advances;
	const MetaRowRole *row_roles;
	uint32_t nrow_roles;
	const MetaRow *row_adds; /* oldest first */
	uint32_t nrow_adds;
	const MetaFileDrop *file_drops;
	uint32_t nfile_drops;
	const MetaFile *file_adds;
	uint32_t nfile_adds;
	const ValueShare *value_releases;
	uint32_t nvalue_releases;
	const MetaDamageClear *damage_clears;
	uint32_t ndamage_clears;
	const MetaDamage *damages;
	uint32_t ndamages;
	const VersionSegment *segments;
	uint32_t nsegments;
	const VersionXids *lost; /* lost, then found */
	uint32_t nlost;
	const VersionXids *found;
	uint32_t nfound;
} VersionEdit;

extern NvmkvStatus edit_encode(const VersionEdit *edit, NvmkvBuf *out);

/* Everything the edit points to is in "arena" or in "bytes".  CORRUPTION, VERSION, NO_MEMORY. */
extern NvmkvStatus edit_decode(NvmkvSlice bytes, MetaArena *arena, VersionEdit *edit_out);

#endif
