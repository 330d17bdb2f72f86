/*
 * tableoption.h
 *	  Options of a table, in the catalogue.
 */
#ifndef NVMKV_FDW_TABLEOPTION_H
#define NVMKV_FDW_TABLEOPTION_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * Changes options (DefElem): DEFELEM_DROP takes one away if it is there, everything else gives it that value.  They
 * are not checked.  The caller has a lock on the table that keeps others from doing the same.
 */
extern void nvmkv_table_change_options(Oid relid, List *changes);

#endif
