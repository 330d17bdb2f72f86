/*
 * intotable.h
 *	  The rows of a query into a foreign table that is made for them.
 */
#ifndef NVMKV_FDW_INTOTABLE_H
#define NVMKV_FDW_INTOTABLE_H

#include "postgres.h"

#include "catalog/objectaddress.h"
#include "executor/execdesc.h"
#include "nodes/parsenodes.h"
#include "tcop/dest.h"

/*
 * Makes the table with columns of these definitions; for event triggers, by "stmt".  Errors as of CREATE TABLE AS.
 */
extern ObjectAddress nvmkv_into_make(const IntoClause *into, List *columns, Node *stmt);

/* A column of it: the next name of into's list, which *names is at, or the query's.  ERROR 42P22: no collation. */
extern ColumnDef *nvmkv_into_column(const IntoClause *into, ListCell **names, const char *name, Oid type, int32 typmod,
									Oid collation);

/* ERROR 42601 if there are more names than columns. */
extern void nvmkv_into_end_of_columns(ListCell *names);

/*
 * A receiver that makes the table when the query starts and writes its rows.  In the query's memory; the query ends it.
 */
extern DestReceiver *nvmkv_into_receiver(const IntoClause *into, Node *stmt, EState *estate);

#endif
