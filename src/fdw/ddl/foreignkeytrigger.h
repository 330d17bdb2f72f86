/*
 * foreignkeytrigger.h
 *	  Triggers of foreign keys on our tables.
 */
#ifndef NVMKV_FDW_FOREIGNKEYTRIGGER_H
#define NVMKV_FDW_FOREIGNKEYTRIGGER_H

#include "postgres.h"

#include "commands/trigger.h"

/*
 * The server has made the triggers of a foreign key on a table of ours, which references or is referenced, as it makes
 * them on a heap table: makes of them what can be fired here.  Changes nothing where that is done.  The caller has
 * locked the table so that nobody else fires or changes them.
 */
extern void nvmkv_foreign_key_triggers_settle(Oid relid);

/*
 * The check of a row of one of our tables against the table it references, as the server does it for a heap's row: ERROR
 * if there is none.  Called as the function of a trigger AFTER INSERT is.
 */
extern void nvmkv_foreign_key_check_row(TriggerData *trigger);

#endif
