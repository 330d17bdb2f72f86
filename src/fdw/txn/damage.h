/*
 * damage.h
 *	  Damage of the engine's files in terms of tables and keys.
 *
 * The engine knows ranges of keys whose rows are lost (src/engine/tree/damage.h).
 * A range may reach over several tables: it is told table by table.
 */
#ifndef NVMKV_FDW_DAMAGE_H
#define NVMKV_FDW_DAMAGE_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "fdw/table/table.h"

/* What of a range of keys is in one storage. */
typedef struct NvmkvDamagePart
{
	uint64 storage_id;
	Oid relid;	/* InvalidOid: no table of this database */
	char *keys; /* "from (k)=(1) to before (k)=(9)", "all"; NULL: no table */
} NvmkvDamagePart;

/*
 * [lower, upper) by storages (NvmkvDamagePart *), palloc'd: all tables of this database that it reaches into and
 * that are not younger than "newest", and the storages of others in which it begins and ends.  upper.size 0: no upper
 * bound.  Waits for no lock: a table that is locked exclusively has its keys shown as bytes.
 */
extern List *nvmkv_damage_parts(NvmkvSlice lower, NvmkvSlice upper, uint64 newest);

/*
 * nvmkv_check_status for what was done to a table: an error about damage names the table, the keys as far as they are
 * known, and what to do.  table: the entries, for an index; keys of those are shown to its owner.  Takes no lock that
 * it would have to wait for; the caller may hold latches.
 */
extern void nvmkv_check_table_status(NvmkvStatus status, const char *doing, const NvmkvTable *table);

#endif
