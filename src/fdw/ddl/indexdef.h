/*
 * indexdef.h
 *	  The catalogue's part of making an index of one of our tables.
 */
#ifndef NVMKV_FDW_INDEXDEF_H
#define NVMKV_FDW_INDEXDEF_H

#include "postgres.h"

#include "catalog/objectaddress.h"
#include "nodes/parsenodes.h"

/*
 * Makes the index that CREATE INDEX, or a constraint UNIQUE or PRIMARY KEY, asks for: rows of the catalogues, with
 * relkind 'I' and no file, and for any index but the primary key's its storage with the entries of all rows.  The
 * statement is not changed; it may be transformed or not.  A parent index, and its constraint, is that of the
 * partitioned table.
 *
 * Returns the index; InvalidOid if there is a relation of that name and the statement says IF NOT EXISTS.
 *
 * CONCURRENTLY: the index is empty, invalid and ready, nvmkv_index_fill_concurrently has to follow.
 *
 * The caller has checked that the user owns the table, and holds ShareLock on it at least (CONCURRENTLY:
 * ShareUpdateExclusiveLock).  Errors, names and checks of
 * privileges are those of CREATE INDEX.  ERROR 0A000 for what indexes of ours cannot be.
 */
extern Oid nvmkv_define_index(Oid relid, const IndexStmt *stmt, const char *query_string, Oid parent_index,
							  Oid parent_constraint);

/* The same for one that was dropped by this command to be made again, by whoever may change the table. */
extern Oid nvmkv_define_index_anew(Oid relid, const IndexStmt *stmt, const char *query_string);

#endif
