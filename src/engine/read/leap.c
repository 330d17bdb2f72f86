/*
 * leap.c
 *	  How a scan goes round ranges that are empty for all: see leap.h.
 */
#include "engine/read/leap.h"

/* A watch that has found fewer keys was not worth it. */
#define LEAP_KEYS_WORTH 16
#define LEAP_PATIENCE_GROWTH 8

void
leap_start(ScanLeap *leap, const NvmkvSnapshot *snapshot, bool has_prefix)
{
	leap->enabled = has_prefix && snapshot->horizon != NULL;
	/* A snapshot that is bounded by a sequence may not see what all others do. */
	leap->can_watch = leap->enabled && snapshot->sequence == NVMKV_SEQUENCE_MAX;
	leap->watch_wanted = leap->watching = leap->looked = false;
	leap->passed = 0;
	leap->patience = LEAP_WATCHES_AFTER;
}

void
leap_watch(ScanLeap *leap, NvmkvDb *db, const NvmkvSnapshot *snapshot, uint64_t prefix_hash, NvmkvSlice key,
		   NvmkvSlice limit, bool reverse)
{
	leap->watch_wanted = false;
	leap->passed = 0;
	leap->looked = false;
	leap->empty = 0;
	leap->horizon = snapshot->horizon(snapshot->ctx);
	leap->watching = leap->horizon != 0 && emptied_watch(db, prefix_hash, key, limit, reverse, &leap->watch);
	leap->can_watch = leap->watching;
}

void
leap_extend(ScanLeap *leap, NvmkvDb *db, NvmkvSlice key)
{
	if (leap->empty > 0)
		emptied_extend(db, &leap->watch, key);
}

void
leap_end(ScanLeap *leap, NvmkvDb *db)
{
	emptied_unwatch(db, &leap->watch);
	leap->watching = false;
	leap->passed = 0;
	leap->looked = false;
	if (leap->empty < LEAP_KEYS_WORTH && leap->patience < UINT32_MAX / LEAP_PATIENCE_GROWTH)
		leap->patience *= LEAP_PATIENCE_GROWTH;
}
