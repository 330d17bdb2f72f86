/*
 * checkpoint.h
 *	  What a checkpoint waits for, if that may last: foreign tables that can be
 *	  neither flushed nor kept.
 *
 * The server has no way by which a library can make a checkpoint fail, and to let
 * it go on would cut off WAL that alone has those entries.  So it waits; but who
 * has asked for it by CHECKPOINT is told (ddl/checkpoint.h).
 */
#ifndef NVMKV_FDW_CHECKPOINT_H
#define NVMKV_FDW_CHECKPOINT_H

#include "postgres.h"

#include "engine/nvmkv.h"

/* shmem_request_hook and shmem_startup_hook. */
extern void nvmkv_checkpoint_shmem_request(void);
extern void nvmkv_checkpoint_shmem_init(void);

/* By the barrier: it cannot let a checkpoint go, and tries again; OK: it has let it go. */
extern void nvmkv_checkpoint_note(NvmkvStatus status, const char *why);

/* Why a checkpoint waits: OK when it does not.  In a signal handler, too.  *why_out (unless NULL): the last reason. */
extern NvmkvStatus nvmkv_checkpoint_obstacle(const char **why_out);

/* How often it could not be let go so far. */
extern uint32 nvmkv_checkpoint_failures(void);

#endif
