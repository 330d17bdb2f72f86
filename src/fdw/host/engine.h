/*
 * engine.h
 *	  The engine inside the server: its handle, and whether there is one.
 */
#ifndef NVMKV_FDW_ENGINE_H
#define NVMKV_FDW_ENGINE_H

#include "postgres.h"

#include "storage/condition_variable.h"

#include "engine/nvmkv.h"
#include "fdw/compat/compat.h"

/* ---- is there one? (whoever uses it in a session calls nvmkv_engine() of ready.h) ---- */

/* The database of this cluster, or NULL; never waits. */
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

/* The same as an ERROR, with a hint.  REQUIRES that there is none. */
pg_noreturn extern void nvmkv_engine_report_absence(void);

/*
 * The engine's last failure, in this process, is one that it cannot go on with: from now on there is none, in any
 * process, until the next start.  For recovery and for the barrier, before they have let anybody in to write.
 */
extern void nvmkv_engine_give_up(void);

/* ---- who lets writers in: the checkpoint barrier (bgworker/barrier.c) ---- */

/* Writers are welcome from now on.  REQUIRES nvmkv_agreement_open. */
extern void nvmkv_engine_open_writes(void);

/* Nobody is until the next start, for this reason. */
extern void nvmkv_engine_refuse(const char *reason);

/* ERROR XX001 if that was said. */
extern void nvmkv_engine_report_refusal(void);

/* They are not, until they are let in again: they wait.  Returns when those inside have left. */
extern NvmkvStatus nvmkv_engine_close_writes(void);

/* Is there no barrier, so that writers are refused for the moment? */
extern bool nvmkv_engine_writes_are_closed(void);

/* How often writers have been let in or kept out: between two equal answers they were in, or out, all the time. */
extern uint32 nvmkv_engine_writes_changes(void);

/* Broadcast whenever one of the answers above may have become another.  REQUIRES that the library was preloaded. */
extern ConditionVariable *nvmkv_engine_changes(void);

/* ---- opening: in the postmaster, before it has children (start.c) ---- */

/* From shmem_request_hook. */
extern void nvmkv_engine_shmem_request(void);

/* From shmem_startup_hook.  False: shared memory is there already, with all that is in it. */
extern bool nvmkv_engine_shmem_init(void);

/* The engine is about to be opened, as a copy made while the server ran or not; one that was open is closed. */
extern void nvmkv_engine_begin_open(bool is_copy);

/* It is open; NULL: it is not, for the engine's last failure. */
extern void nvmkv_engine_end_open(NvmkvDb *db);

/*
 * FATAL if it was to be opened as a copy and was not, for a reason that may be gone next time: the mark of the copy
 * must not be used up, and recovery not go on without it.
 */
extern void nvmkv_engine_check_copy(void);

#endif
