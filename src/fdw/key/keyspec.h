/*
 * keyspec.h
 *	  The text of a primary key.
 */
#ifndef NVMKV_FDW_KEYSPEC_H
#define NVMKV_FDW_KEYSPEC_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* The option of a foreign table that holds it. */
#define NVMKV_OPTION_PRIMARY_KEY "primary_key"

/* A column as the option's text names it. */
typedef struct NvmkvKeySpec
{
	char *name; /* folded, or as it was quoted */
	bool descending;
} NvmkvKeySpec;

/* 'a, "B c" DESC' to a list of NvmkvKeySpec, palloc'd.  ERROR HV024 for what is not such a text, 42701, 54011. */
extern List *nvmkv_parse_primary_key(const char *definition);

/* And back; parsing the result gives the same list. */
extern char *nvmkv_format_primary_key(List *specs);

#endif
