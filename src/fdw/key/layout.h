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

/* Of a key; entries of an index have those of the index, and those of the table's key behind them. */
#define NVMKV_KEY_COLUMNS_MAX (2 * INDEX_MAX_KEYS)

/*
 * How the bytes of a key column are made, and skipped: keycode.h.  The numbers are on disk (table/definition.h).
 */
typedef enum NvmkvKeyClass
{
	NVMKV_KEY_INT,		   /* bool, int2/4/8, oid, "char", date, time, timestamp(tz), money, pg_lsn, xid8, enums */
	NVMKV_KEY_FLOAT,	   /* float4, float8 */
	NVMKV_KEY_BYTES_FIXED, /* uuid, macaddr, ... */
	NVMKV_KEY_BYTES,	   /* bytea, text, varchar, name: escaped and terminated */
	NVMKV_KEY_TIMETZ,
	NVMKV_KEY_NUMERIC,
	NVMKV_KEY_INTERVAL,
	NVMKV_KEY_COLLATED, /* text that orders by its collation: a sort key, then the text, both as BYTES */
	NVMKV_KEY_INET,		/* inet, cidr */
	NVMKV_KEY_BITS,		/* bit, bit varying */
	NVMKV_KEY_ARRAY,	/* of anything that is no container itself, as BYTES */
	NVMKV_KEY_RANGE		/* the same */
} NvmkvKeyClass;

/* What the bytes of a value depend on. */
typedef struct NvmkvKeyType
{
	Oid type; /* below domains */
	Oid collation;
	NvmkvKeyClass key_class;
	int16 width;	/* bytes of INT, FLOAT, BYTES_FIXED, INTERVAL, TIMETZ; else 0 */
	bool is_signed; /* INT */
	bool folded;	/* citext: BYTES and COLLATED are of the text in lower case */
} NvmkvKeyType;

/* ICU's version of a collation, as text; empty where the bytes do not depend on it. */
#define NVMKV_COLLATION_VERSION_BYTES 20

typedef struct NvmkvKeyColumn
{
	AttrNumber attnum;
	Oid type;
	int32 typmod;
	Oid collation;
	Oid opfamily; /* btree (ordered) or hash (equality only) family for the planner */
	Oid opcintype;
	bool descending;
	bool nullable;	  /* of an index: a byte before the value's says whether there is one */
	bool nulls_first; /* and which comes first, whatever the direction is */
	bool ordered;	  /* byte order is the type's order: ranges and sorting */
	bool image_equal; /* false: the datum is stored in the value too */
	NvmkvKeyType how;
	NvmkvKeyType element; /* of ARRAY and RANGE */
	char collation_version[NVMKV_COLLATION_VERSION_BYTES]; /* of COLLATED, in elements too */
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

/* What logical decoding is told of changes (changes/note.h). */
typedef enum NvmkvTold
{
	NVMKV_TOLD_NOTHING,
	NVMKV_TOLD_NEW,	/* the key, and rows as they are after a change */
	NVMKV_TOLD_FULL /* and as they were before it */
} NvmkvTold;

typedef struct NvmkvTable
{
	Oid relid;
	NvmkvTold told;
	uint64 storage_id; /* of the current transaction's view */
	bool storage_known; /* it is that of the catalogue, and the key agrees with it */
	char *key_name;    /* name errors use: that of the primary key's constraint */
	int nkeys;         /* 0: hidden row id */
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	TupleDesc tupdesc;       /* copy, with constraints (missing values) */
	bool *attr_in_key;       /* natts: this attribute's value is rebuilt from the key bytes alone */
	NvmkvRowAttr *row_attrs; /* natts */
	int nindexes;
	struct NvmkvIndex *indexes; /* all but the primary key's */
} NvmkvTable;

/*
 * An index other than the primary key's.  Its entries are the rows of a table of their own, which has
 *	  columns: those of the index, INCLUDE columns too, then the columns of the table's key, or the row id, that are not
 *		key columns of the index;
 *	  key: the key columns of the index, then the columns of the table's key that are not among them.
 * So no two rows have the same entry, and each entry has its row's key.
 *
 * An entry is a version like that of a row: it is written by the transaction and command that write the row's version,
 * in the same record, and a tombstone takes it away where a version of the row has another entry or none.  Who sees a
 * row's version sees its entries and no other ones.
 *
 * Writers hold the latch of the row's key while they write its entries; so the versions of an entry have the order of
 * the row's.
 */
typedef struct NvmkvIndex
{
	Oid oid;
	bool ready;	  /* writers keep it */
	bool valid;	  /* it has all rows that snapshots see which are young enough */
	bool is_unique;
	bool deferrable;		 /* unique, but by the end of a statement or transaction only */
	bool nulls_not_distinct;
	bool is_key;			 /* can be that of a foreign key: who changes its columns locks as who changes the key */
	bool has_values;		 /* entries have a value: something is not in their keys */
	int ncolumns;			 /* key columns of the index */
	int natts;				 /* and its INCLUDE columns */
	AttrNumber *attnums;	 /* of the table, for each column of the entries; 0: an expression; ctid: the row id */
	int *row_key;			 /* for each column of the table's key: its number in entries.keys */
	List *expressions;		 /* as RelationGetIndexExpressions has them */
	List *predicate;		 /* joined by AND */
	NvmkvTable entries;
} NvmkvIndex;

#endif
