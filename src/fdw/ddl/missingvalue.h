/*
 * missingvalue.h
 *	  What rows read in a column that was added after they were written, in
 *	  pg_upgrade.
 *
 * pg_dump has the server put the value into the new cluster's catalogue by a
 * function, which does nothing for a table that is not a plain one.
 */
#ifndef NVMKV_FDW_MISSINGVALUE_H
#define NVMKV_FDW_MISSINGVALUE_H

/* In pg_upgrade's server: calls of that function count for our tables, too. */
extern void nvmkv_missing_value_init(void);

#endif
