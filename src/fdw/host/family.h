/*
 * family.h
 *	  Column families: a table's server option names the one its rows are in.
 *
 * A family is made when the first table asks for it, at once and for good,
 * whatever becomes of the transaction, as a directory would be; it goes by
 * nvmkv.drop_column_family().  Each storage is in one family for its life: the
 * first byte of its id, and so of all its keys, is the family's number.  That
 * is how writes, the log and recovery find the family of an entry.  (Positions
 * in the log, which make the rest of an id, never come near that byte.)
 *
 * Who makes a storage, and who looks at a family's statistics, holds a shared
 * lock on the family's number until the transaction ends; who drops the family
 * holds it exclusively, and finds no storage in it.  So does recovery on a
 * standby.
 */
#ifndef NVMKV_FDW_FAMILY_H
#define NVMKV_FDW_FAMILY_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

#include "engine/nvmkv.h"

#define NVMKV_STORAGE_FAMILY_SHIFT 56

/* The family of a storage id.  The registry's prefix is beyond all families: it is in the default one. */
static inline unsigned
nvmkv_family_of_storage(uint64 storage_id)
{
	unsigned family = (unsigned) (storage_id >> NVMKV_STORAGE_FAMILY_SHIFT);

	return family < NVMKV_FAMILIES_MAX ? family : 0;
}

/* The position of the log at which the storage was made. */
static inline uint64
nvmkv_birth_of_storage(uint64 storage_id)
{
	return storage_id & ((UINT64CONST(1) << NVMKV_STORAGE_FAMILY_SHIFT) - 1);
}

/* The same of a key, which starts with the storage id. */
static inline unsigned
nvmkv_family_of_key(NvmkvSlice key)
{
	return key.size > 0 && key.data[0] < NVMKV_FAMILIES_MAX ? key.data[0] : 0;
}

/* The engine's handle for reading a storage; as nvmkv_engine(), and ERROR XX001 when its family is not there. */
extern NvmkvDb *nvmkv_engine_of(uint64 storage_id);

/* The same or NULL, without waiting. */
extern NvmkvDb *nvmkv_engine_of_or_null(uint64 storage_id);

/*
 * The same for who has no lock on a table of the storage, and so may ask for one that is gone: the family is protected
 * from being dropped while the transaction lasts.  NULL: there is no such family.
 */
extern NvmkvDb *nvmkv_engine_of_any(uint64 storage_id);

/* A new storage id in the family that the table's server names; makes the family if there is none of that name. */
extern uint64 nvmkv_family_new_storage_id(Relation rel);

/* What to do for larger memtables in the table's family: the hint of an error. */
extern const char *nvmkv_family_larger_buffer(Relation rel);

/* ---- families by name ---- */

/* The number of a family; 0: there is none of this name. */
extern unsigned nvmkv_family_find(NvmkvDb *db, const char *name, NvmkvFamilyInfo *info_out);

/* Waits for the lock; false if the family of this name has gone, or is another one, by then. */
extern bool nvmkv_family_lock(NvmkvDb *db, const char *name, unsigned id, LOCKMODE mode);

/* The shape that a server's options give; the name. */
extern const char *nvmkv_family_read_shape(NvmkvDb *db, List *options, NvmkvFamilyOptions *shape);

/* Calls report for each family that cannot be used, with why. */
extern void nvmkv_broken_families(NvmkvDb *db, void (*report)(void *ctx, const char *family, const char *problem),
								  void *ctx);

/* For views: all families, the default one first, protected from being dropped while the transaction lasts. */
typedef struct NvmkvFamilyEntry
{
	const char *name;
	NvmkvDb *db;
} NvmkvFamilyEntry;

extern NvmkvFamilyEntry *nvmkv_families(unsigned *count_out);

#endif
