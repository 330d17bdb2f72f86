/*
 * keyconstraint.h
 *	  The constraint that shows a primary key which the option has told.
 */
#ifndef NVMKV_FDW_KEYCONSTRAINT_H
#define NVMKV_FDW_KEYCONSTRAINT_H

#include "postgres.h"

/*
 * Makes the constraint of a table of ours that has a key by its option and none by a constraint.  The caller holds the
 * lock of CREATE or ALTER TABLE.  Errors as of a primary key.
 */
extern void nvmkv_primary_key_show(Oid relid);

#endif
