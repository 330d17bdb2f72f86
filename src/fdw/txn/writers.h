/*
 * writers.h
 *	  Statements of this process that change foreign tables, from their beginning to their end.
 */
#ifndef NVMKV_FDW_WRITERS_H
#define NVMKV_FDW_WRITERS_H

#include "postgres.h"

#include "nodes/execnodes.h"

/* A statement begins to change a table.  Said once for each of its tables; it ends with the statement's memory. */
extern void nvmkv_writer_begin(EState *estate);

/* Is there another one than this, which is run from within it then, by a function or a trigger? */
extern bool nvmkv_writer_is_outside(const EState *estate);

#endif
