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

#endif
