/*
 * table.h
 *	  What the wrapper knows of one foreign table: storage id, key, row layout.
 *
 * Built from the catalogues and cached per backend; a relcache invalidation
 * drops it.  An NvmkvTable returned by nvmkv_table() is owned by the cache and
 * reference counted by the statement that uses it: it stays valid, and as it
 * was, until the memory context current at the call is reset or deleted, even
 * when the cache entry is replaced.
 */
#ifndef NVMKV_FDW_TABLE_H
#define NVMKV_FDW_TABLE_H

#include "postgres.h"

#include "access/attnum.h"
#include "access/tupdesc.h"
#include "utils/rel.h"

#include "engine/nvmkv.h"

#define NVMKV_STORAGE_ID_BYTES 8
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
	char *key_name;    /* name errors use: "<table>_pkey" */
	int nkeys;         /* 0: hidden row id */
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	TupleDesc tupdesc;       /* copy, with constraints (missing values) */
	bool *attr_in_key;       /* natts: this attribute's value is rebuilt from the key bytes alone */
	NvmkvRowAttr *row_attrs; /* natts */
} NvmkvTable;

/*
 * The table's description.  A table without a storage (created while the library was absent, or in a copied database)
 * gets one if the caller holds RowExclusiveLock or more, that is, may write; otherwise storage_id is 0, which nothing
 * is stored under: the table reads as empty.  Errors: library not preloaded or engine not open (nvmkv_engine),
 * catalogue and definition disagree.
 */
extern NvmkvTable *nvmkv_table(Relation rel);

/* The same without needing the engine (planner hooks, EXPLAIN): storage_id may be 0. */
extern NvmkvTable *nvmkv_table_definition(Relation rel);

/* Does this relation belong to our wrapper? Cheap (cached by relcache). */
extern bool nvmkv_is_our_table(Relation rel);
extern bool nvmkv_is_our_relid(Oid relid);

/* OIDs of all our tables in the database. */
extern List *nvmkv_our_relids(void);

/*
 * The key columns a primary_key option names, set up, into keys (NVMKV_KEY_COLUMNS_MAX); returns how many.  Errors name
 * the column: 42703 unknown, 42701 twice, 0A000 a type or collation that cannot be a key.
 */
extern int nvmkv_key_resolve(Relation rel, List *options, NvmkvKeyColumn *keys);

/* Do two lists of key columns make the same bytes of the same attributes? */
extern bool nvmkv_keys_equal(const NvmkvKeyColumn *a, int na, const NvmkvKeyColumn *b, int nb);

/*
 * Gives the table a new, empty storage and freezes its key columns as they are defined now; what it had is dropped, all
 * with the current transaction.  The caller keeps others from writing to the table: AccessExclusiveLock, or no storage
 * yet and nvmkv_catalog_lock.
 */
extern void nvmkv_table_new_storage(Relation rel);

#endif
