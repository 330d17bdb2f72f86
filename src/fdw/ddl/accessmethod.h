/*
 * accessmethod.h
 *	  The table access method nvmkv, by which CREATE TABLE makes foreign tables.
 */
#ifndef NVMKV_FDW_ACCESSMETHOD_H
#define NVMKV_FDW_ACCESSMETHOD_H

#include "postgres.h"

#include "nodes/primnodes.h"

/* What becomes of a table that a statement makes. */
typedef enum NvmkvKindOfTable
{
	NVMKV_TABLE_OTHER, /* not our business */
	NVMKV_TABLE_OURS,
	NVMKV_TABLE_HEAP /* it would have been ours by default only, and cannot be */
} NvmkvKindOfTable;

/*
 * Of a statement that names this access method (NULL: none).  "never": why a table of the kind that is wanted cannot be
 * ours ("materialized view"), NULL if it can.  ERROR 0A000 if it names ours all the same.
 */
extern NvmkvKindOfTable nvmkv_kind_of_table(const char *access_method, const RangeVar *relation, const char *never);

/* Is this access method, by OID, ours? */
extern bool nvmkv_is_our_access_method(Oid am);

#endif
