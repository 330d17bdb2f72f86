/*
 * salvage_text.h
 *	  Text of rows, by the definition that the tree holds of their table (fdw/definition.h): COPY's.
 */
#ifndef NVMKV_TOOLS_SALVAGE_TEXT_H
#define NVMKV_TOOLS_SALVAGE_TEXT_H

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

/*
 * Appends the row's line.  key: with the storage id before it.  CORRUPTION: the bytes are not such a row; nothing was
 * appended.
 */
extern NvmkvStatus salvage_row(SalvageTable *table, NvmkvSlice key, NvmkvSlice value, NvmkvBuf *line);

#endif
