/*
 * row.h
 *	  A row of the matrix container: one flushed memtable, immutable.
 *
 * A row is a sequence of extents seen as one logical byte range:
 *	  header | data | index | directory and fences | filter | extent list
 * (row_format.h).  Extent list and counts come from the version (manifest), and
 * are repeated in the header for verification.  Everything is read in place by
 * all processes; nothing is copied into a process to search.
 *
 * Publish order (crash outcome): 1 all but the header copied and persisted
 * (crash: the extents are free at recovery); 2 header copied and persisted
 * (same); 3 manifest edit (now the row exists).
 *
 * Nothing here locks but the pool's short lock when extents are taken.  Readers
 * must be in an epoch that keeps the row's extents and the NvmRowRef.
 */
#ifndef NVMKV_NVM_ROW_H
#define NVMKV_NVM_ROW_H

#include "engine/base/iter.h"
#include "engine/nvm/pool.h"

/* What the version knows of a row: pointers are into the version image (or the builder's result). */
typedef struct NvmRowRef
{
	uint64_t row_id;       /* never 0, never used twice in a pool */
	uint64_t entries;      /* all, drained ones included */
	uint64_t first_live;   /* entries below are drained: invisible */
	uint64_t data_bytes;   /* bytes of the data region */
	uint64_t older_row_id; /* row its hints point into, 0 none */
	const uint32_t *extents;
	uint32_t extent_count;
	/* extents [1, first_extent_live) were given back (extent 0 keeps the header); at least 1 */
	uint32_t first_extent_live;
	uint64_t live_bytes; /* data bytes from first_live on, fill included; 0: not known */
} NvmRowRef;

/* ---- building ---- */
typedef struct NvmRowBuilder NvmRowBuilder;

typedef struct NvmRowBuilt
{
	NvmRowRef ref; /* extents owned by the builder until nvm_row_builder_destroy */
	uint64_t min_sequence, max_sequence;
	uint64_t min_unresolved_fxid; /* smallest fxid whose outcome is not stored, 0 none */
	uint64_t user_bytes;          /* keys and values without tags */
	uint64_t nvm_bytes;           /* bytes written to the medium */
	NvmkvBuf smallest, largest;   /* user keys, owned by the builder */
} NvmRowBuilt;

/*
 * older: the next older row (for hints), or NULL; copied, but its extents (list and content) must stay until finish.
 * prefix_bytes: of the prefixes in the filter, 0 = none.
 * Takes extents from the pool as it grows; data goes to the medium as it comes.
 * Process memory: 16 bytes an entry, 8 a key for the filter, and half a MiB.
 */
extern NvmkvStatus nvm_row_builder_create(NvmPool *pool, uint64_t row_id, const NvmRowRef *older,
										  unsigned bloom_bits_per_key, unsigned prefix_bytes,
										  NvmRowBuilder **builder_out);

/*
 * Entries in internal-key order (INVALID otherwise).  NO_SPACE when the pool is full, LIMIT when the row would pass 4
 * GiB or the entry is beyond the limits of options.h; after a failure only destroy.
 */
extern NvmkvStatus nvm_row_builder_add(NvmRowBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice payload);

/* Steps 1 and 2 of publishing; REQUIRES at least one entry. The row is durable but unknown to anyone. */
extern NvmkvStatus nvm_row_builder_finish(NvmRowBuilder *b, const NvmRowBuilt **built_out);

/* Frees process memory; gives the extents back unless nvm_row_builder_keep was called (after the manifest edit). */
extern void nvm_row_builder_keep(NvmRowBuilder *b);
extern void nvm_row_builder_destroy(NvmRowBuilder *b);

/* ---- reading (in place, all processes) ---- */

/*
 * Are header, directory and extent list sound and the ref's?  CORRUPTION names pool and row; VERSION.  At open: costs
 * some 40 KB of reading for a 64 MiB row.
 */
extern NvmkvStatus nvm_row_check_header(const NvmPool *pool, const NvmRowRef *row);

/*
 * Of a row whose header is not sound: does that of another one stand there, or is nothing of the row to be found, but
 * something else?  Zeros are damage: a row that has taken the place leaves none.
 */
extern bool nvm_row_is_replaced(const NvmPool *pool, const NvmRowRef *row);

/*
 * Walks everything live: data checksums, order, index, hints, filter.  "problem" gets each finding; OK also when
 * there were findings. older: the row its hints point into, or NULL to check hints for plausibility only.  CANCELLED
 * when the host asks.
 */
extern NvmkvStatus nvm_row_verify(const NvmPool *pool, const NvmRowRef *row, const NvmRowRef *older,
								  void (*problem)(void *ctx, const char *text), void *ctx);

/* Fetches what nvm_row_may_contain will look at into the processor's cache. */
extern void nvm_row_prefetch(const NvmPool *pool, const NvmRowRef *row, uint64_t key_hash);

/* false: no entry has the user key with this filter_hash. */
extern bool nvm_row_may_contain(const NvmPool *pool, const NvmRowRef *row, uint64_t key_hash);

/* false: no entry's key begins with the prefix of so many bytes with this filter_prefix_hash. */
extern bool nvm_row_may_hold(const NvmPool *pool, const NvmRowRef *row, unsigned prefix_bytes, uint64_t prefix_hash);

/*
 * First index >= (key, tag) in [first_live, entries], looked for in the window [left, right] (pass 0, entries, or a
 * hint window); entries when there is none.  CORRUPTION.
 */
extern NvmkvStatus nvm_row_lower_bound(const NvmPool *pool, const NvmRowRef *row, NvmkvSlice key, uint64_t tag,
									   uint64_t left, uint64_t right, uint64_t *index_out);

/* The same for the first index whose user key is greater than "key": past all its versions. */
extern NvmkvStatus nvm_row_upper_bound(const NvmPool *pool, const NvmRowRef *row, NvmkvSlice key, uint64_t left,
									   uint64_t right, uint64_t *index_out);

/*
 * *may_out false: the live entry at index is not one of this user key, says the index alone; nothing of the data is
 * read.  CORRUPTION.
 */
extern NvmkvStatus nvm_row_may_be(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvSlice key,
								  bool *may_out);

/* The same of a key that begins with these bytes. */
extern NvmkvStatus nvm_row_may_begin(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvSlice prefix,
									 bool *may_out);

/*
 * "index" is a lower bound found in "row"; the lower bound of the same target in "older" is within [*left_out, *right_out].
 * The whole of older's live range when the hints are not for it.
 */
extern void nvm_row_hint_window(const NvmPool *pool, const NvmRowRef *row, uint64_t index, const NvmRowRef *older,
								uint64_t *left_out, uint64_t *right_out);

/*
 * Live entry at index, its checksum checked; key and payload point into the map or, where the entry is not
 * contiguous, into *scratch.
 * CORRUPTION, NO_MEMORY.
 */
extern NvmkvStatus nvm_row_entry(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvBuf *scratch,
								 NvmkvSlice *key_out, uint64_t *tag_out, NvmkvSlice *payload_out);

/*
 * Bounds of the key of an entry that cannot be read, by what the index says of it: *low <= key; key < *upper.
 * Of size 0: the index cannot tell, either.  NO_MEMORY.
 */
extern NvmkvStatus nvm_row_key_bounds(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmkvBuf *low,
									  NvmkvBuf *upper);

/*
 * A run of entries whose part of the index is damaged, found by walking over the data: each entry has its own checksum,
 * and they follow each other.  offsets: of each entry, 0: it cannot be read; a run of those is where it is in the row,
 * but how many are in each of several such runs is not known.
 */
typedef struct NvmRowStretch
{
	uint64_t first, end;
	uint32_t *offsets; /* NULL: there is none */
} NvmRowStretch;

/* The stretch around "index", if its part of the index is damaged; else none.  NO_MEMORY. */
extern NvmkvStatus nvm_row_find_stretch(const NvmPool *pool, const NvmRowRef *row, uint64_t index,
										NvmRowStretch *stretch_out);
extern void nvm_row_stretch_free(NvmRowStretch *stretch);

/* The entry at an offset of a stretch. */
extern NvmkvStatus nvm_row_entry_at(const NvmPool *pool, const NvmRowRef *row, uint64_t offset, NvmkvBuf *scratch,
									NvmkvSlice *key_out, uint64_t *tag_out, NvmkvSlice *payload_out);

/* Data bytes of the entries from "from" on; also where the index of that one is damaged, if the one before is sound. */
extern uint64_t nvm_row_bytes_from(const NvmPool *pool, const NvmRowRef *row, uint64_t from);

/* Data bytes of entries [from, to). Two loads. */
extern uint64_t nvm_row_bytes_between(const NvmPool *pool, const NvmRowRef *row, uint64_t from, uint64_t to);

/*
 * The value for NvmRowRef.first_extent_live once "first_live" is the row's: extents [1, it) lie wholly below that
 * entry. At least 1.
 */
extern uint32_t nvm_row_extents_below(const NvmPool *pool, const NvmRowRef *row, uint64_t first_live);

/* The data bytes from the iterator's entry on, or of nothing if it is at the row's end: see NvmRowRef. */
struct NvmRowIter;
extern uint64_t nvm_row_iter_bytes_left(const struct NvmRowIter *it);

typedef struct NvmRowIter
{
	NvmkvIter base;
	const NvmPool *pool;
	NvmRowRef row;
	uint64_t index;
	uint64_t end; /* exclusive upper index; entries by default, a column's cut in compaction */
	NvmkvDamageSink *sink; /* set by the owner after init; NULL: damage is a failure */
	NvmRowStretch stretch; /* with a sink: where the index is damaged */
	NvmkvBuf scratch;
} NvmRowIter;

/* No allocation until an entry is not contiguous; destroy frees scratch. */
extern void nvm_row_iter_init(NvmRowIter *it, const NvmPool *pool, const NvmRowRef *row, uint64_t end);

/*
 * Like seek, within a window of nvm_row_hint_window; it->index is the lower bound also when the iterator is not
 * valid.
 */
extern void nvm_row_iter_seek_window(NvmRowIter *it, NvmkvSlice key, uint64_t tag, uint64_t left, uint64_t right);

#endif
