/*
 * retire.h
 *	  What is out of the version waits for its readers before it is used again, and
 *	  for copies of the files (backup.c).
 */
#ifndef NVMKV_TREE_RETIRE_H
#define NVMKV_TREE_RETIRE_H

#include "engine/tree/tree.h"

extern size_t retired_shm_bytes(void);
extern void retired_init(DbRetiredShm *shm);

/* One call takes the stamp, then records all of it.  Blocks (reclaiming) while the list is full. */
extern void retired_add_extents(NvmkvDb *db, const uint32_t *extents, uint32_t count);
extern void retired_add_file(NvmkvDb *db, uint64_t number);
extern void retired_add_outcomes(NvmkvDb *db, uint64_t number);

/* Deletes what is kept with an older stamp.  Adds up what is kept with this stamp or a later one. */
extern void retired_release_held(NvmkvDb *db, uint64_t keep);
extern void retired_held(NvmkvDb *db, uint64_t stamp, NvmkvCopyHeld *held);

/* Reuses what is safe now; returns how much still waits. */
extern uint32_t retired_reclaim(NvmkvDb *db);

#endif
