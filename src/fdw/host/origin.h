/*
 * origin.h
 *	  Where the files of foreign tables are from: the server's side of
 *	  engine/meta/origin.h.
 *
 * pg_upgrade makes the catalogue of a new cluster from the old one's: OIDs of
 * databases, tables, indexes and types are the same, transaction ids go on, the
 * commit log is copied, and the log begins behind the old one's end.  So storages,
 * entries and nvmkv.storage hold in the new cluster as they are; only the
 * directory has to come, and the cluster's identifier is another one.
 *
 *	  pg_upgrade	its server makes foreign tables: the directory is awaited (nvmkv_origin_await)
 *	  nvmkv_upgrade	brings it (tools/upgrade.h)
 *	  before that	the server starts, foreign tables are not available, and say what to do
 */
#ifndef NVMKV_FDW_ORIGIN_H
#define NVMKV_FDW_ORIGIN_H

#include "postgres.h"

#include "engine/nvmkv.h"

/* Before the engine is opened, in the postmaster: reads the file.  What keeps it from being opened, as a failure. */
extern NvmkvStatus nvmkv_origin_find(void);

/* Of which system the trees, and all that is kept for them, are; after nvmkv_origin_find. */
extern uint64 nvmkv_origin_identifier(void);

/* Is the position of before this cluster?  OIDs of collations, which pg_upgrade does not keep, meant others then. */
extern bool nvmkv_origin_is_before(uint64 position);

/* In pg_upgrade's server, which has made one of our tables: its rows are still elsewhere. */
extern void nvmkv_origin_await(void);

#endif
