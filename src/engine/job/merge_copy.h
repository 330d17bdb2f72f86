/*
 * merge_copy.h
 *	  The common middle of all compactions: a merged stream, through the garbage
 *	  rules, to new tables.
 */
#ifndef NVMKV_JOB_MERGE_COPY_H
#define NVMKV_JOB_MERGE_COPY_H

#include "engine/job/compaction.h"

/*
 * Steps 2 and 3 of compaction.h.  Reads the merge from its first entry to its last; of a dropped storage hardly more
 * than the first entry.  CANCELLED when the host wants this process to stop; BUSY when the column cannot be installed
 * any more; or what reading or writing says.
 */
extern NvmkvStatus merge_write(Compaction *c);

#endif
