/*
 * deferred.h
 *	  Rows whose check may wait for the end of the transaction.
 */
#ifndef NVMKV_FDW_DEFERRED_H
#define NVMKV_FDW_DEFERRED_H

#include "postgres.h"

#include "access/attnum.h"
#include "commands/trigger.h"
#include "nodes/execnodes.h"

/*
 * The executor is about to write rows to a table of ours: its triggers fire at the end of the statement, all of them.
 * Those of a constraint that can be deferred call nvmkv_deferred_keep() then.
 */
extern void nvmkv_deferred_begin(ResultRelInfo *rri);

/*
 * A trigger was fired for a row that is to be checked when the constraint is: now, or when the transaction or SET
 * CONSTRAINTS says so.  Then the server calls the trigger's function once more, nvmkv_deferred_is_due(), and that
 * nvmkv_deferred_check().  Of the row only these columns are kept.
 */
extern void nvmkv_deferred_keep(TriggerData *trigger, bool initially_deferred, TupleTableSlot *row,
								const AttrNumber *attnums, int nattnums);

/* Was the trigger's function called for rows that are kept? */
extern bool nvmkv_deferred_is_due(const TriggerData *trigger);

/*
 * Calls check for each row that the trigger has kept and that was not checked yet, in their order, with a description
 * of the event as if it were fired for an INSERT, DELETE or UPDATE as that which has kept it: tg_trigslot is the row.
 */
typedef void (*NvmkvDeferredCheck) (TriggerData *trigger);
extern void nvmkv_deferred_check(TriggerData *trigger, NvmkvDeferredCheck check);

/* The ends of subtransactions, and of the transaction. */
extern void nvmkv_deferred_subcommit(SubTransactionId subid, SubTransactionId parent);
extern void nvmkv_deferred_abort(SubTransactionId subid);
extern void nvmkv_deferred_forget(bool commit);

#endif
