/*
 * address.h
 *	  ctid in queries of a table with a primary key.
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

/* Does the query's result have the ctid of the table, or of the one whose partition or child it is? */
extern bool nvmkv_shows_ctid(PlannerInfo *root, const RelOptInfo *rel);

#endif
