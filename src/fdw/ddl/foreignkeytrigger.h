/*
 * foreignkeytrigger.h
 *	  Triggers of foreign keys on our tables.
 */
#ifndef NVMKV_FDW_FOREIGNKEYTRIGGER_H
#define NVMKV_FDW_FOREIGNKEYTRIGGER_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* The server's function of a trigger for TRIGGER_TYPE_DELETE or TRIGGER_TYPE_UPDATE of a table that is referenced. */
extern Oid nvmkv_foreign_key_action_function(char action, int16 event);

/* The triggers that a foreign key has on a table. */
extern List *nvmkv_foreign_key_triggers(Oid constraint, Oid relid);

/* The one of an event and a kind: RI_TRIGGER_FK for the table that references, RI_TRIGGER_PK for the other. */
extern Oid nvmkv_foreign_key_trigger(Oid constraint, Oid relid, int kind, int16 event);

/*
 * The server has made the triggers of a foreign key on a table of ours, which references or is referenced, as it makes
 * them on a heap table: makes of them what can be fired here.  Or it has altered the constraint: they follow.  The
 * caller has locked the table so that nobody else fires or changes them.
 */
extern void nvmkv_foreign_key_triggers_settle(Oid relid);

/*
 * Makes them what they are on a heap table, for the server, which looks for them by their functions; until they are
 * settled again, in the same command.
 */
extern void nvmkv_foreign_key_triggers_give_back(Oid relid);

#endif
