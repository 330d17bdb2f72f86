/*
 * table.c
 *	  The cache of table descriptions.
 *
 * A description lives in a memory context of its own.  The hash table points
 * to the current one of each table; users pin it by a reset callback of their
 * memory context.  Invalidation takes it out of the hash table, and the last
 * to let go of it deletes the context.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/key/keytype.h"
#include "fdw/key/keyspec.h"
#include "fdw/table/catalog.h"
#include "fdw/table/indexes.h"
#include "fdw/table/option.h"
#include "fdw/table/rowattrs.h"
#include "fdw/table/table.h"

#define HANDLER_SYMBOL "nvmkv_fdw_handler"

typedef struct CachedTable
{
	NvmkvTable table; /* first: what users have is a pointer to it */
	MemoryContext context;
	int pins;
	bool current; /* the hash table points here */
} CachedTable;

/* Readers of the log need no more than what its keys and rows are made of, and see catalogues alone. */
typedef enum DescribedFor
{
	FOR_USE,
	FOR_LOG_SORT_KEYS,
	FOR_LOG_BY_BYTES,
	DESCRIBED_FOR_COUNT
} DescribedFor;

typedef struct TableEntry
{
	Oid relid; /* hash key */
	CachedTable *cached[DESCRIBED_FOR_COUNT];
} TableEntry;

static HTAB *tables = NULL;
static uint64 invalidations = 0; /* tells whether any came while a description was made */

/* ---------------------------------------------------------------- whose table */

/* Is the function the handler of this library? */
static bool
is_our_handler(Oid funcid)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	bool ours = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		bool isnull;
		Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);

		ours = !isnull && strcmp(TextDatumGetCString(source), HANDLER_SYMBOL) == 0;
	}
	ReleaseSysCache(tuple);
	return ours;
}

bool
nvmkv_is_our_relid(Oid relid)
{
	HeapTuple tuple;
	ForeignServer *server;
	Oid serverid;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return false;
	tuple = SearchSysCache1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return false; /* just being made, or half gone */
	serverid = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftserver;
	ReleaseSysCache(tuple);

	server = GetForeignServerExtended(serverid, FSV_MISSING_OK);
	return server != NULL && is_our_handler(GetForeignDataWrapper(server->fdwid)->fdwhandler);
}

bool
nvmkv_is_our_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	return server != NULL && is_our_handler(GetForeignDataWrapper(server->fdwid)->fdwhandler);
}

int
nvmkvIsForeignRelUpdatable(Relation rel)
{
	return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
}

bool
nvmkv_is_our_routine(const FdwRoutine *routine)
{
	return routine->IsForeignRelUpdatable == nvmkvIsForeignRelUpdatable;
}

bool
nvmkv_is_our_table(Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
		return false;
	if (rel->rd_fdwroutine != NULL)
		return nvmkv_is_our_routine(rel->rd_fdwroutine);
	return nvmkv_is_our_relid(RelationGetRelid(rel));
}

List *
nvmkv_foreign_relids(bool (*is_wanted) (Oid relid))
{
	Relation foreign_tables = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(foreign_tables, InvalidOid, false, NULL, 0, NULL);
	List *relids = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid relid = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftrelid;

		if (is_wanted(relid))
			relids = lappend_oid(relids, relid);
	}
	systable_endscan(scan);
	table_close(foreign_tables, AccessShareLock);
	return relids;
}

List *
nvmkv_our_relids(void)
{
	return nvmkv_foreign_relids(nvmkv_is_our_relid);
}

/* ---------------------------------------------------------------- keys */

int
nvmkv_key_resolve(Relation rel, List *options, NvmkvKeyColumn *keys)
{
	const char *definition = nvmkv_option_string(options, NVMKV_OPTION_PRIMARY_KEY);
	TupleDesc desc = RelationGetDescr(rel);
	int nkeys = 0;
	ListCell *lc;

	if (definition == NULL)
		return 0;

	foreach(lc, nvmkv_parse_primary_key(definition))
	{
		NvmkvKeySpec *spec = (NvmkvKeySpec *) lfirst(lc);
		NvmkvKeyColumn *col = &keys[nkeys++];
		AttrNumber attnum = get_attnum(RelationGetRelid(rel), spec->name);
		const char *reason;

		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" named in key does not exist", spec->name)));

		if (nvmkv_is_virtual(TupleDescAttr(desc, attnum - 1)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("primary keys on virtual generated columns are not supported")));

		memset(col, 0, sizeof(*col));
		col->attnum = attnum;
		col->type = TupleDescAttr(desc, attnum - 1)->atttypid;
		col->typmod = TupleDescAttr(desc, attnum - 1)->atttypmod;
		col->collation = TupleDescAttr(desc, attnum - 1)->attcollation;
		col->descending = spec->descending;
		if (!nvmkv_key_column_setup(col, &reason))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of type %s cannot be in a primary key", spec->name, format_type_be(col->type)),
					 errhint("%s", reason)));
	}
	return nkeys;
}

int
nvmkv_key_of_rows(Relation rel, NvmkvKeyColumn *keys)
{
	int nkeys = nvmkv_key_resolve(rel, GetForeignTable(RelationGetRelid(rel))->options, keys);
	NvmkvStorageRow row = {0};
	bool has_looked = false;

	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i].how.key_class != NVMKV_KEY_COLLATED)
			continue;
		if (!has_looked &&
			(!OidIsValid(nvmkv_catalog_relid()) || !nvmkv_catalog_lookup(RelationGetRelid(rel), &row) ||
			 row.dboid != MyDatabaseId))
			return nkeys;
		has_looked = true;
		if (i < row.nkeys && row.keys[i].collation_version[0] == '\0')
			nvmkv_key_column_by_bytes(&keys[i]);
	}
	return nkeys;
}

bool
nvmkv_keys_equal(const NvmkvKeyColumn *a, int na, const NvmkvKeyColumn *b, int nb)
{
	if (na != nb)
		return false;
	for (int i = 0; i < na; i++)
	{
		if (a[i].attnum != b[i].attnum || a[i].how.type != b[i].how.type ||
			a[i].collation != b[i].collation || a[i].descending != b[i].descending)
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- descriptions */

/* That of the constraint, or what it would be. */
static char *
choose_key_name(Relation rel)
{
	Oid index = nvmkv_primary_key_index(rel);
	char *name = OidIsValid(index) ? get_rel_name(index) : NULL;

	return name != NULL ? name : makeObjectName(RelationGetRelationName(rel), NULL, "pkey");
}

/* Without a primary key rows are known by all of their columns. */
static NvmkvTold
choose_told(List *options, int nkeys)
{
	NvmkvTold told = nvmkv_option_changes(options);

	return told == NVMKV_TOLD_NEW && nkeys == 0 ? NVMKV_TOLD_FULL : told;
}

/* The key of a log record that says whether it has sort keys; nvmkv.storage shows what is there now. */
static int
key_as_logged(Relation rel, bool sort_keys, NvmkvKeyColumn *keys)
{
	int nkeys = nvmkv_key_resolve(rel, GetForeignTable(RelationGetRelid(rel))->options, keys);

	for (int i = 0; i < nkeys && !sort_keys; i++)
	{
		if (keys[i].how.key_class == NVMKV_KEY_COLLATED)
			nvmkv_key_column_by_bytes(&keys[i]);
	}
	return nkeys;
}

static CachedTable *
describe(Relation rel, DescribedFor why)
{
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	int nkeys = why == FOR_USE ? nvmkv_key_of_rows(rel, keys) : key_as_logged(rel, why == FOR_LOG_SORT_KEYS, keys);
	char *key_name = why == FOR_USE ? choose_key_name(rel) : "";
	NvmkvTold told = choose_told(GetForeignTable(RelationGetRelid(rel))->options, nkeys);
	MemoryContext context;
	MemoryContext caller;
	CachedTable *cached;
	NvmkvTable *table;

	context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv table", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);

	cached = palloc0(sizeof(CachedTable));
	cached->context = context;
	table = &cached->table;
	table->relid = RelationGetRelid(rel);
	table->told = told;
	table->key_name = pstrdup(key_name);
	table->nkeys = nkeys;
	memcpy(table->keys, keys, nkeys * sizeof(NvmkvKeyColumn));
	table->tupdesc = CreateTupleDescCopyConstr(RelationGetDescr(rel));

	nvmkv_describe_row_attrs(table);
	if (why == FOR_USE)
		nvmkv_describe_indexes(table, rel);

	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, CacheMemoryContext);
	return cached;
}

/* ---------------------------------------------------------------- cache */

static void
forget(TableEntry *entry, DescribedFor why)
{
	CachedTable *cached = entry->cached[why];

	if (cached == NULL)
		return;
	entry->cached[why] = NULL;
	cached->current = false;
	if (cached->pins == 0)
		MemoryContextDelete(cached->context);
}

static void
forget_all(TableEntry *entry)
{
	for (int why = 0; why < DESCRIBED_FOR_COUNT; why++)
		forget(entry, why);
}

static void
relcache_callback(Datum arg, Oid relid)
{
	invalidations++;
	if (OidIsValid(relid))
	{
		TableEntry *entry = hash_search(tables, &relid, HASH_FIND, NULL);

		if (entry != NULL)
			forget_all(entry);
	}
	else
	{
		HASH_SEQ_STATUS status;
		TableEntry *entry;

		hash_seq_init(&status, tables);
		while ((entry = hash_seq_search(&status)) != NULL)
			forget_all(entry);
	}
}

static void
unpin(void *arg)
{
	CachedTable *cached = arg;

	Assert(cached->pins > 0);
	if (--cached->pins == 0 && !cached->current)
		MemoryContextDelete(cached->context);
}

/* Pins the description until the current memory context goes. */
static void
pin(CachedTable *cached)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));

	callback->func = unpin;
	callback->arg = cached;
	cached->pins++;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
}

static void
make_cache(void)
{
	HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(TableEntry)};

	if (CacheMemoryContext == NULL)
		CreateCacheMemoryContext();
	ctl.hcxt = CacheMemoryContext;
	tables = hash_create("nvmkv tables", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

/* The table's description, pinned. */
static CachedTable *
lookup(Relation rel, DescribedFor why)
{
	Oid relid = RelationGetRelid(rel);
	TableEntry *entry;
	CachedTable *cached;
	uint64 before;
	bool found;

	if (tables == NULL)
		make_cache();

	entry = hash_search(tables, &relid, HASH_FIND, NULL);
	if (likely(entry != NULL && entry->cached[why] != NULL))
	{
		pin(entry->cached[why]);
		return entry->cached[why];
	}

	before = invalidations;
	cached = describe(rel, why);
	pin(cached);

	/* If something changed meanwhile, it serves this caller only. */
	if (before == invalidations)
	{
		entry = hash_search(tables, &relid, HASH_ENTER, &found);
		if (found)
			forget(entry, why);
		else
			memset(entry->cached, 0, sizeof(entry->cached));
		entry->cached[why] = cached;
		cached->current = true;
	}
	return cached;
}

NvmkvTable *
nvmkv_table_definition(Relation rel)
{
	return &lookup(rel, FOR_USE)->table;
}

NvmkvTable *
nvmkv_table_as_logged(Relation rel, bool sort_keys)
{
	return &lookup(rel, sort_keys ? FOR_LOG_SORT_KEYS : FOR_LOG_BY_BYTES)->table;
}
