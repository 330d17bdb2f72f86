/*
 * damage_files.h
 *	  Table files that compaction went round and that stay (damage.h).
 */
#ifndef NVMKV_TREE_DAMAGE_FILES_H
#define NVMKV_TREE_DAMAGE_FILES_H

#include "engine/tree/tree.h"

/* What is kept of tables that were gone round, of one tree. */
#define DAMAGE_KEPT_FILES_MAX 64
#define DAMAGE_KEPT_BYTES_MAX (UINT64_C(1) << 30)

/* Does a damaged range of the current version name the table? */
extern bool damage_is_named(NvmkvDb *db, uint64_t number);

extern bool damage_file_exists(NvmkvDb *db, uint64_t number);

/*
 * The table's file is not in the version any more.  Does it stay all the same, as a damaged range names it and there is
 * room?  others: what the files that have stayed take, which this one is added to; NULL: to be found out.
 */
typedef struct DamageKept
{
	uint64_t files, bytes;
} DamageKept;

extern bool damage_keeps_file(NvmkvDb *db, uint64_t number, DamageKept *others);

/* What a table's file takes, of one that is not in the version any more; 0: it has gone, or cannot be read. */
extern uint64_t damage_file_bytes(NvmkvDb *db, uint64_t number);

#endif
