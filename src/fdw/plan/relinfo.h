/*
 * relinfo.h
 *	  What the planner is told about a foreign table before it makes paths: size, key and indexes.
 */
#ifndef NVMKV_FDW_RELINFO_H
#define NVMKV_FDW_RELINFO_H

#include "nodes/pathnodes.h"

#include "fdw/plan/cost.h"

/* Called once, from _PG_init: installs the planner's hook. */
extern void nvmkv_relinfo_init(void);

/* The rel's information; makes it if the hook could not. */
extern NvmkvRelInfo *nvmkv_relinfo(RelOptInfo *rel, Oid relid);

/* The OID of the index that this is shown for; InvalidOid: the table's key. */
extern Oid nvmkv_relinfo_index(const IndexOptInfo *index);

/* Makes core look for index paths that an OR joins: bitmap paths, which it would otherwise spend time on in vain. */
extern void nvmkv_relinfo_allow_or(RelOptInfo *rel);

#endif
