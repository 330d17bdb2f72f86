/*
 * scan_sources.h
 *	  What a scan reads: memtables, rows of the container and tables that have
 *	  something in a range, and the merge of them.
 *
 * The sources are valid while the super version is the one under which they were
 * taken, and inside the epoch only: between two stays in it nothing may be
 * followed.  What was unlinked meanwhile shows as another super version.  Blocks
 * of tables may all the same have left the block cache, which is asked about
 * them (scan_sources_renew()).
 *
 * Sources that can have nothing with the prefix that all keys of the range have
 * are left out, by filters.
 *
 * A range forwards that follows another one with the same prefix is taken for
 * one of many such: of a list of values, or on the inner side of a join.  Then
 * the sources of all keys with the prefix are taken ("wide"), once, and the
 * ranges that follow only seek in them.
 */
#ifndef NVMKV_READ_SCAN_SOURCES_H
#define NVMKV_READ_SCAN_SOURCES_H

#include "engine/base/filter.h"
#include "engine/iter/level.h"
#include "engine/iter/merge.h"
#include "engine/tree/tree.h"

typedef struct ScanSources
{
	NvmkvDb *db;

	NvmkvBuf lower, upper; /* the range; an empty upper end: it has none */
	uint64_t born;		   /* db_born of all its keys */
	bool has_prefix;	   /* all its keys begin with the first prefix_bytes of "lower" */
	uint64_t prefix_hash;
	uint8_t prefix_end[NVMKV_PREFIX_BYTES_MAX]; /* the least key behind those, of so many bytes; 0: there is none */
	size_t prefix_end_bytes;

	bool taken;
	bool wide; /* they are, or are to be, those of all keys with the prefix */
	uint64_t super_version;
	uint32_t pages_lost; /* when the sources were taken: an iterator may stand on a page that goes later */
	unsigned nmemtables, nrows, nlevels, count;
	void *memory; /* of what follows */
	size_t bytes;
	MemtableIter *memtables;
	NvmRowIter *rows;
	const VersionImage *version;	 /* they are of it */
	const VersionRow **version_rows; /* what it says of each of "rows" */
	LevelIter *levels;
	NvmkvIter **all; /* newest first */
	MergeIter merge;
} ScanSources;

/*
 * The range that is to be read; sources that were taken stay if they serve it, too.  "follows": it is read forwards, as
 * the one before was.
 */
extern NvmkvStatus scan_sources_range(ScanSources *s, NvmkvSlice lower, NvmkvSlice upper, bool follows);

/* Takes the current ones.  REQUIRES: inside the epoch. */
extern NvmkvStatus scan_sources_take(ScanSources *s);

/* Are they those that scan_sources_take() would take?  REQUIRES: inside the epoch. */
extern bool scan_sources_are_current(const ScanSources *s);

/* They are to be taken anew, however that may be. */
extern void scan_sources_spoil(ScanSources *s);

/* Are the blocks on which the tables' iterators stand still there?  REQUIRES: inside the epoch, current sources. */
extern bool scan_sources_renew(ScanSources *s);

/* Places the merge on the first entry that is >= (key, tag).  REQUIRES: inside the epoch, current sources. */
extern void scan_sources_seek(ScanSources *s, NvmkvSlice key, uint64_t tag);

/* Gives back the iterators; the memory stays. */
extern void scan_sources_drop(ScanSources *s);

extern void scan_sources_free(ScanSources *s);

#endif
