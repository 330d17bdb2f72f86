/*
 * deferred.h
 *	  Checks that may wait for the end of the transaction.
 */
#ifndef NVMKV_FDW_DEFERRED_H
#define NVMKV_FDW_DEFERRED_H

#include "postgres.h"

#include "commands/trigger.h"
#include "nodes/execnodes.h"

/*
 * The executor is about to write rows to a table of ours: its triggers fire at the end of the statement, all of them.
 * Those of a constraint that can be deferred call nvmkv_deferred_keep() then.
 */
extern void nvmkv_deferred_begin(ResultRelInfo *rri);

/*
 * Keeps what is to be checked when the trigger's constraint is: at the end of the statement, or when the transaction or
 * SET CONSTRAINTS says so.  Then the server calls the trigger's function, nvmkv_deferred_is_due(), and that
 * nvmkv_deferred_check().  The bytes are copied; of the trigger's event is kept for what command it is.
 */
extern void nvmkv_deferred_keep(const TriggerData *trigger, bool initially_deferred, const void *data, Size size);

/* The same for what cannot be deferred further than to the end of the statement. */
extern void nvmkv_deferred_keep_for_statement(const TriggerData *trigger, const void *data, Size size);

/* Was the trigger's function called for what is kept? */
extern bool nvmkv_deferred_is_due(const TriggerData *trigger);

/*
 * Calls check for all that the trigger has kept and that was not checked yet, in its order, with a description of the
 * event as if it were fired for an INSERT, DELETE or UPDATE of a row, as that which has kept it; but without the row.
 * The memory context is reset after each; data is allocated in it.  early: it will be asked for again if the result is
 * false, when the command has ended that has kept it; else the result must be true.
 */
typedef bool (*NvmkvDeferredCheck) (TriggerData *trigger, void *data, Size size, bool early, void *arg);
extern void nvmkv_deferred_check(TriggerData *trigger, NvmkvDeferredCheck check, void *arg);

/* The ends of subtransactions, and of the transaction. */
extern void nvmkv_deferred_subcommit(SubTransactionId subid, SubTransactionId parent);
extern void nvmkv_deferred_abort(SubTransactionId subid);
extern void nvmkv_deferred_forget(bool commit);

#endif
