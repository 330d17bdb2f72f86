/*
 * copyfreeze.h
 *	  COPY ... FROM ... (FREEZE) after TRUNCATE in the same transaction.
 */
#ifndef NVMKV_FDW_COPYFREEZE_H
#define NVMKV_FDW_COPYFREEZE_H

#include "postgres.h"

#include "nodes/plannodes.h"

/* The current subtransaction has truncated the table. */
extern void nvmkv_freeze_note_truncated(Oid relid);

/* The COPY statement to be run in place of this one, in a copy of the tree where it is another.  ERROR: as COPY. */
extern PlannedStmt *nvmkv_freeze_settle(PlannedStmt *pstmt);

/* When the library is loaded. */
extern void nvmkv_freeze_init(void);

#endif
