/*
 * copytriggers.h
 *	  AFTER triggers of COPY FROM, and the rows that it keeps back.
 */
#ifndef NVMKV_FDW_COPYTRIGGERS_H
#define NVMKV_FDW_COPYTRIGGERS_H

#include "postgres.h"

#include "nodes/execnodes.h"

/* AFTER triggers of the table, and of the COPY's target, see all rows written. */
extern void nvmkv_copytriggers_write_first(ModifyTableState *mtstate, ResultRelInfo *rri);

#endif
