/*
 * layout.h
 *	  What the bytes of a table's keys and rows depend on.
 */
#ifndef NVMKV_FDW_LAYOUT_H
#define NVMKV_FDW_LAYOUT_H

#include "postgres.h"

#include "access/attnum.h"
#include "access/tupdesc.h"

#include "engine/nvmkv.h"

#define NVMKV_STORAGE_ID_BYTES 8

/* The prefix of the list of storages (registry.c): beyond all positions in the log, so that no table ever has it. */
#define NVMKV_REGISTRY_STORAGE_ID PG_UINT64_MAX

#define NVMKV_KEY_COLUMNS_MAX INDEX_MAX_KEYS

/* How the bytes of a key column are made (keycode.c). */
typedef enum NvmkvKeyClass
{
	NVMKV_KEY_INT,         /* bool, int2/4/8, oid, "char", date, time, timestamp(tz), money, pg_lsn, xid8, enums */
	NVMKV_KEY_FLOAT,       /* float4, float8 */
	NVMKV_KEY_BYTES_FIXED, /* uuid, macaddr, ... */
	NVMKV_KEY_BYTES,       /* bytea, text, varchar, name: escaped and terminated */
	NVMKV_KEY_TIMETZ,
	NVMKV_KEY_NUMERIC,
	NVMKV_KEY_INTERVAL
} NvmkvKeyClass;

typedef struct NvmkvKeyColumn
{
	AttrNumber attnum;
	Oid type;
	int32 typmod;
	Oid collation;
	Oid opfamily; /* btree (ordered) or hash (equality only) family for the planner */
	Oid opcintype;
	bool descending;
	bool ordered;     /* byte order is the type's order: ranges and sorting */
	bool image_equal; /* false: the datum is stored in the value too */
	NvmkvKeyClass key_class;
	Oid base_type;  /* type, or what is below a domain */
	int16 width;    /* bytes of INT, FLOAT, BYTES_FIXED, INTERVAL */
	bool is_signed; /* INT */
} NvmkvKeyColumn;

/* What decoding a row needs of an attribute, close together. */
typedef struct NvmkvRowAttr
{
	int16 len;   /* pg_attribute.attlen, of dropped ones too */
	uint8 align; /* bytes a by-reference value has to be aligned to */
	bool byval;
	bool in_key;  /* not in the value at all */
	bool dropped; /* reads as NULL, whatever is stored */
} NvmkvRowAttr;

typedef struct NvmkvTable
{
	Oid relid;
	uint64 storage_id; /* of the current transaction's view */
	bool storage_known; /* it is that of the catalogue, and the key agrees with it */
	char *key_name;    /* name errors use: "<table>_pkey" */
	int nkeys;         /* 0: hidden row id */
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	TupleDesc tupdesc;       /* copy, with constraints (missing values) */
	bool *attr_in_key;       /* natts: this attribute's value is rebuilt from the key bytes alone */
	NvmkvRowAttr *row_attrs; /* natts */
} NvmkvTable;

#endif
