/*
 * deferredrow.h
 *	  Rows of one of our tables that are kept until a constraint is checked.
 */
#ifndef NVMKV_FDW_DEFERREDROW_H
#define NVMKV_FDW_DEFERREDROW_H

#include "postgres.h"

#include "access/attnum.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"

/* These columns of a row, the others NULL.  Nothing of it is elsewhere.  In the current memory context. */
extern MinimalTuple nvmkv_deferred_form_row(TupleTableSlot *row, const AttrNumber *attnums, int nattnums);

/* nvmkv_deferred_keep() of a row: these columns of it. */
extern void nvmkv_deferred_keep_row(const TriggerData *trigger, bool initially_deferred, TupleTableSlot *row,
									const AttrNumber *attnums, int nattnums);

/*
 * nvmkv_deferred_check() of rows: tg_trigslot of the event is the row, the other columns are NULL.  other, which may be
 * NULL, is asked before, and true if what the trigger has kept is no row, and was checked by it.
 */
typedef void (*NvmkvDeferredRowCheck) (TriggerData *trigger);
typedef bool (*NvmkvDeferredOtherCheck) (const void *data, Size size);
extern void nvmkv_deferred_check_rows(TriggerData *trigger, NvmkvDeferredRowCheck check,
									  NvmkvDeferredOtherCheck other);

#endif
