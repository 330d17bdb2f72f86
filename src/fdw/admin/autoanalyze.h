/*
 * autoanalyze.h
 *	  ANALYZE of tables that have changed enough, as autovacuum's of heap tables.
 */
#ifndef NVMKV_FDW_AUTOANALYZE_H
#define NVMKV_FDW_AUTOANALYZE_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* OIDs of our tables in this database that are to be analyzed, by their counters and settings.  In a transaction. */
extern List *nvmkv_tables_to_analyze(void);

/*
 * ANALYZE of one of them, if it is still there, still to be analyzed, and nobody has a lock on it that is in the way;
 * as its owner, with the costs that are its own or autovacuum's, told in the log as autovacuum's is.  In a transaction
 * of its own, with a snapshot and PortalContext, in which the statistics are written; the lock is held to its end.
 */
extern void nvmkv_autoanalyze(Oid relid);

#endif
