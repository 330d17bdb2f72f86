/*
 * lend.h
 *	  One of our tables, for the server a plain table for a moment.
 */
#ifndef NVMKV_FDW_LEND_H
#define NVMKV_FDW_LEND_H

#include "postgres.h"

/*
 * Shows one of our tables as a plain table, and as what it is again, from the next statement on.  In between no query
 * may be planned over it, and its rows must not be looked for.  An ERROR in between undoes it with the transaction; no
 * other transaction ever sees it.  The caller has a lock on the table that keeps other DDL and ANALYZE away.
 */
extern void nvmkv_lend_table(Oid relid);
extern void nvmkv_return_table(Oid relid);

#endif
