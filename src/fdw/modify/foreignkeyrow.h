/*
 * foreignkeyrow.h
 *	  Rows of a table that references, and whether they are still there.
 */
#ifndef NVMKV_FDW_FOREIGNKEYROW_H
#define NVMKV_FDW_FOREIGNKEYROW_H

#include "postgres.h"

#include "access/attnum.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

/* Some columns of a table, with the operators that compare them. */
typedef struct NvmkvKeyColumns
{
	int n;
	AttrNumber attnums[INDEX_MAX_KEYS];
	Oid equal[INDEX_MAX_KEYS];
} NvmkvKeyColumns;

/* Has the row the same in these columns as another one, byte by byte? */
extern bool nvmkv_columns_are_same(TupleTableSlot *a, TupleTableSlot *b, const NvmkvKeyColumns *columns);

/*
 * Are these columns, of a row that this transaction has written, as they were written?  What has changed or deleted it
 * since has its own events.  The row is looked for by its primary key: if that has been changed it counts as gone, so
 * that an event of such a change has to check the row again.  Without a primary key any row will do that has the same
 * in these columns: it has to be checked as well.
 */
extern bool nvmkv_row_stands(Relation rel, TupleTableSlot *row, const NvmkvKeyColumns *columns);

/* A statement changes or deletes rows of a table without a primary key. */
extern void nvmkv_rows_may_go(Relation rel);
extern void nvmkv_rows_may_go_forget(void);

#endif
