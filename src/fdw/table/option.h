/*
 * option.h
 *	  Options of servers and tables: what may be one, and its value.
 */
#ifndef NVMKV_FDW_OPTION_H
#define NVMKV_FDW_OPTION_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "fdw/key/layout.h"

/* Of a table: what is told of its changes. */
#define NVMKV_OPTION_CHANGES "changes"

/* 22023 for a value that it cannot have. */
extern NvmkvTold nvmkv_option_changes(List *options);

/* Value of a string option in a list of DefElem, or NULL. */
extern const char *nvmkv_option_string(List *options, const char *name);

#endif
