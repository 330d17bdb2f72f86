/*
 * tree_memory.h
 *	  A tree in shared memory: how it is laid out, and how a process finds it there.
 */
#ifndef NVMKV_TREE_TREE_MEMORY_H
#define NVMKV_TREE_TREE_MEMORY_H

#include "engine/tree/tree.h"

/* Of the database's own tree, or of a family's of this shape. */
extern size_t tree_shm_bytes(const NvmkvOptions *options, bool is_root);

/*
 * Lays the tree out, in memory of which "bytes" are its own and the root's further parts, which the root has to lay out
 * itself; then as below.
 */
extern void tree_lay_out(NvmkvDb *db, void *memory, size_t bytes);

/*
 * Sets the handle's pointers into memory that is laid out.  The root's block cache serves all families, and whoever
 * reads a family is in the root's epoch too: so a family takes the root's cache, and the root has to attach its own.
 */
extern void tree_find_memory(NvmkvDb *db, void *memory);

/* What the process has for itself of it.  REQUIRES the log and the block cache. */
extern NvmkvStatus tree_take_up(NvmkvDb *db);

static inline MemPoolShm *
tree_memtables(const NvmkvDb *db)
{
	return (MemPoolShm *) (void *) ((uint8_t *) db->shm + db->shm->memtables_off);
}

static inline VersionSetShm *
tree_versions(const NvmkvDb *db)
{
	return (VersionSetShm *) (void *) ((uint8_t *) db->shm + db->shm->versions_off);
}

static inline NvmPoolShm *
tree_pool(const NvmkvDb *db)
{
	return (NvmPoolShm *) (void *) ((uint8_t *) db->shm + db->shm->pool_off);
}

#endif
