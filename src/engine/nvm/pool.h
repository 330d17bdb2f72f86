/*
 * pool.h
 *	  The pool of the matrix container: a header and extents of 1 MiB.
 *
 * The header (pool_format.h) says whose the pool is and how large an extent.
 * How many there are is the file's length.  Which are taken is known from the
 * manifest alone: the bitmap lives in shared memory and is rebuilt at open.
 *
 * A set bit: taken by a row that is being built or is in the current version,
 * or retired (still visible to a reader in an older epoch).
 */
#ifndef NVMKV_NVM_POOL_H
#define NVMKV_NVM_POOL_H

#include "engine/nvm/pool_stamp.h"

#define NVM_POOL_BYTES_MIN (UINT64_C(8) << 20)

typedef struct NvmPoolShm NvmPoolShm; /* shared: bitmap, counters, lock */

#define NVM_CHECKED_WORDS 4 /* a bit a page of 4 KiB */

/*
 * What this process has found sound in an extent (row_read.c): of which row, and which pages.  Threads that share it
 * look at the row first, and write it last.
 */
typedef struct NvmChecked
{
	uint64_t row_id;
	uint64_t pages[NVM_CHECKED_WORDS];
} NvmChecked;

typedef struct NvmPool
{
	NvmDevice *dev;
	NvmPoolShm *shm;
	NvmChecked *checked; /* by extent; NULL: rows are read without looking at the checksums of their indexes */
	uint32_t extent_count;
	uint32_t usable; /* the first so many are for new rows: all, unless it is to become smaller; 0: it is given up */
	uint64_t pool_id;
} NvmPool;

/* Shared memory for pools of up to pool_bytes_max; nvm_pool_shm_init once, before anyone opens. */
extern size_t nvm_pool_shm_bytes(uint64_t pool_bytes_max);
extern void nvm_pool_shm_init(NvmPoolShm *shm, uint64_t pool_bytes_max);

typedef struct NvmPoolOpening
{
	const char *path;
	uint64_t bytes; /* the size wanted; 0: never create, and use nothing for new rows */
	uint64_t system_identifier;
	uint64_t expected_pool_id; /* 0: no rows are known */
	uint32_t extents_used;	   /* the highest of any row, and one more */
	/* Asked of a pool that was there before it is used or changed: is it the right one?  NULL: nobody asks. */
	NvmkvStatus (*judge)(void *ctx, const NvmPoolHeader *header, const NvmPoolStamp *stamp);
	void *ctx;
} NvmPoolOpening;

/*
 * Opens or creates the pool at path and empties the bitmap; once, before
 * processes fork.  Without rows that are known a pool may be created (and an
 * existing sound one of this system_identifier is taken over, its content void);
 * otherwise the pool must exist and carry the id expected.
 *
 * A file becomes as long as is wanted, or as the extents in
 * use take.  What is then
 * beyond the size wanted is not used for new rows, and cut off once it is free
 * (nvm_pool_cut).  Where a file cannot become longer it stays as it is (a
 * warning).
 * *created_out: a header was written.
 * Errors name the file, say what is wrong and what to do: NOT_FOUND missing,
 * CORRUPTION truncated / bad crc / bad magic, VERSION, INVALID pool of another
 * system or with another id or larger than shm was sized for or in use, IO,
 * NO_SPACE, NO_MEMORY, what "judge" says.
 */
extern NvmkvStatus nvm_pool_open(const NvmPoolOpening *opening, NvmPoolShm *shm, NvmPool **pool_out,
								 bool *created_out);

/* CORRUPTION: says how long it is, and how long it would have to be for the rows in it (see extents_used). */
extern NvmkvStatus nvm_pool_too_short(const char *path, uint64_t bytes, uint32_t extents_used);

/* What the pool says of its openings, durably. */
extern const NvmPoolStamp *nvm_pool_stamp(const NvmPool *pool);

/* Begins a generation: by who opens, before anybody builds a row.  last_row: the highest id of a row. */
extern NvmkvStatus nvm_pool_begin_generation(NvmPool *pool, uint64_t generation, uint64_t position, uint64_t last_row);

/*
 * Notes a row before anybody knows of it, durably; on a file all that this process has copied into the pool before is
 * durable with it.  REQUIRES that nobody else builds a row.  Does nothing in a pool without a generation.
 */
extern NvmkvStatus nvm_pool_note_row(NvmPool *pool, uint64_t row_id);

/*
 * A handle of the pool that another process of the same database has opened with this shared memory.
 * NOT_FOUND, CORRUPTION, VERSION, INVALID another pool stands at path, IO, NO_MEMORY.
 */
extern NvmkvStatus nvm_pool_attach(const char *path, uint64_t pool_id, NvmPoolShm *shm, NvmPool **pool_out);
extern void nvm_pool_close(NvmPool *pool);

/*
 * Gives the medium back what is beyond the usable extents, if nobody has anything there any more; all but the header
 * if none is usable.  *cut_out: it did.  REQUIRES that nobody builds a row meanwhile.  Crash: the next open does it.
 */
extern NvmkvStatus nvm_pool_cut(NvmPool *pool, bool *cut_out);
extern bool nvm_pool_is_cut(const NvmPool *pool);

/* Bytes of the medium that the pool takes; 0: none but the header's. */
extern uint64_t nvm_pool_bytes(const NvmPool *pool);

/* Recovery: marks an extent of a known row.  CORRUPTION when out of range or taken already. */
extern NvmkvStatus nvm_pool_mark(NvmPool *pool, uint32_t extent);

/* Takes "count" extents (any positions, ascending from where the last take ended); all or nothing: NO_SPACE.  Short lock. */
extern NvmkvStatus nvm_pool_take(NvmPool *pool, uint32_t count, uint32_t *extents_out);

/* Gives extents back; only when no reader can look at them.  Short lock. */
extern void nvm_pool_give(NvmPool *pool, const uint32_t *extents, uint32_t count);

/* No lock: a moment's view. */
extern uint32_t nvm_pool_free_count(const NvmPool *pool);
extern bool nvm_pool_is_taken(const NvmPool *pool, uint32_t extent);

/* How many extents so many bytes hold. */
static inline uint32_t
nvm_pool_extents_of(uint64_t pool_bytes)
{
	uint64_t pieces = pool_bytes >> NVM_EXTENT_SHIFT;

	if (pieces <= 1)
		return 0;
	return pieces - 1 > NVM_EXTENTS_MAX ? NVM_EXTENTS_MAX : (uint32_t) (pieces - 1);
}

static inline uint64_t
nvm_extent_offset(uint32_t extent)
{
	return ((uint64_t) extent + 1) << NVM_EXTENT_SHIFT; /* the header owns the first MiB */
}

#endif
