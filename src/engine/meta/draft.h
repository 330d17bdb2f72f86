/*
 * draft.h
 *	  A version under construction, in process memory.
 *
 * Both recovery and every edit go the same way: start from nothing or from an
 * image, apply edits, check, write the new image.
 */
#ifndef NVMKV_META_DRAFT_H
#define NVMKV_META_DRAFT_H

#include "engine/meta/edit.h"

typedef struct VersionDraft
{
	uint64_t system_identifier, durable_seq, next_file, next_row, pool_id, log_number;
	uint64_t incarnation, predecessor, edits, generation, successor, stamp_number; /* edit.h */
	bool closed;
	MetaRow *rows; /* newest first */
	uint32_t nrows, rows_capacity;
	MetaFile *files; /* by level, then smallest key, once draft_finish was called */
	uint32_t nfiles, files_capacity;
	/* A hash table of the files by number, for draft_apply; NULL: there is none, it is made when it is wanted. */
	uint32_t *file_buckets; /* index + 1 of the first file of each, 0: none */
	uint32_t *file_next;	/* the same of the next file of the bucket, for each file */
	uint32_t file_bucket_count;
	MetaDamage *damages; /* by key, once draft_finish was called */
	uint32_t ndamages, damages_capacity;
	uint64_t settled, outcomes_low;
	VersionSegment *segments; /* ascending, each with a file */
	uint32_t nsegments, segments_capacity;
	VersionXids *lost; /* ascending, with room between them */
	uint32_t nlost, lost_capacity;
} VersionDraft;

extern void draft_init(VersionDraft *draft);
extern void draft_free(VersionDraft *draft);

/* Borrows keys and extents from the image. */
extern NvmkvStatus draft_from_image(VersionDraft *draft, const VersionImage *image);

/* Borrows from the edit.  CORRUPTION: the edit names a row or file that is not there, or adds one twice. */
extern NvmkvStatus draft_apply(VersionDraft *draft, const VersionEdit *edit);

/*
 * Sorts, puts damaged ranges together, and checks the invariants of version.h.  CORRUPTION says which is broken.
 * REQUIRED before draft_image_bytes and draft_write_image.
 */
extern NvmkvStatus draft_finish(VersionDraft *draft);

extern uint64_t draft_image_bytes(const VersionDraft *draft);

/* image: draft_image_bytes() bytes, 8-byte aligned. */
extern void draft_write_image(const VersionDraft *draft, uint64_t number, VersionImage *image);

/* The whole draft as one edit, for the head of a new MANIFEST.  Lists are in the arena or borrowed from the draft. */
extern NvmkvStatus draft_snapshot_edit(const VersionDraft *draft, MetaArena *arena, VersionEdit *edit_out);

#endif
