/*
 * foreignkeysave.h
 *	  Foreign keys that are removed before a statement and made again after it.
 */
#ifndef NVMKV_FDW_FOREIGNKEYSAVE_H
#define NVMKV_FDW_FOREIGNKEYSAVE_H

#include "postgres.h"

#include "fdw/ddl/statement.h"

/*
 * Removes the foreign keys between one of the tables and one of ours, on either side, or of a parent of ours, that use
 * a column of the name.
 * Takes AccessExclusiveLock on the tables that they are of and reference, as the server does when it makes foreign keys
 * again.  Returns what the other function needs.
 */
extern List *nvmkv_foreign_keys_save(List *relids, const char *column);

/* Makes them again, when the indexes are there. */
extern void nvmkv_foreign_keys_restore(const NvmkvStatement *statement, List *saved_keys);

#endif
