/*
 * status.h
 *	  What the engine's statuses mean in SQL terms.
 */
#ifndef NVMKV_FDW_STATUS_H
#define NVMKV_FDW_STATUS_H

#include "postgres.h"

#include "engine/nvmkv.h"

/*
 * Raises what an engine status means in SQL terms; returns on NVMKV_OK.  "doing" says what failed, e.g. "reading foreign table";
 * object: the table's name, or NULL.
 * CORRUPTION XX001, VERSION XX000, IO 58030 (or by errno), NO_SPACE 53100, NO_MEMORY 53200, LIMIT 54000, READ_ONLY
 * 55000, NOT_SUPPORTED 0A000, CANCELLED runs CHECK_FOR_INTERRUPTS, others XX000.
 */
extern void nvmkv_check_status(NvmkvStatus status, const char *doing, const char *object);

#endif
