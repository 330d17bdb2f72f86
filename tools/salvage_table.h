/*
 * salvage_table.h
 *	  The definition that the tree holds of a table (fdw's definition.h).
 */
#ifndef NVMKV_TOOLS_SALVAGE_TABLE_H
#define NVMKV_TOOLS_SALVAGE_TABLE_H

#include <stdio.h>
#include "engine/base/slice.h"

#define SALVAGE_COLUMNS_MAX 1664
#define SALVAGE_KEYS_MAX 32

typedef struct SalvageColumn
{
	int len; /* attlen */
	bool byval;
	bool dropped;
	bool in_key; /* nowhere else */
	bool odd;	 /* its type is not known here: bytes are shown; told once */
	uint32_t type, element;
	char *name;
	char *type_name;
	char *missing; /* as COPY escapes it; NULL: NULL */
} SalvageColumn;

typedef struct SalvageKey
{
	int column; /* from 0 */
	int key_class;
	int width;
	bool is_signed, descending, in_key;
} SalvageKey;

typedef struct SalvageLabel
{
	uint32_t oid;
	char *label;
} SalvageLabel;

typedef struct SalvageTable
{
	char *bytes; /* what the names point into */
	char *name;
	unsigned ncolumns, nkeys, nlabels;
	SalvageColumn *columns;
	SalvageKey keys[SALVAGE_KEYS_MAX];
	SalvageLabel *labels;
} SalvageTable;

/* CORRUPTION: it is none.  To be freed whatever it returns. */
extern NvmkvStatus salvage_table_parse(NvmkvSlice definition, SalvageTable *table);
extern void salvage_table_free(SalvageTable *table);

#endif
