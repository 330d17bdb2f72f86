/*
 * failure.h
 *	  What failed: of background work, for the views; and once and for all, after
 *	  which nothing is written any more.
 */
#ifndef NVMKV_TREE_FAILURE_H
#define NVMKV_TREE_FAILURE_H

#include "engine/tree/tree.h"

/* Remembers a failure of background work for the views; returns it. */
extern NvmkvStatus db_note_failure(NvmkvDb *db, NvmkvStatus status);

/*
 * A sync failed (the thread's last error says how): what the medium holds is unknown, so no writes and no background
 * work until the next open.  The first cause is kept.
 */
extern void db_set_sticky(NvmkvDb *db);

/* READ_ONLY with the first cause once something is sticky. */
extern NvmkvStatus db_refuse_if_sticky(NvmkvDb *db);

/* READ_ONLY while the gate is closed, too. */
extern NvmkvStatus db_refuse_writes(NvmkvDb *db);

#endif
