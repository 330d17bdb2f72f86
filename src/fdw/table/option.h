/*
 * option.h
 *	  Options of servers and tables: what may be one, and its value.
 */
#ifndef NVMKV_FDW_OPTION_H
#define NVMKV_FDW_OPTION_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Value of a string option in a list of DefElem, or NULL. */
extern const char *nvmkv_option_string(List *options, const char *name);

#endif
