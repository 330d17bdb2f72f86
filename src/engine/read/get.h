/*
 * get.h
 *	  What point reads and scans share.
 */
#ifndef NVMKV_READ_GET_H
#define NVMKV_READ_GET_H

#include "engine/nvmkv.h"

/* Does the snapshot see this version?  Locks and range deletions are seen by nobody. */
extern NvmkvSight db_snapshot_sees(const NvmkvSnapshot *snapshot, NvmkvSlice key, const NvmkvVersion *version);

/* Frees the scan that the handle keeps for the next one.  To be called before it is closed. */
extern void scan_free_spare(NvmkvDb *db);

#endif
