/*
 * ready.h
 *	  The engine, for a session: when writers are let in.
 */
#ifndef NVMKV_FDW_READY_H
#define NVMKV_FDW_READY_H

#include "postgres.h"

#include "engine/nvmkv.h"

/*
 * The database of this cluster, open for reading and writing as far as the server is.
 * ERROR 55000 with a hint when the library is not in shared_preload_libraries, with the remembered reason when the
 * engine did not open, or when its workers do not come up.  May wait a moment for them after a start.
 */
extern NvmkvDb *nvmkv_engine(void);

/*
 * From _PG_init: there is no worker process for the barrier, so using foreign tables fails at once.  needed: workers
 * of this library.
 */
extern void nvmkv_ready_without_barrier(int needed);

/* Before a transaction commits: without workers nobody holds checkpoints back, so everything is flushed here. */
extern void nvmkv_ready_before_commit(void);

#endif
