/*
 * own_log_recover.h
 *	  Recovery from the standalone database's log.
 */
#ifndef NVMKV_DB_OWN_LOG_RECOVER_H
#define NVMKV_DB_OWN_LOG_RECOVER_H

#include "engine/tree/tree.h"

/*
 * Replays every log file, flushes what was replayed, starts a new file and removes the old ones: afterwards nothing but
 * rows and tables holds the past.
 */
extern NvmkvStatus own_log_recover(NvmkvDb *db);

#endif
