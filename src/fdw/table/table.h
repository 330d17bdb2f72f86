/*
 * table.h
 *	  What the wrapper knows of one foreign table: key and row layout.
 *
 * Built from the catalogues and cached per backend; a relcache invalidation
 * drops it.  An NvmkvTable returned by nvmkv_table_definition() is owned by the cache and
 * reference counted by the statement that uses it: it stays valid, and as it
 * was, until the memory context current at the call is reset or deleted, even
 * when the cache entry is replaced.
 */
#ifndef NVMKV_FDW_TABLE_H
#define NVMKV_FDW_TABLE_H

#include "postgres.h"

#include "foreign/fdwapi.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "fdw/key/layout.h"

/* The table's description, which needs no engine; storage_id is 0 until nvmkv_table() of storage.h has looked. */
extern NvmkvTable *nvmkv_table_definition(Relation rel);

/*
 * The same without indexes and storage, for decoding keys and rows of the log with the catalogues as they were then.
 * sort_keys: the record says that its keys have them (changes/note.h).
 */
extern NvmkvTable *nvmkv_table_as_logged(Relation rel, bool sort_keys);

/* FdwRoutine: which changes a table takes.  Only tables of ours have this one. */
extern int nvmkvIsForeignRelUpdatable(Relation rel);

/* Does this relation belong to our wrapper? Cheap (cached by relcache). */
extern bool nvmkv_is_our_table(Relation rel);

/* Is this our wrapper's, as the planner has it at hand? */
extern bool nvmkv_is_our_routine(const FdwRoutine *routine);
extern bool nvmkv_is_our_relid(Oid relid);

/* Does a table that is made on this server belong to our wrapper?  Not if there is no such server. */
extern bool nvmkv_is_our_server(const char *name);

/* OIDs of all our tables in the database. */
extern List *nvmkv_our_relids(void);

/* OIDs of the foreign tables of this database, of whatever wrapper, for which is_wanted says so. */
extern List *nvmkv_foreign_relids(bool (*is_wanted) (Oid relid));

/*
 * The key columns a primary_key option names, set up, into keys (NVMKV_KEY_COLUMNS_MAX); returns how many.  Errors name
 * the column: 42703 unknown, 42701 twice, 0A000 a type or collation that cannot be a key.
 */
extern int nvmkv_key_resolve(Relation rel, List *options, NvmkvKeyColumn *keys);

/*
 * The key that the table's stored rows have, or will have: that of its option, but for text under a collation of ICU's
 * that version 1.0 has stored, which is in the order of its bytes until the table gets another storage.
 */
extern int nvmkv_key_of_rows(Relation rel, NvmkvKeyColumn *keys);

/* Do two lists of key columns make the same bytes of the same attributes? */
extern bool nvmkv_keys_equal(const NvmkvKeyColumn *a, int na, const NvmkvKeyColumn *b, int nb);

#endif
