/*
 * leap.h
 *	  How a scan finds ranges of keys that are empty for all, and goes round them
 *	  (tree/emptied.h).
 *
 * A scan counts the entries that it has passed since it last showed a row.  A
 * few in a row, and it looks whether it is in a range that is known to be empty;
 * then it goes on behind.  Many in a row, and it goes back to where they began,
 * begins a watch, and judges every key on its way with the horizon, up to the
 * first that is not empty: what is before that is a range from then on.  So what
 * has been deleted is passed about once, by whoever comes first.
 *
 * Where nothing is found to be empty, as while an old snapshot is held, the scan
 * waits longer before it tries again, so that it passes little twice.
 */
#ifndef NVMKV_READ_LEAP_H
#define NVMKV_READ_LEAP_H

#include "engine/tree/emptied.h"

#define LEAP_LOOKS_AFTER 16 /* entries */
#define LEAP_WATCHES_AFTER 64

typedef struct ScanLeap
{
	bool enabled; /* the scan may leap: its snapshot has a horizon, its keys one prefix */
	bool can_watch;
	bool watch_wanted; /* the scan has stopped where the entries in a row began, to begin a watch there */
	bool watching;
	bool looked;	   /* for a known range, since a row was shown */
	unsigned passed;   /* entries in a row */
	unsigned patience; /* so many are passed before a watch */
	unsigned empty;	   /* keys found empty under the watch */
	uint64_t horizon;
	EmptiedWatch watch;
	NvmkvBuf to; /* where a leap leads */

	/* Of the key that is judged. */
	bool is_alive;
	bool is_unsure;
} ScanLeap;

/* A new range. */
extern void leap_start(ScanLeap *leap, const NvmkvSnapshot *snapshot, bool has_prefix);

/* A row was shown, or the scan has leapt. */
static inline void
leap_showed(ScanLeap *leap)
{
	leap->passed = 0;
	leap->looked = false;
}

/* Is it time to ask whether the place is in a known range? */
static inline bool
leap_looks(const ScanLeap *leap)
{
	return leap->enabled && leap->passed >= LEAP_LOOKS_AFTER && !leap->looked;
}

/* Is it time to go back and begin a watch? */
static inline bool
leap_turns_back(const ScanLeap *leap)
{
	return leap->can_watch && !leap->watching && leap->passed >= leap->patience;
}

/*
 * Begins the watch of [key, limit), or backwards [limit, key); REQUIRES no epoch.  The snapshot's horizon may raise.
 * Whether it could or not, the scan goes on from the key, with its sources placed anew.
 */
extern void leap_watch(ScanLeap *leap, NvmkvDb *db, const NvmkvSnapshot *snapshot, uint64_t prefix_hash, NvmkvSlice key,
					   NvmkvSlice limit, bool reverse);

/* All keys before this one, in the direction of the scan, are empty. */
extern void leap_extend(ScanLeap *leap, NvmkvDb *db, NvmkvSlice key);

/* The watch has come to a key that is not empty, or to the end of what there is: REQUIRES leap_extend before. */
extern void leap_end(ScanLeap *leap, NvmkvDb *db);

/* ---- the judgement of a key: of its versions until one decides, forwards; of all of them, backwards ---- */

static inline void
leap_judge_begin(ScanLeap *leap)
{
	leap->is_alive = leap->is_unsure = false;
}

/* What the snapshot sees, everybody does, if it is old enough; what it does not see has been rolled back then. */
static inline void
leap_judge(ScanLeap *leap, const NvmkvVersion *version, NvmkvSight sight)
{
	unsigned kind = version->type & NVMKV_TYPE_KIND_MASK;
	bool is_tagged = (version->type & NVMKV_TYPE_TAGGED_BIT) != 0;
	bool is_old = !is_tagged || version->txn.fxid < leap->horizon;

	if (kind == NVMKV_KIND_LOCK)
		return;
	if (sight == NVMKV_SEEN)
		leap->is_alive = kind != NVMKV_KIND_DELETION || !is_old;
	else if (sight == NVMKV_SEEN_OWN || !is_tagged || !is_old || kind == NVMKV_KIND_RANGE_DELETION)
		leap->is_unsure = true;
}

static inline bool
leap_judges_empty(const ScanLeap *leap)
{
	return !leap->is_alive && !leap->is_unsure;
}

#endif
