/*
 * quals.h
 *	  Which conditions on key columns bound a scan.
 */
#ifndef NVMKV_FDW_QUALS_H
#define NVMKV_FDW_QUALS_H

#include "nodes/pg_list.h"

#include "fdw/table/table.h"

typedef enum NvmkvConditionKind
{
	NVMKV_CONDITION_EQUAL,	 /* column = value */
	NVMKV_CONDITION_ANY,	 /* column = ANY (array) */
	NVMKV_CONDITION_COMPARE, /* column < <= = >= > value: bounds */
	NVMKV_CONDITION_ROW,	 /* (column, next column, ...) < <= >= > (values) */
	NVMKV_CONDITION_NULL,	 /* column IS NULL: as good as an equality */
	NVMKV_CONDITION_NOT_NULL /* column IS NOT NULL, of one that may be: bounds */
} NvmkvConditionKind;

/* Positions in a condition's integer list. */
typedef enum NvmkvConditionField
{
	NVMKV_CONDITION_FIELD_ARM,		/* conditions of one arm are joined by AND, arms by OR; ascending */
	NVMKV_CONDITION_FIELD_KIND,		/* NvmkvConditionKind */
	NVMKV_CONDITION_FIELD_COLUMN,	/* of the key, from 0 */
	NVMKV_CONDITION_FIELD_STRATEGY, /* of btree operators; else 0 */
	NVMKV_CONDITION_FIELD_TYPES		/* type of the value, if there is one; one for each column of a row comparison */
} NvmkvConditionField;

/*
 * The conditions that bound a scan of the key: leading columns with "=", "= ANY" or IS NULL, then comparisons of the
 * next column.
 */
typedef struct NvmkvKeyMatch
{
	int arm;
	List *quals;	  /* RestrictInfo of each condition */
	List *clauses;	  /* its bare clause, key column on the left: what the plan carries in fdw_exprs */
	List *conditions; /* an integer list each: what the plan carries in fdw_private */
	List *enforced;	  /* IndexClauses that need no other test: the ranges hold exactly their rows */
	int nequal;		  /* columns that are equal to something */

	/* nvmkv_match_behind has found more; quals, clauses and conditions have these behind their first "nbounding". */
	int nbounding;
	int skip_to; /* the first column with one of them; 0: none */
} NvmkvKeyMatch;

/* The columns of a table's key; for a table without a primary key the ctid that stands for the hidden row id. */
extern const NvmkvKeyColumn *nvmkv_key_columns(const NvmkvTable *table, int *count_out);

/*
 * table: whose keys the scan goes by, a foreign table's or those of an index's entries.  indexclauses: List of
 * IndexClause of the index that relinfo.c has made of it.  arm: number the conditions get.
 */
extern void nvmkv_match_quals(const NvmkvTable *table, List *indexclauses, int arm, NvmkvKeyMatch *match);

/*
 * Adds conditions on columns behind those that bound the scan as a whole: the same kinds, on columns that follow each
 * other, behind one or several that are to be skipped (skip.h).
 */
extern void nvmkv_match_behind(const NvmkvTable *table, List *indexclauses, NvmkvKeyMatch *match);

/*
 * The btree family whose operators can be used with a key column: its own, or the type's default when only
 * equality is supported.
 */
extern Oid nvmkv_key_operator_family(const NvmkvKeyColumn *col);

#endif
