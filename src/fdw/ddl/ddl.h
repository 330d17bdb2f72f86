/*
 * ddl.h
 *	  What DDL on our tables has to do, and to refuse, beyond what the server
 *	  does for foreign tables.
 */
#ifndef NVMKV_FDW_DDL_H
#define NVMKV_FDW_DDL_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/* Installs the hooks; from _PG_init, preloaded or not. */
extern void nvmkv_ddl_init(void);

/* FdwRoutine.ExecForeignTruncate.  Its address also tells our FdwRoutine from others'. */
extern void nvmkvExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs);

#endif
