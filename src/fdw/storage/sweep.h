/*
 * sweep.h
 *	  Storages whose table or database is gone, although nobody told the engine.
 */
#ifndef NVMKV_FDW_SWEEP_H
#define NVMKV_FDW_SWEEP_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * Ends the storages of databases that do not exist any more; *ended_out: how many.  Returns the OIDs of those that do
 * and have storages: each is to be looked at from within.  In a transaction, connected to any database or none.
 */
extern List *nvmkv_sweep_databases(int *ended_out);

/* Ends the storages of this database that no foreign table has any more; returns how many.  In a transaction. */
extern int nvmkv_sweep_tables(void);

#endif
