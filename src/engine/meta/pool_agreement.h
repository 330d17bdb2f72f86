/*
 * pool_agreement.h
 *	  Is a pool the one that a tree's manifest speaks of?  Asked before the pool
 *	  is used, and nothing is written to it if it is not.
 *
 * At each opening the pool gets another generation (nvm/pool_stamp.h), in this
 * order, each step durable before the next:
 *	  1 the manifest names the generation that the pool has, and its successor
 *	  2 the pool gets the successor
 *	  3 the manifest names that alone
 * Crash between 1 and 2: the pool has the one, between 2 and 3 the other; both are
 * named, and the next opening takes a new successor.  So a pool that was opened
 * with another manifest since, be it a copy's of the same moment, has a generation
 * that this one does not name, and so has a file of any earlier opening.
 *
 * Within one opening every row is noted in the pool before the manifest knows of
 * it.  So a file that was copied earlier lacks the id of a row, or no row at all.
 */
#ifndef NVMKV_META_POOL_AGREEMENT_H
#define NVMKV_META_POOL_AGREEMENT_H

#include "engine/meta/draft.h"
#include "engine/nvm/pool_owner.h"

/* What a manifest says of the pool. */
typedef struct PoolKnown
{
	NvmPoolOwner owner;
	uint64_t stamp_number; /* of its last opening, or of the one that may have begun since */
	uint64_t position;	   /* up to which the tree has everything */
	uint64_t last_row;	   /* the highest id of a row */
	bool has_rows;
} PoolKnown;

extern void pool_known_of_version(const VersionImage *v, PoolKnown *known_out);
extern void pool_known_of_draft(const VersionDraft *draft, PoolKnown *known_out);

/*
 * OK: it is; or nobody has opened it yet, and there is no row.  CORRUPTION: it is of another time, or another's; the
 * text names what both say.
 */
extern NvmkvStatus pool_agrees(const PoolKnown *known, const char *path, const NvmPoolHeader *header,
							   const NvmPoolStamp *stamp);

#endif
