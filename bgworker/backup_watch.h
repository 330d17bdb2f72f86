/*
 * backup_watch.h
 *	  Does anybody make a base backup?
 */
#ifndef NVMKV_BGWORKER_BACKUP_WATCH_H
#define NVMKV_BGWORKER_BACKUP_WATCH_H

#include "postgres.h"

/*
 * True from before the checkpoint that a streaming base backup (pg_basebackup) starts with until it has ended.  A
 * backup by pg_backup_start() cannot be seen from outside its session.
 */
extern bool nvmkv_base_backup_runs(void);

#endif
