/*
 * foreignkey.h
 *	  The check of a row of one of our tables against the table it references.
 */
#ifndef NVMKV_FDW_MODIFY_FOREIGNKEY_H
#define NVMKV_FDW_MODIFY_FOREIGNKEY_H

#include "postgres.h"

#include "commands/trigger.h"

/*
 * As the server does it for a heap's row: ERROR if there is none that the row references.  Called as the function of a
 * trigger AFTER INSERT or UPDATE is.
 */
extern void nvmkv_foreign_key_check_row(TriggerData *trigger);

#endif
