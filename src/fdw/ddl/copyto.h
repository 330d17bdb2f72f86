/*
 * copyto.h
 *	  COPY t TO, which the server refuses for foreign tables, and what pg_dump says in its place.
 */
#ifndef NVMKV_FDW_COPYTO_H
#define NVMKV_FDW_COPYTO_H

#include "postgres.h"

#include "nodes/plannodes.h"

/*
 * COPY t (a, b) TO of a table of ours as COPY (SELECT a, b FROM ONLY t) TO, in a copy of the statement: trees may be
 * shared.  The same for pg_dump's COPY (SELECT a, b FROM t) TO.  Any other COPY as it is.
 */
extern PlannedStmt *nvmkv_rewrite_copy_to(PlannedStmt *pstmt);

#endif
