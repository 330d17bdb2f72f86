/*
 * counters.h
 *	  What is done to tables and indexes, in the server's cumulative statistics.
 */
#ifndef NVMKV_FDW_COUNTERS_H
#define NVMKV_FDW_COUNTERS_H

#include "postgres.h"

#include "pgstat.h"
#include "utils/rel.h"

/*
 * What the server's pgstat_count_heap_insert() and the like take in place of a foreign table, or of an index of one:
 * they count what this transaction does, and it is in pg_stat_get_tuples_inserted() and the like once that has ended.
 * With track_counts off they count nothing.  Valid in this process, to the end of the transaction at least.
 */
extern Relation nvmkv_counted(Oid relid);

/*
 * Before a relation becomes one of another kind, which may be rolled back: the server counts with its own description
 * of it from then on, or this file does, and only one of them may.
 */
extern void nvmkv_counted_change_kind(Oid relid);

/*
 * What the counters of a table say now; zeros where there are none.  Not cached.
 */
extern void nvmkv_counters(Oid relid, PgStat_StatTabEntry *out);

/*
 * The ANALYZE of a table that was executed after "before" was taken, in the transaction that runs and under the lock
 * that keeps others from it, is one of autovacuum's in the counters: the server takes for that what its own workers do.
 */
extern void nvmkv_count_autoanalyze(Oid relid, const PgStat_StatTabEntry *before);

#endif
