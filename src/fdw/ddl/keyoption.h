/*
 * keyoption.h
 *	  The option of a table that tells its primary key.
 */
#ifndef NVMKV_FDW_KEYOPTION_H
#define NVMKV_FDW_KEYOPTION_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* A copy of the option's text; NULL: the table has no key. */
extern char *nvmkv_primary_key_option(Oid relid);

/* Writes the option, of NvmkvKeySpec; NIL: the table has no key any more. */
extern void nvmkv_primary_key_set_option(Oid relid, List *specs);

/* Puts the new name of a column into the option. */
extern void nvmkv_primary_key_rename_column(Oid relid, const char *old_name, const char *new_name);

#endif
