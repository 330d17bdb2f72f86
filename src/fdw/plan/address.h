/*
 * address.h
 *	  Rows that are named by where they are: by ctid, in a table with a primary key,
 *	  or by a cursor that stands on them.
 */
#ifndef NVMKV_FDW_ADDRESS_H
#define NVMKV_FDW_ADDRESS_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/*
 * "ctid = value" or "ctid = ANY (values)" of the table, with values that do not depend on its rows: in that form, ctid
 * on the left.  NULL for other conditions.
 */
extern Expr *nvmkv_address_clause(PlannerInfo *root, Index relid, Expr *clause);

/* WHERE CURRENT OF: the only condition by which rows are found then.  NULL: there is none on the table. */
extern Expr *nvmkv_cursor_clause(const RelOptInfo *rel);

/* Does the query's result have the ctid of the table, or of the one whose partition or child it is? */
extern bool nvmkv_shows_ctid(PlannerInfo *root, const RelOptInfo *rel);

#endif
