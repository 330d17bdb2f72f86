/*
 * tablebefore.h
 *	  One of our tables as it was before ALTER TABLE, and what is to become of it.
 */
#ifndef NVMKV_FDW_TABLEBEFORE_H
#define NVMKV_FDW_TABLEBEFORE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "fdw/table/catalog.h"
#include "fdw/table/table.h"

typedef struct NvmkvCheckBefore
{
	char *name;
	char *expression;
} NvmkvCheckBefore;

typedef struct NvmkvTableBefore
{
	Oid relid;
	bool attached; /* becomes a partition, ours or not: that alone has to be verified */
	int natts;
	bool *not_null;
	List *checks; /* NvmkvCheckBefore, of the valid ones */
	bool had_storage;
	NvmkvStorageRow storage; /* with its key columns, if had_storage */
	bool columns_fit;        /* were as that row says */
	bool asked;              /* whether there are rows: */
	const NvmkvTable *old;   /* where they are and how they are read; NULL: there are none, or it was not asked */
	char *key_option;        /* NULL: none */
	char *key_constraint;    /* the name of what shows it; NULL: none */
	bool new_storage;        /* to be started: no row can be read as the table is now */
	int rewrite;             /* and the rows are to be written into it: reasons, AT_REWRITE_xxx */
	List *new_values;        /* NvmkvNewValue, of columns that are not what they were */
	List *new_expressions;   /* numbers of generated columns that get another expression */
} NvmkvTableBefore;

/*
 * Keeps how the rows are read, if there are any: afterwards the definition may fit no stored row, and nobody could
 * look.  ERROR if they cannot be read now.
 */
extern void nvmkv_before_keep_rows(NvmkvTableBefore *before, Relation rel);

/* Is the column one of the key that the rows are stored with? */
extern bool nvmkv_before_in_key(const NvmkvTableBefore *before, AttrNumber attnum);

#endif
