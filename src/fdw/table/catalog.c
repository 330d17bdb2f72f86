/*
 * catalog.c
 *	  nvmkv.storage: which storage the rows of a foreign table are in, and the
 *	  key they were written with.
 *
 * The table is scanned with SnapshotSelf: a TRUNCATE of the same command must
 * count at once, and so must one that committed while we waited for the lock
 * on the foreign table, whatever the transaction's snapshot is.  That scan is
 * safe because no row changes while somebody holds a lock on its table.  Being
 * no MVCC snapshot, it takes no predicate locks either.
 *
 * To the server it is a materialized view, and what this file does to it is
 * what the server does to its catalogues.  A table would be published by FOR
 * ALL TABLES and written to by subscriptions, and what it says is true in this
 * database only; a view can be neither, nor be changed by SQL, and is
 * transactional, logged, vacuumed and copied as tables are.  REFRESH runs its
 * query, nvmkv.stored_tables(), which says what is there.  It must see what
 * others have not committed yet, so who writes keeps the lock until the end.
 *
 * As version 1.0 of the extension made it, it has no versions of collations:
 * what is read from it has none, which says that the key has no sort keys, and
 * keys with sort keys cannot be written to it.  ALTER EXTENSION ... UPDATE makes
 * it anew: the old one is renamed, and is what the new one's query reads.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/host/family.h"
#include "fdw/host/origin.h"
#include "fdw/table/catalog.h"

#define CATALOG_TABLE "storage"
#define CATALOG_INDEX "storage_relid"
#define CATALOG_TABLE_BEFORE "storage_1_0" /* while the extension is updated */

PG_FUNCTION_INFO_V1(nvmkv_sql_stored_tables);

/* Columns, as the extension's script makes them. */
enum
{
	COLUMN_RELID = 1,
	COLUMN_DBOID,
	COLUMN_STORAGE_ID,
	COLUMN_KEY_COLUMNS,
	COLUMN_KEY_TYPES,
	COLUMN_KEY_COLLATIONS,
	COLUMN_KEY_DESCENDING,
	COLUMN_KEY_VERSIONS,
	COLUMN_COLUMN_TYPES,
	CATALOG_COLUMNS = COLUMN_COLUMN_TYPES
};

/* Of version 1.0: all but COLUMN_KEY_VERSIONS. */
#define CATALOG_COLUMNS_1_0 (CATALOG_COLUMNS - 1)

#define UPDATE_HINT "Run ALTER EXTENSION nvmkv_fdw UPDATE in this database."

/* The number that a column has there. */
static int
number_of(TupleDesc desc, int column)
{
	return desc->natts == CATALOG_COLUMNS_1_0 && column > COLUMN_KEY_VERSIONS ? column - 1 : column;
}

static Oid
catalog_object(const char *name)
{
	Oid schema = get_namespace_oid(NVMKV_CATALOG_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

Oid
nvmkv_catalog_relid(void)
{
	return catalog_object(CATALOG_TABLE);
}

/* Locks it by its name: who has waited for an update of the extension finds the one that this has made. */
static Oid
catalog_lock_relation(LOCKMODE lockmode)
{
	Oid relid;

	while (OidIsValid(relid = nvmkv_catalog_relid()))
	{
		LockRelationOid(relid, lockmode);
		if (nvmkv_catalog_relid() == relid)
			break;
		UnlockRelationOid(relid, lockmode);
	}
	return relid;
}

void
nvmkv_catalog_hold(void)
{
	(void) catalog_lock_relation(AccessShareLock);
}

static void
report_unknown(Relation catalog)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("relation \"%s\" was made for another version of nvmkv_fdw", RelationGetRelationName(catalog)),
			 errdetail("It has %d columns, this library knows those with %d and %d.",
					   RelationGetDescr(catalog)->natts, CATALOG_COLUMNS_1_0, CATALOG_COLUMNS),
			 errhint("Install the library of the extension's version, or of a newer one, and restart the server.")));
}

static Relation
catalog_open(LOCKMODE lockmode)
{
	Oid relid = catalog_lock_relation(lockmode);
	Relation catalog;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation \"%s.%s\" does not exist", NVMKV_CATALOG_SCHEMA, CATALOG_TABLE),
				 OidIsValid(get_extension_oid("nvmkv_fdw", true))
					 ? errhint("Give it and its schema their names back.")
					 : errhint("Run CREATE EXTENSION nvmkv_fdw in this database.")));
	catalog = table_open(relid, NoLock);
	if (RelationGetDescr(catalog)->natts != CATALOG_COLUMNS && RelationGetDescr(catalog)->natts != CATALOG_COLUMNS_1_0)
		report_unknown(catalog);
	return catalog;
}

void
nvmkv_catalog_lock(Oid relid)
{
	LockDatabaseObject(ForeignTableRelationId, relid, 0, ExclusiveLock);
}

/* ---------------------------------------------------------------- rows */

/* Elements of an array column; there have to be "count", or -1 - count at most if that is negative. */
static int
take_array(HeapTuple tuple, TupleDesc desc, int column, Oid type, int count, Datum **elements_out)
{
	bool isnull;
	Datum value = heap_getattr(tuple, number_of(desc, column), desc, &isnull);
	int16 len;
	bool byval;
	char align;
	int n = 0;

	if (!isnull)
	{
		get_typlenbyvalalign(type, &len, &byval, &align);
		deconstruct_array(DatumGetArrayTypeP(value), type, len, byval, align, elements_out, NULL, &n);
	}
	if (isnull || (count >= 0 ? n != count : n > -1 - count))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("malformed row in relation \"%s.%s\"", NVMKV_CATALOG_SCHEMA, CATALOG_TABLE)));
	return n;
}

static void
form_row(HeapTuple tuple, TupleDesc desc, NvmkvStorageRow *row)
{
	bool isnull;
	Datum *attnums;
	Datum *types;
	Datum *collations;
	Datum *descending;
	Datum *versions = NULL;

	memset(row, 0, sizeof(*row));
	row->relid = DatumGetObjectId(heap_getattr(tuple, COLUMN_RELID, desc, &isnull));
	row->dboid = DatumGetObjectId(heap_getattr(tuple, COLUMN_DBOID, desc, &isnull));
	row->storage_id = (uint64) DatumGetInt64(heap_getattr(tuple, COLUMN_STORAGE_ID, desc, &isnull));
	row->nkeys = take_array(tuple, desc, COLUMN_KEY_COLUMNS, INT2OID, -1 - NVMKV_KEY_COLUMNS_MAX, &attnums);
	take_array(tuple, desc, COLUMN_KEY_TYPES, OIDOID, row->nkeys, &types);
	take_array(tuple, desc, COLUMN_KEY_COLLATIONS, OIDOID, row->nkeys, &collations);
	take_array(tuple, desc, COLUMN_KEY_DESCENDING, BOOLOID, row->nkeys, &descending);
	if (desc->natts == CATALOG_COLUMNS)
		take_array(tuple, desc, COLUMN_KEY_VERSIONS, TEXTOID, row->nkeys, &versions);
	for (int i = 0; i < row->nkeys; i++)
	{
		row->keys[i].attnum = DatumGetInt16(attnums[i]);
		row->keys[i].how.type = DatumGetObjectId(types[i]);
		row->keys[i].collation = DatumGetObjectId(collations[i]);
		row->keys[i].descending = DatumGetBool(descending[i]);
		if (versions != NULL)
			strlcpy(row->keys[i].collation_version, TextDatumGetCString(versions[i]), NVMKV_COLLATION_VERSION_BYTES);
	}
	row->ncolumns = take_array(tuple, desc, COLUMN_COLUMN_TYPES, OIDOID, -1 - MaxHeapAttributeNumber, &types);
	row->column_types = palloc(Max(row->ncolumns, 1) * sizeof(Oid));
	for (int i = 0; i < row->ncolumns; i++)
		row->column_types[i] = DatumGetObjectId(types[i]);
}

static Datum
make_array(Datum *elements, int n, Oid type)
{
	int16 len;
	bool byval;
	char align;

	get_typlenbyvalalign(type, &len, &byval, &align);
	return PointerGetDatum(construct_array(elements, n, type, len, byval, align));
}

static void
refuse_versions(const NvmkvStorageRow *row)
{
	for (int i = 0; i < row->nkeys; i++)
	{
		if (row->keys[i].collation_version[0] != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("version 1.0 of extension nvmkv_fdw has no keys in the order of ICU's collations"),
					 errhint(UPDATE_HINT)));
	}
}

static void
deform_row(const NvmkvStorageRow *row, TupleDesc desc, Datum *values)
{
	Datum attnums[NVMKV_KEY_COLUMNS_MAX];
	Datum types[NVMKV_KEY_COLUMNS_MAX];
	Datum collations[NVMKV_KEY_COLUMNS_MAX];
	Datum descending[NVMKV_KEY_COLUMNS_MAX];
	Datum versions[NVMKV_KEY_COLUMNS_MAX];
	Datum *columns = palloc(Max(row->ncolumns, 1) * sizeof(Datum));

	for (int i = 0; i < row->ncolumns; i++)
		columns[i] = ObjectIdGetDatum(row->column_types[i]);
	for (int i = 0; i < row->nkeys; i++)
	{
		attnums[i] = Int16GetDatum(row->keys[i].attnum);
		types[i] = ObjectIdGetDatum(row->keys[i].how.type);
		collations[i] = ObjectIdGetDatum(row->keys[i].collation);
		descending[i] = BoolGetDatum(row->keys[i].descending);
		versions[i] = CStringGetTextDatum(row->keys[i].collation_version);
	}
	values[COLUMN_RELID - 1] = ObjectIdGetDatum(row->relid);
	values[COLUMN_DBOID - 1] = ObjectIdGetDatum(row->dboid);
	values[COLUMN_STORAGE_ID - 1] = Int64GetDatum((int64) row->storage_id);
	values[COLUMN_KEY_COLUMNS - 1] = make_array(attnums, row->nkeys, INT2OID);
	values[COLUMN_KEY_TYPES - 1] = make_array(types, row->nkeys, OIDOID);
	values[COLUMN_KEY_COLLATIONS - 1] = make_array(collations, row->nkeys, OIDOID);
	values[COLUMN_KEY_DESCENDING - 1] = make_array(descending, row->nkeys, BOOLOID);
	if (desc->natts == CATALOG_COLUMNS)
		values[COLUMN_KEY_VERSIONS - 1] = make_array(versions, row->nkeys, TEXTOID);
	else
		refuse_versions(row);
	values[number_of(desc, COLUMN_COLUMN_TYPES) - 1] = make_array(columns, row->ncolumns, OIDOID);
	pfree(columns);
}

/* ---------------------------------------------------------------- columns */

void
nvmkv_catalog_take_columns(NvmkvStorageRow *row, TupleDesc desc)
{
	row->ncolumns = desc->natts;
	row->column_types = palloc(Max(desc->natts, 1) * sizeof(Oid));
	for (int i = 0; i < desc->natts; i++)
		row->column_types[i] = TupleDescAttr(desc, i)->attisdropped ? InvalidOid : TupleDescAttr(desc, i)->atttypid;
}

bool
nvmkv_catalog_take_collations(NvmkvStorageRow *row, TupleDesc desc)
{
	for (int i = 0; i < row->nkeys && nvmkv_origin_is_before(nvmkv_birth_of_storage(row->storage_id)); i++)
	{
		if (OidIsValid(row->keys[i].collation) && row->keys[i].attnum <= desc->natts)
			row->keys[i].collation = TupleDescAttr(desc, row->keys[i].attnum - 1)->attcollation;
	}
	return true;
}

AttrNumber
nvmkv_catalog_changed_column(const NvmkvStorageRow *row, TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && (i >= row->ncolumns || row->column_types[i] != att->atttypid))
			return att->attnum;
	}
	return 0;
}

/* ---------------------------------------------------------------- access */

static SysScanDesc
scan_of_table(Relation catalog, Oid relid)
{
	Oid index = catalog_object(CATALOG_INDEX);
	ScanKeyData key;

	/* The index makes it quick, and can be dropped like any other. */
	ScanKeyInit(&key, COLUMN_RELID, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	return systable_beginscan(catalog, index, OidIsValid(index), SnapshotSelf, 1, &key);
}

bool
nvmkv_catalog_lookup(Oid relid, NvmkvStorageRow *row_out)
{
	Relation catalog = catalog_open(AccessShareLock);
	SysScanDesc scan = scan_of_table(catalog, relid);
	HeapTuple tuple = systable_getnext(scan);

	if (HeapTupleIsValid(tuple))
		form_row(tuple, RelationGetDescr(catalog), row_out);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

void
nvmkv_catalog_put(const NvmkvStorageRow *row)
{
	Relation catalog = catalog_open(RowExclusiveLock);
	SysScanDesc scan = scan_of_table(catalog, row->relid);
	HeapTuple old = systable_getnext(scan);
	Datum values[CATALOG_COLUMNS];
	bool nulls[CATALOG_COLUMNS] = {false};
	HeapTuple tuple;

	deform_row(row, RelationGetDescr(catalog), values);
	tuple = heap_form_tuple(RelationGetDescr(catalog), values, nulls);
	if (HeapTupleIsValid(old))
		CatalogTupleUpdate(catalog, &old->t_self, tuple);
	else
		CatalogTupleInsert(catalog, tuple);
	heap_freetuple(tuple);
	systable_endscan(scan);
	table_close(catalog, NoLock);

	/* Our own cache has to know at once, too. */
	CacheInvalidateRelcacheByRelid(row->relid);
	CommandCounterIncrement();
}

void
nvmkv_catalog_delete(Oid relid)
{
	Relation catalog = catalog_open(RowExclusiveLock);
	SysScanDesc scan = scan_of_table(catalog, relid);
	HeapTuple tuple = systable_getnext(scan);

	if (HeapTupleIsValid(tuple))
		CatalogTupleDelete(catalog, &tuple->t_self);
	systable_endscan(scan);
	table_close(catalog, NoLock);
}

List *
nvmkv_catalog_storages(Snapshot snapshot)
{
	Relation catalog = catalog_open(AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, snapshot, 0, NULL);
	List *stored = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		NvmkvStorageRow row;

		form_row(tuple, RelationGetDescr(catalog), &row);
		if (row.dboid == MyDatabaseId)
		{
			NvmkvStoredTable *table = palloc(sizeof(NvmkvStoredTable));

			table->relid = row.relid;
			table->storage_id = row.storage_id;
			stored = lappend(stored, table);
		}
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return stored;
}

/* ---------------------------------------------------------------- refresh */

bool
nvmkv_catalog_is_updated(void)
{
	return creating_extension && CurrentExtensionObject == get_extension_oid("nvmkv_fdw", true);
}

/*
 * The rows as they are: the view's query.  None while the extension is made, those of the view before while it is
 * updated.
 */
Datum
nvmkv_sql_stored_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid before = nvmkv_catalog_is_updated() ? catalog_object(CATALOG_TABLE_BEFORE) : InvalidOid;
	Oid relid = OidIsValid(before) ? before : nvmkv_catalog_relid();
	Relation catalog;
	SysScanDesc scan;
	HeapTuple tuple;
	int columns;

	InitMaterializedSRF(fcinfo, 0);
	if (!OidIsValid(relid))
		return (Datum) 0;
	catalog = table_open(relid, AccessShareLock);
	columns = RelationGetDescr(catalog)->natts;
	if (columns != result->setDesc->natts &&
		!(columns == CATALOG_COLUMNS_1_0 && result->setDesc->natts == CATALOG_COLUMNS))
		report_unknown(catalog);
	scan = systable_beginscan(catalog, InvalidOid, false, SnapshotSelf, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum values[CATALOG_COLUMNS] = {0};
		bool nulls[CATALOG_COLUMNS] = {false};
		NvmkvStorageRow row;

		form_row(tuple, RelationGetDescr(catalog), &row);
		deform_row(&row, result->setDesc, values);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return (Datum) 0;
}
