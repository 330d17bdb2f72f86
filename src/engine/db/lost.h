/*
 * lost.h
 *	  Versions whose transactions' outcomes are lost (outcome.h), by the prefix
 *	  of their keys: of which storages are they?
 *
 * A list is filled by walking sources one by one, in any order.
 */
#ifndef NVMKV_DB_LOST_H
#define NVMKV_DB_LOST_H

#include "engine/base/iter.h"
#include "engine/nvmkv.h"

typedef struct LostEntry
{
	NvmkvBuf first_key, last_key;
	uint64_t versions, first_fxid, last_fxid;
} LostEntry;

/* Zero-initialise but for the first three; release with lost_free. */
typedef struct LostList
{
	size_t prefix_bytes; /* 0: all keys are one entry */
	NvmkvStatus (*ask)(void *ctx, uint64_t fxid, bool *lost_out);
	void *ctx;
	LostEntry *entries;
	uint32_t count, capacity;
	uint32_t at;		 /* the entry that was added to last */
	uint64_t asked_fxid; /* last, and the answer */
	bool asked_lost;
} LostList;

/*
 * Takes the entries of a source into account; row locks and marks of dropped storages are no versions.  Where the
 * source is damaged it is left, and that is no failure: an iterator with damage_untold_sink goes round what it can.
 * NO_MEMORY, and what ask() returns.
 */
extern NvmkvStatus lost_walk(LostList *list, NvmkvIter *it);

/* Borrows the keys from the list. */
extern NvmkvLostVersions lost_of(const LostEntry *entry);

extern void lost_free(LostList *list);

#endif
