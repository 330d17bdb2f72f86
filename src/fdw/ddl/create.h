/*
 * create.h
 *	  What a new table of ours gets beside what the server makes.
 */
#ifndef NVMKV_FDW_CREATE_H
#define NVMKV_FDW_CREATE_H

#include "postgres.h"

#include "nodes/primnodes.h"

/* The relation a CREATE statement makes, or would make; InvalidOid before. */
extern Oid nvmkv_created_relid(const RangeVar *relation);

/*
 * After the server has made a foreign table: if it is ours it gets its storage, and NOT NULL in key columns.  ERROR
 * 0A000 for a temporary one.
 */
extern void nvmkv_create_finish(Oid relid);

/* After the server has made a partition, ours or not: it takes values away from the default one. */
extern void nvmkv_create_partition_finish(Oid relid);

#endif
