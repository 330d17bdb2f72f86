/*
 * triggerrow.h
 *	  The triggers of a table in the catalogue, changed in place.
 */
#ifndef NVMKV_FDW_TRIGGERROW_H
#define NVMKV_FDW_TRIGGERROW_H

#include "postgres.h"

#include "catalog/pg_trigger.h"

/* Changes the row of one of the server's own triggers, or returns false. */
typedef bool (*NvmkvTriggerChange) (Form_pg_trigger trigger, const void *arg);

/* Calls it for each that the table has; what is changed is visible to the commands that follow. */
extern void nvmkv_triggers_change(Oid relid, NvmkvTriggerChange change, const void *arg);

/* A trigger's function of the extension. */
extern Oid nvmkv_trigger_function(const char *name);

#endif
