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

/* May the user call the function of this name that is about all tables (nvmkv.name())? */
extern bool nvmkv_may_work_on_all(const char *name);

/* ERROR 42501 if the user neither owns the table nor may work on all. */
extern void nvmkv_require_owner(Relation rel, const char *name);

#endif
