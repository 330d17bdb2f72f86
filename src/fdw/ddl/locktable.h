/*
 * locktable.h
 *	  LOCK TABLE of foreign tables.
 */
#ifndef NVMKV_FDW_LOCKTABLE_H
#define NVMKV_FDW_LOCKTABLE_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Does the statement name one of ours, or a view, which may have some under it? */
extern bool nvmkv_lock_concerns_ours(const LockStmt *stmt);

/* Is this a foreign table of ours that LOCK TABLE names? */
extern bool nvmkv_lock_names_ours(const RangeVar *relation);

/* Locks the table with its children, after the statement's own checks; errors as for a heap table. */
extern void nvmkv_lock_table(const LockStmt *stmt, const RangeVar *relation);

/* The server has locked a view, and what is under it but for foreign tables: locks ours. */
extern void nvmkv_lock_under_view(const LockStmt *stmt, const RangeVar *relation);

#endif
