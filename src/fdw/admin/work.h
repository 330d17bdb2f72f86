/*
 * work.h
 *	  What SQL functions share that are about one foreign table.
 */
#ifndef NVMKV_FDW_WORK_H
#define NVMKV_FDW_WORK_H

#include "postgres.h"

#include "utils/rel.h"

/* A foreign table of ours, with AccessShareLock; ERROR 42809 for any other relation. */
extern Relation nvmkv_open_our_table(Oid relid);

#endif
