/*
 * kindword.h
 *	  Statements that say TABLE of a foreign table, where the server wants to hear FOREIGN TABLE.
 */
#ifndef NVMKV_FDW_KINDWORD_H
#define NVMKV_FDW_KINDWORD_H

#include "postgres.h"

#include "nodes/plannodes.h"

/* The statement with the server's word, in a copy, if it is one of these about a table of ours; else itself. */
extern PlannedStmt *nvmkv_settle_kind_word(PlannedStmt *pstmt);

#endif
