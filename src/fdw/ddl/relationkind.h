/*
 * relationkind.h
 *	  A relation that becomes one of another kind, in the catalogues.
 */
#ifndef NVMKV_FDW_RELATIONKIND_H
#define NVMKV_FDW_RELATIONKIND_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * A heap table, or a B-tree index of one, becomes what ours are: its file, and its TOAST table, go with the
 * transaction.  The other way round it gets a new, empty file, and an index the entries of the heap's rows.  All that
 * refers to the relation stays as it is: it keeps its OID.  parameters: storage parameters of the heap (DefElem).
 *
 * REQUIRES AccessExclusiveLock on the table, and nobody of this session uses it.  A crash or a rollback leaves the old
 * kind.
 */
extern void nvmkv_become_foreign_table(Oid relid);
extern void nvmkv_become_foreign_index(Oid index);
extern void nvmkv_become_heap(Oid relid, List *parameters);
extern void nvmkv_become_btree(Oid relid, Oid index);

#endif
