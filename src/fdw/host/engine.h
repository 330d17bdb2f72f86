/*
 * engine.h
 *	  The engine inside the server: shared memory, opening, errors.
 */
#ifndef NVMKV_FDW_ENGINE_H
#define NVMKV_FDW_ENGINE_H

#include "postgres.h"

#include "engine/nvmkv.h"

/*
 * The database of this cluster, open for reading and writing as far as the server is.
 * ERROR 55000 with a hint when the library is not in shared_preload_libraries, with the remembered reason when the
 * engine did not open, or when its workers do not come up.  May wait a moment for them after a start.
 */
extern NvmkvDb *nvmkv_engine(void);

/* The same, or NULL; never waits. */
extern NvmkvDb *nvmkv_engine_or_null(void);

/*
 * For whoever may be within it: the engine that this process has been given, even if it has been given up since
 * (nvmkv_engine_give_up), or NULL.  Its memory stays, and what is held in it is to be let go.
 */
extern NvmkvDb *nvmkv_engine_held(void);

/* Was the library loaded at server start? */
extern bool nvmkv_engine_is_preloaded(void);

/*
 * ERROR 55000 unless the library was loaded at server start (or this is pg_upgrade's server): for what would change
 * definitions behind the back of their rows.
 */
extern void nvmkv_engine_require_preload(void);

/* Why there is no engine, in a sentence; NULL when there is one. */
extern const char *nvmkv_engine_absence(void);

/*
 * The engine's last failure, in this process, is one that it cannot go on with: from now on there is none, in any
 * process, until the next start.  For recovery and for the barrier, before they have let anybody in to write.
 */
extern void nvmkv_engine_give_up(void);

/*
 * Raises what an engine status means in SQL terms; returns on NVMKV_OK.  "doing" says what failed, e.g. "reading foreign table";
 * object: the table's name, or NULL.
 * CORRUPTION XX001, VERSION XX000, IO 58030 (or by errno), NO_SPACE 53100, NO_MEMORY 53200, LIMIT 54000, READ_ONLY
 * 55000,
 * NOT_SUPPORTED 0A000, CANCELLED runs CHECK_FOR_INTERRUPTS, others XX000.
 */
extern void nvmkv_check_status(NvmkvStatus status, const char *doing, const char *object);

/* From _PG_init, while the server preloads libraries: hooks for shared memory. */
extern void nvmkv_engine_init(void);

/* ---- who lets writers in: the checkpoint barrier (bgworker/barrier.c) ---- */

/*
 * From _PG_init: there is no worker process for the barrier, so using foreign tables fails at once.  needed: workers
 * of this library.
 */
extern void nvmkv_engine_without_barrier(int needed);

/* Writers are welcome from now on.  REQUIRES nvmkv_agreement_open. */
extern void nvmkv_engine_open_writes(void);

/* Nobody is until the next start, for this reason. */
extern void nvmkv_engine_refuse(const char *reason);

/* They are not, until they are let in again: they wait.  Returns when those inside have left. */
extern NvmkvStatus nvmkv_engine_close_writes(void);

/* Is there no barrier, so that writers are refused for the moment? */
extern bool nvmkv_engine_writes_are_closed(void);

/* Before a transaction commits: without workers nobody holds checkpoints back, so everything is flushed here. */
extern void nvmkv_engine_before_commit(void);

#endif
