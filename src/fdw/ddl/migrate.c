/*
 * migrate.c
 *	  ALTER TABLE ... SET ACCESS METHOD that makes a heap table one of ours, or the other way round.
 *
 * To ours: while the server still sees a heap the table gets its row in
 * pg_foreign_table and a storage, into which the rows are written; then it and
 * its indexes become what ours are.  To a heap: it becomes one, and the rows are
 * read from the storage that it had.  The transaction undoes all of it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/accessmethod.h"
#include "fdw/ddl/createtable.h"
#include "fdw/ddl/foreignkeytrigger.h"
#include "fdw/ddl/migrate.h"
#include "fdw/ddl/migratecheck.h"
#include "fdw/ddl/relationkind.h"
#include "fdw/ddl/rewrite.h"
#include "fdw/ddl/rewriteprogress.h"
#include "fdw/ddl/uniquetrigger.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/engine.h"
#include "fdw/key/keyspec.h"
#include "fdw/key/rowcode.h"
#include "fdw/storage/storage.h"
#include "fdw/table/autovacuum.h"
#include "fdw/table/table.h"
#include "fdw/txn/everyrow.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_migrate);

/* ---------------------------------------------------------------- to ours */

/* The option that tells the key which the constraint has; NIL: the table has none. */
static List *
key_option(Relation rel)
{
	Oid index_oid = nvmkv_primary_key_index(rel);
	List *specs = NIL;
	Relation index;

	if (!OidIsValid(index_oid))
		return NIL;
	index = index_open(index_oid, AccessShareLock);
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		NvmkvKeySpec *spec = palloc0(sizeof(NvmkvKeySpec));

		spec->name = get_attname(RelationGetRelid(rel), index->rd_index->indkey.values[i], false);
		specs = lappend(specs, spec);
	}
	index_close(index, NoLock);
	return list_make1(makeDefElem(pstrdup(NVMKV_OPTION_PRIMARY_KEY),
								  (Node *) makeString(nvmkv_format_primary_key(specs)), -1));
}

static List *
storage_parameters(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool none;
	Datum parameters;
	List *options;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	parameters = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &none);
	options = none ? NIL : untransformRelOptions(parameters);
	ReleaseSysCache(tuple);
	return options;
}

/* Those of a table that do not become options, or all of something else. */
static void
append_dropped(StringInfo dropped, Oid relid, const char *prefix, bool is_table)
{
	ListCell *lc;

	foreach(lc, storage_parameters(relid))
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (!is_table || !nvmkv_is_autovacuum_option(option->defname))
			appendStringInfo(dropped, "%s%s%s=%s", dropped->len > 0 ? ", " : "", prefix, option->defname,
							 defGetString(option));
	}
}

/* Who goes back to a heap has to set them again. */
static void
tell_dropped(const char *kind, Oid relid, const StringInfoData *dropped)
{
	if (dropped->len > 0)
		ereport(NOTICE,
				(errmsg("storage parameters of %s \"%s\" are dropped: %s", kind, get_rel_name(relid), dropped->data)));
}

static void
tell_dropped_parameters(Relation rel, List *indexes)
{
	StringInfoData dropped;
	ListCell *lc;

	initStringInfo(&dropped);
	append_dropped(&dropped, RelationGetRelid(rel), "", true);
	if (OidIsValid(rel->rd_rel->reltoastrelid))
		append_dropped(&dropped, rel->rd_rel->reltoastrelid, "toast.", false);
	tell_dropped("table", RelationGetRelid(rel), &dropped);
	foreach(lc, indexes)
	{
		resetStringInfo(&dropped);
		append_dropped(&dropped, lfirst_oid(lc), "", false);
		tell_dropped("index", lfirst_oid(lc), &dropped);
	}
}

static void
to_ours(Oid relid)
{
	Relation rel = table_open(relid, NoLock);
	List *indexes = RelationGetIndexList(rel);
	CreateForeignTableStmt *foreign = makeNode(CreateForeignTableStmt);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ListCell *lc;

	foreign->servername = nvmkv_default_server();
	foreign->options = list_concat(key_option(rel), nvmkv_pick_autovacuum_options(storage_parameters(relid)));
	tell_dropped_parameters(rel, indexes);
	CreateForeignTable(foreign, relid);
	CacheInvalidateRelcache(rel);
	CommandCounterIncrement();
	nvmkv_table_new_storage(rel);
	nvmkv_rewrite_heap(rel, snapshot);
	UnregisterSnapshot(snapshot);
	RelationClearMissing(rel);
	CommandCounterIncrement();
	table_close(rel, NoLock);

	nvmkv_become_foreign_table(relid);
	foreach(lc, indexes)
		nvmkv_become_foreign_index(lfirst_oid(lc));
	nvmkv_unique_triggers_settle(relid, true);
	nvmkv_foreign_key_triggers_settle(relid);
	rel = table_open(relid, NoLock);
	nvmkv_rewrite_indexes(rel);
	table_close(rel, NoLock);
}

/* ---------------------------------------------------------------- to a heap */

/* It is not of a server any more. */
static void
leave_server(Oid relid)
{
	Relation foreign_tables = table_open(ForeignTableRelationId, RowExclusiveLock);
	HeapTuple tuple = SearchSysCache1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for foreign table %u", relid);
	CatalogTupleDelete(foreign_tables, &tuple->t_self);
	ReleaseSysCache(tuple);
	table_close(foreign_tables, RowExclusiveLock);
	(void) deleteDependencyRecordsForClass(RelationRelationId, relid, ForeignServerRelationId, DEPENDENCY_NORMAL);
	CommandCounterIncrement();
}

typedef struct HeapWriter
{
	Relation rel;
	const NvmkvTable *old;
	TupleTableSlot *slot;
	BulkInsertState bulk;
	CommandId cid;
	MemoryContext row_context;
	uint64 rows;
} HeapWriter;

static void
write_heap_row(void *ctx, const NvmkvScanRow *row)
{
	HeapWriter *writer = ctx;
	MemoryContext caller = MemoryContextSwitchTo(writer->row_context);

	nvmkv_row_to_slot(writer->old, row->key, row->value, writer->slot);
	ItemPointerSetInvalid(&writer->slot->tts_tid);
	table_tuple_insert(writer->rel, writer->slot, writer->cid, TABLE_INSERT_SKIP_FSM, writer->bulk);
	ExecClearTuple(writer->slot);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(writer->row_context);
	nvmkv_rewrite_progress_row(++writer->rows, true);
}

static void
write_heap(Relation rel, const NvmkvTable *old, Snapshot snapshot)
{
	HeapWriter writer = {.rel = rel, .old = old, .cid = GetCurrentCommandId(true)};

	/* Rows that are only written anew do not count, until whoever opens it next. */
	pgstat_unlink_relation(rel);
	rel->pgstat_enabled = false;

	writer.slot = MakeSingleTupleTableSlot(old->tupdesc, &TTSOpsVirtual);
	writer.bulk = GetBulkInsertState();
	writer.row_context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv heap row", ALLOCSET_DEFAULT_SIZES);
	nvmkv_rewrite_progress_begin(RelationGetRelid(rel));
	nvmkv_rewrite_progress_phase(NVMKV_REWRITE_WRITE);
	nvmkv_every_row(old, snapshot, write_heap_row, &writer);
	FreeBulkInsertState(writer.bulk);
	table_finish_bulk_insert(rel, TABLE_INSERT_SKIP_FSM);
	ExecDropSingleTupleTableSlot(writer.slot);
	MemoryContextDelete(writer.row_context);
	nvmkv_rewrite_progress_end();
	CommandCounterIncrement();
}

static void
to_heap(Oid relid)
{
	Relation rel = table_open(relid, NoLock);
	List *indexes = RelationGetIndexList(rel);
	List *parameters = nvmkv_pick_autovacuum_options(GetForeignTable(relid)->options);
	const NvmkvTable *old = nvmkv_table_has_rows(rel) ? nvmkv_table(rel) : NULL;
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ListCell *lc;

	nvmkv_table_end_storage(rel);
	RelationClearMissing(rel);
	CommandCounterIncrement();
	table_close(rel, NoLock);
	leave_server(relid);
	nvmkv_become_heap(relid, parameters);

	rel = table_open(relid, NoLock);
	if (old != NULL)
		write_heap(rel, old, snapshot);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
	foreach(lc, indexes)
		nvmkv_become_btree(relid, lfirst_oid(lc));
	nvmkv_unique_triggers_settle(relid, false);
	nvmkv_foreign_key_triggers_give_back(relid);
}

/* ---------------------------------------------------------------- the statement */

static bool
is_our_method(const char *name)
{
	Oid am = get_table_am_oid(name != NULL ? name : default_table_access_method, true);

	return OidIsValid(am) && nvmkv_is_our_access_method(am);
}

static const AlterTableCmd *
find_command(const AlterTableStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_SetAccessMethod)
			return cmd;
	}
	return NULL;
}

/* Another kind of table, if it is not of that kind. */
static void
convert(const NvmkvStatement *statement, Oid relid, const char *access_method)
{
	bool ours = nvmkv_is_our_relid(relid);
	bool to_be_ours = is_our_method(access_method);
	Relation rel;

	if (ours == to_be_ours)
		return;
	if (ours && get_table_am_oid(access_method != NULL ? access_method : default_table_access_method, false) !=
					HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" can become a table with access method heap only", get_rel_name(relid))));
	rel = table_open(relid, NoLock);
	CheckTableNotInUse(rel, "ALTER TABLE");
	if (!ours)
		nvmkv_refuse_migration(rel);
	CheckTableForSerializableConflictIn(rel);
	TransferPredicateLocksToHeapRelation(rel);
	table_close(rel, NoLock);

	EventTriggerTableRewrite(statement->pstmt->utilityStmt, relid, AT_REWRITE_ACCESS_METHOD);
	if (ours)
		to_heap(relid);
	else
		to_ours(relid);
}

static void
set_access_method(const NvmkvStatement *statement, Node *node, void *arg)
{
	NvmkvStatement rest = nvmkv_statement_rest(statement);
	AlterTableStmt *stmt = castNode(AlterTableStmt, rest.pstmt->utilityStmt);
	AlterTableCmd *cmd = unconstify(AlterTableCmd *, find_command(stmt));
	Oid relid = AlterTableLookupRelation(stmt, AccessExclusiveLock);
	ObjectAddress address;

	nvmkv_engine_require_preload();
	stmt->cmds = list_delete_ptr(stmt->cmds, cmd);
	if (find_command(stmt) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("cannot have multiple SET ACCESS METHOD subcommands")));
	if (stmt->cmds != NIL)
		nvmkv_statement_part(statement, (Node *) stmt);
	convert(statement, relid, cmd->name);

	EventTriggerAlterTableStart(node);
	EventTriggerAlterTableRelid(relid);
	ObjectAddressSet(address, RelationRelationId, relid);
	EventTriggerCollectAlterTableSubcmd((Node *) cmd, address);
	EventTriggerAlterTableEnd();
}

bool
nvmkv_set_access_method(const NvmkvStatement *statement)
{
	const AlterTableStmt *stmt = castNode(AlterTableStmt, statement->pstmt->utilityStmt);
	const AlterTableCmd *cmd = find_command(stmt);
	Oid relid = cmd != NULL ? RangeVarGetRelid(stmt->relation, NoLock, true) : InvalidOid;

	if (!OidIsValid(relid) || (stmt->objtype != OBJECT_TABLE && stmt->objtype != OBJECT_FOREIGN_TABLE) ||
		(!nvmkv_is_our_relid(relid) && (get_rel_relkind(relid) != RELKIND_RELATION || !is_our_method(cmd->name))))
		return false;
	nvmkv_statement_execute(statement, set_access_method, NULL);
	return true;
}

/* ---------------------------------------------------------------- the function */

static void
migrate(Oid relid, const char *access_method)
{
	char *sql = psprintf("ALTER TABLE %s SET ACCESS METHOD %s",
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid)),
						 quote_identifier(access_method));

	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not execute \"%s\"", sql);
	CommandCounterIncrement();
}

Datum
nvmkv_sql_migrate(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	const char *access_method = NameStr(*PG_GETARG_NAME(1));
	List *relids = find_all_inheritors(relid, NoLock, NULL);
	ListCell *lc;

	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		relids = list_make1_oid(relid);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	foreach(lc, relids)
	{
		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_PARTITIONED_TABLE)
			migrate(lfirst_oid(lc), access_method);
	}
	SPI_finish();
	PG_RETURN_VOID();
}
