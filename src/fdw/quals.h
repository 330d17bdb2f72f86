/*
 * quals.h
 *	  From conditions on key columns to ranges of keys.
 *
 * At plan time nvmkv_match_quals picks the conditions that bound a scan; at run time an NvmkvKeyScan evaluates them
 * and yields the ranges one after the other, in the direction of the scan.
 */
#ifndef NVMKV_FDW_QUALS_H
#define NVMKV_FDW_QUALS_H

#include "nodes/execnodes.h"
#include "nodes/pg_list.h"

#include "fdw/keyrange.h"
#include "fdw/table.h"

/*
 * The conditions that bound a scan of the key: leading columns with "=" or "= ANY", then comparisons of the next
 * column.
 */
typedef struct NvmkvKeyMatch
{
	List *quals;	  /* RestrictInfo of each condition */
	List *clauses;	  /* its bare clause, key column on the left: what the plan carries in fdw_exprs */
	List *conditions; /* an integer list each: what the plan carries in fdw_private (see quals.c) */
	List *enforced;	  /* IndexClauses that need no other test: the ranges hold exactly their rows */
	int nequal;		  /* columns that are equal to something */
} NvmkvKeyMatch;

/* The columns of a table's key; for a table without a primary key the ctid that stands for the hidden row id. */
extern const NvmkvKeyColumn *nvmkv_key_columns(const NvmkvTable *table, int *count_out);

/* indexclauses: List of IndexClause of an index made by relinfo.c. */
extern void nvmkv_match_quals(const NvmkvTable *table, List *indexclauses, NvmkvKeyMatch *match);

/*
 * The btree family whose operators can be used with a key column: its own, or the type's default when only
 * equality is supported.
 */
extern Oid nvmkv_key_operator_family(const NvmkvKeyColumn *col);

typedef struct NvmkvKeyScan NvmkvKeyScan;

/* In the current memory context, which must outlive it.  clauses and conditions: from the plan. */
extern NvmkvKeyScan *nvmkv_keyscan_create(List *clauses, List *conditions, bool backward, PlanState *parent);

/* Evaluates the comparison values anew; the next range is the first one. */
extern void nvmkv_keyscan_evaluate(NvmkvKeyScan *ks, const NvmkvTable *table, ExprContext *econtext);

/* Back to the first range, with the values as they are. */
extern void nvmkv_keyscan_rewind(NvmkvKeyScan *ks);

/* Can there be more than one range, whatever the values are? */
extern bool nvmkv_keyscan_has_arrays(const NvmkvKeyScan *ks);

/* The next range, false after the last one.  Its bytes are valid until the next call. */
extern bool nvmkv_keyscan_next(NvmkvKeyScan *ks, NvmkvKeyRange *range_out);

#endif
