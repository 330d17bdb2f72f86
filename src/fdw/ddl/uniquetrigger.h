/*
 * uniquetrigger.h
 *	  Triggers of unique constraints that are DEFERRABLE.
 */
#ifndef NVMKV_FDW_UNIQUETRIGGER_H
#define NVMKV_FDW_UNIQUETRIGGER_H

#include "postgres.h"

/*
 * Makes those of the table what they are of one of our tables (ours), or of a heap table, whichever they are of now.
 */
extern void nvmkv_unique_triggers_settle(Oid relid, bool ours);

/*
 * Before and after the server makes a constraint of one of our tables: the table is lent to it if the constraint is
 * DEFERRABLE, and its trigger is ours then.  The result is for index_constraint_create().
 */
extern bits16 nvmkv_deferrable_begin(Oid relid, bool deferrable, bool initially_deferred);
extern void nvmkv_deferrable_end(Oid relid, bool deferrable);

#endif
