/*
 * drop.h
 *	  Tables and rows of dropped storages.
 */
#ifndef NVMKV_JOB_DROP_H
#define NVMKV_JOB_DROP_H

#include "engine/tree/tree.h"

/* Is it time to look again?  Says so once. */
extern bool drop_is_due(NvmkvDb *db);

/* Takes out what holds nothing else. */
extern NvmkvStatus drop_step(NvmkvDb *db, bool *did_out);

#endif
