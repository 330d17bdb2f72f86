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

#endif
