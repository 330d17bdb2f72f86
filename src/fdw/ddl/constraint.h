/*
 * constraint.h
 *	  Constraints that are indexes, as the parser has them.
 */
#ifndef NVMKV_FDW_CONSTRAINT_H
#define NVMKV_FDW_CONSTRAINT_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Is it PRIMARY KEY, UNIQUE or EXCLUDE? */
extern bool nvmkv_is_index_constraint(const Node *constraint);

/*
 * CREATE INDEX for a constraint PRIMARY KEY, UNIQUE or EXCLUDE that is added to the table.  ERROR 42701: a column is
 * named twice.
 */
extern IndexStmt *nvmkv_index_of_constraint(RangeVar *relation, const Constraint *constraint);

#endif
