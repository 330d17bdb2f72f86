/*
 * checkpoint.h
 *	  CHECKPOINT, when foreign tables can be neither flushed nor kept: an error
 *	  instead of a wait without end.
 */
#ifndef NVMKV_FDW_DDL_CHECKPOINT_H
#define NVMKV_FDW_DDL_CHECKPOINT_H

#include "postgres.h"

/*
 * Around the server's own CHECKPOINT: step(arg) runs it.  ERROR 53100 or 58030 when the checkpoint is known to wait for
 * something that may not come; it goes on being tried.
 */
extern void nvmkv_checkpoint_command(void (*step) (void *arg), void *arg);

#endif
