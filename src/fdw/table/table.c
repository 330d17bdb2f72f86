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
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/ddl/ddl.h"
#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/wal.h"
#include "fdw/key/keycode.h"
#include "fdw/storage/registry.h"
#include "fdw/table/catalog.h"
#include "fdw/table/definition.h"
#include "fdw/table/option.h"
#include "fdw/table/table.h"

#define HANDLER_SYMBOL "nvmkv_fdw_handler"

typedef struct CachedTable
{
	NvmkvTable table; /* first: what users have is a pointer to it */
	MemoryContext context;
	int pins;
	bool current;       /* the hash table points here */
	bool storage_known; /* table.storage_id is that of the catalogue, and the key agrees with it */
} CachedTable;

typedef struct TableEntry
{
	Oid relid; /* hash key */
	CachedTable *cached;
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
nvmkv_is_our_table(Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
		return false;
	if (rel->rd_fdwroutine != NULL)
		return rel->rd_fdwroutine->ExecForeignTruncate == nvmkvExecForeignTruncate;
	return nvmkv_is_our_relid(RelationGetRelid(rel));
}

List *
nvmkv_our_relids(void)
{
	Relation foreign_tables = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(foreign_tables, InvalidOid, false, NULL, 0, NULL);
	List *relids = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid relid = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftrelid;

		if (nvmkv_is_our_relid(relid))
			relids = lappend_oid(relids, relid);
	}
	systable_endscan(scan);
	table_close(foreign_tables, AccessShareLock);
	return relids;
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

bool
nvmkv_keys_equal(const NvmkvKeyColumn *a, int na, const NvmkvKeyColumn *b, int nb)
{
	if (na != nb)
		return false;
	for (int i = 0; i < na; i++)
	{
		if (a[i].attnum != b[i].attnum || a[i].base_type != b[i].base_type ||
			a[i].collation != b[i].collation || a[i].descending != b[i].descending)
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- descriptions */

static uint8
align_bytes(char typalign)
{
	switch (typalign)
	{
		case TYPALIGN_CHAR:
			return 1;
		case TYPALIGN_SHORT:
			return ALIGNOF_SHORT;
		case TYPALIGN_INT:
			return ALIGNOF_INT;
		default:
			return ALIGNOF_DOUBLE;
	}
}

static CachedTable *
describe(Relation rel)
{
	NvmkvKeyColumn keys[NVMKV_KEY_COLUMNS_MAX];
	int nkeys = nvmkv_key_resolve(rel, GetForeignTable(RelationGetRelid(rel))->options, keys);
	char *key_name = makeObjectName(RelationGetRelationName(rel), NULL, "pkey");
	int natts = RelationGetNumberOfAttributes(rel);
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
	table->key_name = pstrdup(key_name);
	table->nkeys = nkeys;
	memcpy(table->keys, keys, nkeys * sizeof(NvmkvKeyColumn));
	table->tupdesc = CreateTupleDescCopyConstr(RelationGetDescr(rel));

	table->attr_in_key = palloc0(Max(natts, 1) * sizeof(bool));
	for (int i = 0; i < nkeys; i++)
		table->attr_in_key[keys[i].attnum - 1] = keys[i].image_equal;

	table->row_attrs = palloc0(Max(natts, 1) * sizeof(NvmkvRowAttr));
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(table->tupdesc, i);

		table->row_attrs[i].len = att->attlen;
		table->row_attrs[i].align = align_bytes(att->attalign);
		table->row_attrs[i].byval = att->attbyval;
		table->row_attrs[i].in_key = table->attr_in_key[i];
		table->row_attrs[i].dropped = att->attisdropped;
	}

	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, CacheMemoryContext);
	return cached;
}

/* ---------------------------------------------------------------- cache */

static void
forget(TableEntry *entry)
{
	CachedTable *cached = entry->cached;

	if (cached == NULL)
		return;
	entry->cached = NULL;
	cached->current = false;
	if (cached->pins == 0)
		MemoryContextDelete(cached->context);
}

static void
relcache_callback(Datum arg, Oid relid)
{
	invalidations++;
	if (OidIsValid(relid))
	{
		TableEntry *entry = hash_search(tables, &relid, HASH_FIND, NULL);

		if (entry != NULL)
			forget(entry);
	}
	else
	{
		HASH_SEQ_STATUS status;
		TableEntry *entry;

		hash_seq_init(&status, tables);
		while ((entry = hash_seq_search(&status)) != NULL)
			forget(entry);
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
lookup(Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	TableEntry *entry;
	CachedTable *cached;
	uint64 before;
	bool found;

	if (tables == NULL)
		make_cache();

	entry = hash_search(tables, &relid, HASH_FIND, NULL);
	if (likely(entry != NULL && entry->cached != NULL))
	{
		pin(entry->cached);
		return entry->cached;
	}

	before = invalidations;
	cached = describe(rel);
	pin(cached);

	/* If something changed meanwhile, it serves this caller only. */
	if (before == invalidations)
	{
		entry = hash_search(tables, &relid, HASH_ENTER, &found);
		if (found)
			forget(entry);
		entry->cached = cached;
		cached->current = true;
	}
	return cached;
}

NvmkvTable *
nvmkv_table_definition(Relation rel)
{
	return &lookup(rel)->table;
}

/* ---------------------------------------------------------------- storage */

static char *
key_names(TupleDesc desc, const NvmkvKeyColumn *keys, int nkeys)
{
	List *specs = NIL;

	for (int i = 0; i < nkeys; i++)
	{
		NvmkvKeySpec *spec = palloc(sizeof(NvmkvKeySpec));

		spec->name = keys[i].attnum <= desc->natts ? NameStr(TupleDescAttr(desc, keys[i].attnum - 1)->attname) : "?";
		spec->descending = keys[i].descending;
		specs = lappend(specs, spec);
	}
	return nvmkv_format_primary_key(specs);
}

/* Whoever alters columns with the library says so in the catalogue. */
static void
check_columns(const NvmkvStorageRow *row, Relation rel)
{
	AttrNumber attnum = nvmkv_catalog_changed_column(row, rel);
	const char *name;

	if (attnum == 0)
		return;
	name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("definition of foreign table \"%s\" does not fit its stored rows", RelationGetRelationName(rel)),
			 attnum > row->ncolumns
				 ? errdetail("Column \"%s\" was added by a server that had not loaded nvmkv_fdw.", name)
				 : errdetail("The type of column \"%s\" was changed by a server that had not loaded nvmkv_fdw; rows were stored with type %s.",
							 name, format_type_be(row->column_types[attnum - 1])),
			 attnum > row->ncolumns ? errhint("Drop the column and add it again, or TRUNCATE the table.")
									: errhint("Change the type back, or TRUNCATE the table.")));
}

/* Reads the catalogue into table->storage_id; false when the table has no storage of this database. */
static bool
find_storage(CachedTable *cached, Relation rel)
{
	NvmkvTable *table = &cached->table;
	NvmkvStorageRow row;

	if (!nvmkv_catalog_lookup(table->relid, &row) || row.dboid != MyDatabaseId)
		return false;
	if (!nvmkv_keys_equal(row.keys, row.nkeys, table->keys, table->nkeys))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("definition of foreign table \"%s\" does not fit its stored rows", RelationGetRelationName(rel)),
				 row.nkeys > 0 ? errdetail("The rows were stored with the primary key '%s'.", key_names(table->tupdesc, row.keys, row.nkeys)) : errdetail("The rows were stored without a primary key."),
				 errhint("Undo the change of the option \"%s\" or of the types of its columns, or TRUNCATE the table.", NVMKV_OPTION_PRIMARY_KEY)));
	check_columns(&row, rel);
	if (!nvmkv_registry_has_storage(row.storage_id))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("rows of foreign table \"%s\" are missing", RelationGetRelationName(rel)),
				 errdetail("The files in directory \"nvmkv\" of the data directory, and the container, are not those the rows were stored in."),
				 errhint("Restore them from a backup; or TRUNCATE the table to start anew.")));
	table->storage_id = row.storage_id;
	cached->storage_known = true;
	return true;
}

/* May the caller be about to write? The lock tells statements that do from those that only read. */
static bool
may_write(Relation rel)
{
	return !XactReadOnly && !IsInParallelMode() && !RecoveryInProgress() &&
		   CheckRelationLockedByMe(rel, RowExclusiveLock, true);
}

void
nvmkv_table_new_storage(Relation rel)
{
	NvmkvStorageRow old;
	NvmkvStorageRow row;
	bool had_row;

	(void) nvmkv_engine();
	had_row = nvmkv_catalog_lookup(RelationGetRelid(rel), &old);

	memset(&row, 0, sizeof(row));
	row.relid = RelationGetRelid(rel);
	row.dboid = MyDatabaseId;
	row.nkeys = nvmkv_key_resolve(rel, GetForeignTable(row.relid)->options, row.keys);
	nvmkv_catalog_take_columns(&row, rel);
	row.storage_id = nvmkv_family_new_storage_id(rel);
	nvmkv_catalog_put(&row);
	nvmkv_registry_begin_storage(row.storage_id, nvmkv_definition(rel, row.keys, row.nkeys));

	if (had_row && old.dboid == MyDatabaseId)
		nvmkv_registry_end_storage(old.storage_id);
}

/* The first storage of a table, unless another transaction was faster. */
static void
first_storage(Relation rel)
{
	NvmkvStorageRow row;
	bool had_row;

	nvmkv_catalog_lock(RelationGetRelid(rel));
	had_row = nvmkv_catalog_lookup(RelationGetRelid(rel), &row);
	if (had_row && row.dboid == MyDatabaseId)
		return;
	if (had_row)
		ereport(WARNING,
				(errmsg("foreign table \"%s\" starts empty in this database", RelationGetRelationName(rel)),
				 errdetail("The rows of foreign tables are not copied with a database.")));
	nvmkv_table_new_storage(rel);
}

NvmkvTable *
nvmkv_table(Relation rel)
{
	CachedTable *cached;

	(void) nvmkv_engine();
	cached = lookup(rel);
	if (likely(cached->storage_known) || find_storage(cached, rel))
		return &cached->table;

	if (may_write(rel))
	{
		first_storage(rel);
		cached = lookup(rel);
		if (!cached->storage_known && !find_storage(cached, rel))
			elog(ERROR, "foreign table \"%s\" has no storage", RelationGetRelationName(rel));
	}
	return &cached->table;
}
