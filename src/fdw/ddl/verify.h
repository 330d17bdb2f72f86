/*
 * verify.h
 *	  Questions that DDL asks of the rows of one of our tables.
 */
#ifndef NVMKV_FDW_VERIFY_H
#define NVMKV_FDW_VERIFY_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"

/*
 * Has the table a row for which the SQL condition is true (NULL: any row)?  As of now, whatever the transaction's
 * snapshot is.
 */
extern bool nvmkv_has_row(Relation rel, const char *condition);

/* Calls verify for each row of the table, as of now, in a memory context of its own. */
typedef void (*NvmkvVerifyRow) (TupleTableSlot *row, void *arg);

extern void nvmkv_verify_rows(Relation rel, NvmkvVerifyRow verify, void *arg);

/* Has the table any row?  False before it has a storage; ERROR if it has one and foreign tables are not available. */
extern bool nvmkv_table_has_rows(Relation rel);

/* Raises what ALTER TABLE on a heap table would if a row had a NULL in the column. */
extern void nvmkv_verify_not_null(Relation rel, AttrNumber attnum);
pg_noreturn extern void nvmkv_report_null_values(Relation rel, AttrNumber attnum);

/* The same for a row that fails a check (expression: nodeToString of it). */
extern void nvmkv_verify_check(Relation rel, const char *name, const char *expression);

/*
 * The same for a table that has become a partition, ours or not, in whose tables and in those of the default partition
 * beside it the partition constraint is new.  The command has locked them all.
 */
extern void nvmkv_verify_partition(Oid relid);

/* Our tables among this table and its descendants; none if it is InvalidOid.  Takes no locks. */
extern List *nvmkv_our_tables_below(Oid relid);

/*
 * What ALTER DOMAIN verifies in columns of heap tables, after its change: that no value is NULL, or that all meet the
 * valid CHECK constraints of the domain itself.
 */
extern void nvmkv_verify_domain_not_null(Oid domain);
extern void nvmkv_verify_domain_checks(Oid domain);

/* Is a column of one of our tables of the domain?  Keeps writers out of that table until the transaction ends. */
extern bool nvmkv_domain_is_used(Oid domain);

#endif
